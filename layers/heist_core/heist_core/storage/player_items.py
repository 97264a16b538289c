"""Players as DynamoDB items and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from heist_core.domain.player import Dated, Losses, Player, Preferences, Profile, Suppression
from heist_core.domain.times import to_iso

from . import keys
from .attributes import count, integer, iso, moment, optional, optional_moment, required
from .wire import Item

SEASON_PREFIX = "points#"

T = TypeVar("T")


def season_attribute(season: str) -> str:
    return SEASON_PREFIX + season


def player_from(player_id: str, item: Item | None) -> Player:
    """The player that an item holds; no item is an unknown player."""
    if item is None:
        return Player(player_id)
    return Player(
        id=player_id,
        version=integer(item, "version"),
        tokens=count(item, "tokens"),
        tokens_earned=count(item, "tokensEarned"),
        tokens_spent=count(item, "tokensSpent"),
        tokens_granted=count(item, "tokensGranted"),
        last_earned_at=optional_moment(item, "lastEarnedAt"),
        last_spent_at=optional_moment(item, "lastSpentAt"),
        last_heist_at=optional_moment(item, "lastHeistAt"),
        last_robbed_at=optional_moment(item, "lastRobbedAt"),
        blocked_at=optional_moment(item, "blockedAt"),
        erased_at=optional_moment(item, "erasedAt"),
        first_seen_at=optional_moment(item, "firstSeenAt"),
        points=points_from(item),
        losses=_losses_from(optional(item, "losses", dict) or {}),
        victims=_victims_from(optional(item, "victims", dict) or {}),
        profile=Profile(
            name=_dated(item, "name", str),
            email=_dated(item, "email", str),
            email_opt_out=_dated(item, "emailOptOut", bool),
            locale=_dated(item, "locale", str),
            suppressed=_suppression_from(optional(item, "suppressed", dict)),
        ),
        preferences=Preferences(
            passive=optional(item, "passive", bool) or False,
            passive_switched_at=optional_moment(item, "passiveSwitchedAt"),
            hidden=optional(item, "hidden", bool) or False,
            email=optional(item, "emailChoices", dict) or {},
        ),
    )


def points_from(item: Item) -> dict[str, int]:
    """Points by season, of a player's item or of that of their old seasons."""
    return {
        name.removeprefix(SEASON_PREFIX): integer(item, name)
        for name in item
        if name.startswith(SEASON_PREFIX)
    }


def points_attributes(points: Mapping[str, int]) -> dict[str, object]:
    return {season_attribute(season): each for season, each in points.items()}


def board_place(player: Player, season: str, points: int) -> dict[str, object]:
    """What holds a player's place on a season's board, once they have so many points.

    Nothing for players who are not shown, nor in a season before the one that their place is in.
    """
    index = keys.board_index(season)
    later = (other > season and keys.board_index(other) == index for other in player.points)
    if not player.shown or any(later):
        return {}
    shard = keys.spread(player.id, keys.BOARD_SHARDS)
    return {
        f"{index}Board": keys.board_shard(season, shard),
        f"{index}Place": keys.board_place(player.id, points),
    }


def board_places(player: Player) -> dict[str, object]:
    """Every attribute that holds a place, for the player as they then are; None for absent ones."""
    places: dict[str, object] = dict.fromkeys(("oddBoard", "oddPlace", "evenBoard", "evenPlace"))
    for season, points in sorted(player.points.items()):
        places |= board_place(player, season, points)
    return places


def _losses_from(stored: Item) -> dict[str, Losses]:
    return {
        season: Losses(integer(losses, "robberies"), integer(losses, "points"))
        for season in stored
        for losses in [required(stored, season, dict)]
    }


def losses_attribute(losses: Mapping[str, Losses]) -> dict[str, object]:
    return {
        season: {"robberies": each.robberies, "points": each.points}
        for season, each in losses.items()
    }


def _victims_from(stored: Item) -> dict[str, datetime]:
    return {victim: moment(stored, victim) for victim in stored}


def victims_attribute(victims: Mapping[str, datetime]) -> dict[str, object]:
    return {victim: to_iso(robbed_at) for victim, robbed_at in victims.items()}


def _dated(item: Item, name: str, kind: type[T]) -> Dated[T]:
    return Dated(optional(item, name, kind), optional_moment(item, name + "At"))


def preferences_attributes(preferences: Preferences) -> dict[str, object]:
    """Every attribute of preferences; None for those that are to be absent."""
    return {
        "passive": preferences.passive or None,
        "passiveSwitchedAt": iso(preferences.passive_switched_at),
        "hidden": preferences.hidden or None,
        "emailChoices": dict(preferences.email) or None,
    }


def profile_attributes(profile: Profile) -> dict[str, object]:
    """Every profile attribute; None for those that are to be absent."""
    attributes: dict[str, object] = {}
    fields: tuple[tuple[str, Dated[str] | Dated[bool]], ...] = (
        ("name", profile.name),
        ("email", profile.email),
        ("emailOptOut", profile.email_opt_out),
        ("locale", profile.locale),
    )
    for name, dated in fields:
        attributes[name] = dated.value
        attributes[name + "At"] = iso(dated.at)
    attributes["suppressed"] = suppression_attribute(profile.suppressed)
    return attributes


def suppression_attribute(suppression: Suppression | None) -> dict[str, str] | None:
    return suppression and {"reason": suppression.reason, "at": to_iso(suppression.at)}


def _suppression_from(stored: Item | None) -> Suppression | None:
    if stored is None:
        return None
    return Suppression(required(stored, "reason", str), moment(stored, "at"))
