"""Entities as DynamoDB items and back.

Every reader raises Malformed, naming the attribute, when an item is not what it should be.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar, assert_never

from heist_core.domain.award import Award, EarnedPoints
from heist_core.domain.errors import HeistRefused, Malformed
from heist_core.domain.facts import Event, Fact
from heist_core.domain.heist import Attempt, Heist, HeistPlan, RefusedHeist
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import InboxItem, Metadata, Notice, NoticeType
from heist_core.domain.owed import MAIL_AGAIN, Owed
from heist_core.domain.player import Dated, Losses, Player, Preferences, Profile
from heist_core.domain.points import PointsChange
from heist_core.domain.reversal import Reversal
from heist_core.domain.times import from_iso, to_iso

from . import keys
from .keys import Kind, Source
from .wire import Item as Item
from .wire import from_wire as from_wire
from .wire import to_wire as to_wire

REFUSALS_KEPT = timedelta(days=30)
INBOX_KEPT = timedelta(days=180)
NOTICES_KEPT = timedelta(days=400)

SEASON_PREFIX = "points#"
_SEQUENCE_DIGITS = 10

T = TypeVar("T")


def _required(item: Item, name: str, kind: type[T]) -> T:
    value = item.get(name)
    if not isinstance(value, kind):
        raise Malformed(f"{name} is missing or not of type {kind.__name__}")
    return value


def _optional(item: Item, name: str, kind: type[T]) -> T | None:
    return None if item.get(name) is None else _required(item, name, kind)


def _integer(item: Item, name: str) -> int:
    value = _required(item, name, Decimal)
    if value != value.to_integral_value():
        raise Malformed(f"{name} is not an integer")
    return int(value)


def _count(item: Item, name: str) -> int:
    return 0 if item.get(name) is None else _integer(item, name)


def _optional_integer(item: Item, name: str) -> int | None:
    return None if item.get(name) is None else _integer(item, name)


def _moment(item: Item, name: str) -> datetime:
    try:
        return from_iso(_required(item, name, str))
    except ValueError as error:
        raise Malformed(f"{name} is not a time") from error


def _optional_moment(item: Item, name: str) -> datetime | None:
    return None if item.get(name) is None else _moment(item, name)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else to_iso(moment)


def expiry(moment: datetime, kept: timedelta) -> int:
    """`expiresAt`, from which on DynamoDB may delete an item: seconds since 1970."""
    return int((moment + kept).timestamp())


# Players


def season_attribute(season: str) -> str:
    return SEASON_PREFIX + season


def player_from(player_id: str, item: Item | None) -> Player:
    """The player that an item holds; no item is an unknown player."""
    if item is None:
        return Player(player_id)
    return Player(
        id=player_id,
        version=_integer(item, "version"),
        tokens=_count(item, "tokens"),
        tokens_earned=_count(item, "tokensEarned"),
        tokens_spent=_count(item, "tokensSpent"),
        last_earned_at=_optional_moment(item, "lastEarnedAt"),
        last_spent_at=_optional_moment(item, "lastSpentAt"),
        last_heist_at=_optional_moment(item, "lastHeistAt"),
        last_robbed_at=_optional_moment(item, "lastRobbedAt"),
        blocked_at=_optional_moment(item, "blockedAt"),
        erased_at=_optional_moment(item, "erasedAt"),
        first_seen_at=_optional_moment(item, "firstSeenAt"),
        points={
            name.removeprefix(SEASON_PREFIX): _integer(item, name)
            for name in item
            if name.startswith(SEASON_PREFIX)
        },
        losses=_losses_from(_optional(item, "losses", dict) or {}),
        victims=_victims_from(_optional(item, "victims", dict) or {}),
        profile=Profile(
            name=_dated(item, "name", str),
            email=_dated(item, "email", str),
            email_opt_out=_dated(item, "emailOptOut", bool),
        ),
        preferences=Preferences(
            passive=_optional(item, "passive", bool) or False,
            passive_switched_at=_optional_moment(item, "passiveSwitchedAt"),
            hidden=_optional(item, "hidden", bool) or False,
            email=_optional(item, "emailChoices", dict) or {},
        ),
    )


def board_place(player: Player, season: str, points: int) -> dict[str, object]:
    """What holds a player's place on a season's board, once they have so many points.

    Nothing for whoever is not shown, nor in a season before the one that their place is in.
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
        season: Losses(_integer(losses, "robberies"), _integer(losses, "points"))
        for season in stored
        for losses in [_required(stored, season, dict)]
    }


def losses_attribute(losses: Mapping[str, Losses]) -> dict[str, object]:
    return {
        season: {"robberies": each.robberies, "points": each.points}
        for season, each in losses.items()
    }


def _victims_from(stored: Item) -> dict[str, datetime]:
    return {victim: _moment(stored, victim) for victim in stored}


def victims_attribute(victims: Mapping[str, datetime]) -> dict[str, object]:
    return {victim: to_iso(robbed_at) for victim, robbed_at in victims.items()}


def _dated(item: Item, name: str, kind: type[T]) -> Dated[T]:
    return Dated(_optional(item, name, kind), _optional_moment(item, name + "At"))


def preferences_attributes(preferences: Preferences) -> dict[str, object]:
    """Every attribute of preferences; None for those that are to be absent."""
    return {
        "passive": preferences.passive or None,
        "passiveSwitchedAt": _iso(preferences.passive_switched_at),
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
    )
    for name, dated in fields:
        attributes[name] = dated.value
        attributes[name + "At"] = _iso(dated.at)
    return attributes


# Heists


def owing(subject: keys.Key, since: datetime) -> dict[str, object]:
    """The marker of a record that owes everything."""
    return {
        "owed": {owed.value for owed in Owed},
        "owedBucket": keys.owed_bucket(subject),
        "owedSince": to_iso(since),
    }


def _owed_statistics(subject: keys.Key, since: datetime) -> dict[str, object]:
    return {
        "owed": {Owed.STATISTICS.value},
        "owedBucket": keys.refused_bucket(subject),
        "owedSince": to_iso(since),
    }


def _attempt_attributes(attempt: Attempt) -> dict[str, object]:
    return {
        **keys.heist(attempt.id),
        "heistId": attempt.id,
        "attackerId": attempt.attacker_id,
        "victimId": attempt.victim_id,
        "sourceNetwork": attempt.source_network,
        "correlationId": attempt.correlation_id,
    }


def heist_item(heist: Heist) -> Item:
    plan = heist.plan
    return {
        **_attempt_attributes(heist.attempt),
        "status": "SUCCESS",
        "createdAt": to_iso(plan.at),
        "season": plan.season,
        "pointsStolen": plan.points_stolen,
        "attackerPointsBefore": plan.attacker_points_before,
        "attackerPointsAfter": plan.attacker_points_after,
        "victimPointsBefore": plan.victim_points_before,
        "victimPointsAfter": plan.victim_points_after,
        "tokensLeft": plan.tokens_left,
        "cooldownEndsAt": to_iso(plan.cooldown_ends_at),
        "attackerVersion": plan.attacker_version,
        "victimVersion": plan.victim_version,
        "attackerName": heist.attacker_name,
        "victimName": heist.victim_name,
        **owing(keys.heist(heist.heist_id), plan.at),
    }


def refused_heist_item(refused: RefusedHeist) -> Item:
    return {
        **_attempt_attributes(refused.attempt),
        "status": "FAILED",
        "createdAt": to_iso(refused.at),
        "code": refused.refusal.code,
        "message": refused.refusal.message,
        "details": refused.refusal.details,
        "expiresAt": expiry(refused.at, REFUSALS_KEPT),
        **_owed_statistics(keys.heist(refused.heist_id), refused.at),
    }


def heist_from(item: Item) -> Heist | RefusedHeist:
    """The stored outcome of an attempt, by its stored status."""
    attempt = Attempt(
        id=_required(item, "heistId", str),
        attacker_id=_required(item, "attackerId", str),
        victim_id=_required(item, "victimId", str),
        source_network=_optional(item, "sourceNetwork", str),
        correlation_id=_optional(item, "correlationId", str),
    )
    at = _moment(item, "createdAt")
    status = _required(item, "status", str)
    if status == "FAILED":
        details = _required(item, "details", dict)
        return RefusedHeist(
            attempt=attempt,
            at=at,
            refusal=HeistRefused(
                _required(item, "code", str), _required(item, "message", str), details
            ),
        )
    if status != "SUCCESS":
        raise Malformed("status is neither SUCCESS nor FAILED")
    return Heist(
        attempt=attempt,
        plan=HeistPlan(
            at=at,
            season=_required(item, "season", str),
            points_stolen=_integer(item, "pointsStolen"),
            attacker_points_before=_integer(item, "attackerPointsBefore"),
            victim_points_before=_integer(item, "victimPointsBefore"),
            tokens_left=_integer(item, "tokensLeft"),
            cooldown_ends_at=_moment(item, "cooldownEndsAt"),
            attacker_version=_optional_integer(item, "attackerVersion"),
            victim_version=_optional_integer(item, "victimVersion"),
        ),
        attacker_name=_optional(item, "attackerName", str),
        victim_name=_optional(item, "victimName", str),
    )


def heist_ledger_items(heist: Heist) -> tuple[Item, Item]:
    """The attacker's HEIST_GAIN and the victim's HEIST_LOSS."""

    def entry(player_id: str, other_id: str, source: Source, points: int) -> Item:
        return {
            **keys.heist_entry(player_id, heist.season, source, heist.at, heist.heist_id),
            "pointEventType": f"HEIST_{source}",
            "points": points,
            "heistId": heist.heist_id,
            "otherId": other_id,
            "occurredAt": to_iso(heist.at),
        }

    stolen = heist.plan.points_stolen
    return (
        entry(heist.attacker_id, heist.victim_id, Source.GAIN, stolen),
        entry(heist.victim_id, heist.attacker_id, Source.LOSS, -stolen),
    )


# Reversals


def reversal_item(reversal: Reversal) -> Item:
    subject = keys.reversal(reversal.heist_id)
    return {
        **subject,
        "heistId": reversal.heist_id,
        "actionId": reversal.action_id,
        "attackerId": reversal.attacker_id,
        "victimId": reversal.victim_id,
        "attackerName": reversal.attacker_name,
        "victimName": reversal.victim_name,
        "createdAt": to_iso(reversal.at),
        "season": reversal.season,
        "pointsStolen": reversal.points_stolen,
        "pointsReturned": reversal.points_returned,
        "shortfall": reversal.shortfall,
        "attackerPointsBefore": reversal.attacker_points_before,
        "attackerPointsAfter": reversal.attacker_points_after,
        "victimPointsBefore": reversal.victim_points_before,
        "victimPointsAfter": reversal.victim_points_after,
        "tokenRefunded": reversal.token_refunded,
        "cooldownLifted": reversal.cooldown_lifted,
        "attackerVersion": reversal.attacker_version,
        "victimVersion": reversal.victim_version,
        **owing(subject, reversal.at),
    }


def reversal_from(item: Item) -> Reversal:
    return Reversal(
        heist_id=_required(item, "heistId", str),
        action_id=_required(item, "actionId", str),
        attacker_id=_required(item, "attackerId", str),
        victim_id=_required(item, "victimId", str),
        attacker_name=_optional(item, "attackerName", str),
        victim_name=_optional(item, "victimName", str),
        season=_required(item, "season", str),
        at=_moment(item, "createdAt"),
        points_stolen=_integer(item, "pointsStolen"),
        points_returned=_integer(item, "pointsReturned"),
        attacker_points_before=_integer(item, "attackerPointsBefore"),
        victim_points_before=_integer(item, "victimPointsBefore"),
        token_refunded=_required(item, "tokenRefunded", bool),
        cooldown_lifted=_required(item, "cooldownLifted", bool),
        attacker_version=_optional_integer(item, "attackerVersion"),
        victim_version=_optional_integer(item, "victimVersion"),
    )


def reversal_ledger_items(reversal: Reversal) -> tuple[Item, Item]:
    """The attacker's entry and the victim's; both exist even when nothing could be returned."""

    def entry(player_id: str, points: int) -> Item:
        return {
            **keys.ledger_entry(player_id, reversal.season, Source.REVERSAL, reversal.heist_id),
            "pointEventType": "HEIST_REVERSAL",
            "points": points,
            "heistId": reversal.heist_id,
            "occurredAt": to_iso(reversal.at),
        }

    return (
        entry(reversal.attacker_id, -reversal.points_returned),
        entry(reversal.victim_id, reversal.points_returned),
    )


# Awards and points


def _award_attributes(award: Award) -> dict[str, object]:
    return {
        **keys.referral(award.referred_id),
        "referredId": award.referred_id,
        "referrerId": award.referrer_id,
        "referralId": award.referral_id,
        "referredName": award.referred_name,
        "correlationId": award.correlation_id,
        "createdAt": to_iso(award.at),
    }


def award_item(award: Award) -> Item:
    return {**_award_attributes(award), **owing(keys.referral(award.referred_id), award.at)}


def held_award_item(award: Award) -> Item:
    """The record of an award that waits until awards are switched on. It is nobody's token yet."""
    at = to_iso(award.at)
    return {
        **_award_attributes(award),
        "heldAt": at,
        "owedBucket": keys.HELD_BUCKET,
        "owedSince": at,
    }


def is_held(item: Item) -> bool:
    """Whether an item is an award that nobody has got yet."""
    return "heldAt" in item


def award_from(item: Item) -> Award:
    return Award(
        referred_id=_required(item, "referredId", str),
        referrer_id=_required(item, "referrerId", str),
        referral_id=_optional(item, "referralId", str),
        referred_name=_optional(item, "referredName", str),
        correlation_id=_optional(item, "correlationId", str),
        at=_moment(item, "createdAt"),
    )


def points_event_item(earned: EarnedPoints, change: PointsChange) -> Item:
    """What is needed to tell of the change again stands beside the event's own."""
    return {
        **keys.points_event(earned.event_id),
        "playerId": earned.player_id,
        "points": earned.points,
        "occurredAt": to_iso(earned.occurred_at),
        "season": change.season,
        "pointsAfter": change.points,
        "pointEventType": change.reason,
        "changedAt": to_iso(change.at),
        "version": change.version,
    }


def points_change_from(item: Item) -> PointsChange | None:
    """The change that an event made; None where the record is older than versions on it."""
    if "version" not in item:
        return None
    return PointsChange(
        player_id=_required(item, "playerId", str),
        season=_required(item, "season", str),
        points=_integer(item, "pointsAfter"),
        change=_integer(item, "points"),
        reason=_required(item, "pointEventType", str),
        at=_moment(item, "changedAt"),
        version=_integer(item, "version"),
    )


def earned_ledger_item(earned: EarnedPoints) -> Item:
    return {
        **keys.ledger_entry(earned.player_id, earned.season, Source.EVENT, earned.event_id),
        "pointEventType": earned.point_event_type,
        "points": earned.points,
        "eventId": earned.event_id,
        "occurredAt": to_iso(earned.occurred_at),
    }


# What is owed


def event_from(item: Item) -> Event:
    """The event that an item with an owed marker records."""
    fact = fact_from(item)
    if isinstance(fact, RefusedHeist):
        raise Malformed("a refused heist is no event")
    return fact


def fact_from(item: Item) -> Fact:
    """As `event_from`; a refused heist, too, is a fact to be counted."""
    match keys.kind_of(item):
        case Kind.HEIST:
            return heist_from(item)
        case Kind.REVERSAL:
            return reversal_from(item)
        case Kind.REFERRAL:
            return award_from(item)
        case (
            Kind.PLAYER
            | Kind.NOTICE
            | Kind.INBOX
            | Kind.READ_COUNT
            | Kind.LEDGER
            | Kind.POINTS_EVENT
            | Kind.RATE
            | Kind.POINT_TYPE
            | Kind.SETTINGS
            | Kind.SETTINGS_VERSION
            | Kind.ACTION
            | Kind.DAY
            | Kind.BALANCES
            | Kind.HOLDING
            | Kind.ROBBER
            | Kind.GENERATION
            | Kind.IMPORT
            | Kind.BOARD
            | None
        ):
            raise Malformed("pk and sk name no heist, reversal or referral")
        case unknown:
            assert_never(unknown)


def owed_of(item: Item) -> frozenset[str]:
    """What the item's marker says is still owed: `Owed`, and mails asked for again."""
    owed = frozenset(map(str, _optional(item, "owed", set) or ()))
    if any(entry not in set(Owed) and not entry.startswith(MAIL_AGAIN) for entry in owed):
        raise Malformed("owed names something unknown")
    return owed


def subject_key(fact: Fact) -> keys.Key:
    match fact:
        case Heist() | RefusedHeist():
            return keys.heist(fact.heist_id)
        case Reversal():
            return keys.reversal(fact.heist_id)
        case Award():
            return keys.referral(fact.referred_id)


# Notices and the inbox


def notice_item(
    subject: keys.Key, notice: Notice, mail: MailRecord | None, position: int | None
) -> Item:
    """`position`: where its inbox item goes; None for a recipient who has no inbox any more."""
    return {
        **keys.notice(subject, notice.recipient_id),
        "recipientId": notice.recipient_id,
        "type": notice.type.value,
        "createdAt": to_iso(notice.created_at),
        "inboxPosition": position,
        **(_mail_attributes(mail) if mail is not None else {}),
        "expiresAt": expiry(notice.created_at, NOTICES_KEPT),
    }


def _mail_attributes(mail: MailRecord) -> Item:
    return {
        "mailState": mail.state.value,
        "mailAttempts": mail.attempts or None,
        "mailOwner": mail.owner,
        "mailLeaseUntil": _iso(mail.lease_until),
    }


def is_claimed_by(notice: Item, mail: MailRecord | None) -> bool:
    """Whether it was this claim that the notice was put with: its answer got lost."""
    return mail is not None and mail.owner is not None and notice.get("mailOwner") == mail.owner


def inbox_position_from(item: Item) -> int | None:
    """None: the notice was put together with its inbox item, or goes to nobody's inbox."""
    return None if item.get("inboxPosition") is None else _integer(item, "inboxPosition")


def mail_record_from(item: Item) -> MailRecord:
    try:
        state = MailState(_required(item, "mailState", str))
    except ValueError as error:
        raise Malformed("mailState is unknown") from error
    return MailRecord(
        state=state,
        attempts=_count(item, "mailAttempts"),
        owner=_optional(item, "mailOwner", str),
        lease_until=_optional_moment(item, "mailLeaseUntil"),
    )


def position_of(sequence: int) -> str:
    """The sort key of an inbox item."""
    return f"{sequence:0{_SEQUENCE_DIGITS}d}"


def inbox_item(sequence: int, tag: str, notice: Notice) -> Item:
    """`tag` makes the public id unguessable from, and different to, other players' ids.

    It expires once it has been read: what expired unread would still be counted.
    """
    position = position_of(sequence)
    return {
        **keys.inbox_item(notice.recipient_id, position),
        "unread": position,
        "tag": tag,
        "recipientId": notice.recipient_id,
        "type": notice.type.value,
        "heistId": notice.heist_id,
        "metadata": notice.metadata,
        "createdAt": to_iso(notice.created_at),
    }


def read_count_from(item: Item) -> tuple[int, int]:
    """How many items were read, and the newest position when the last was."""
    return _integer(item, "readItems"), _integer(item, "newest")


def is_inbox_item_of(item: Item, tag: str, notice: Notice) -> bool:
    return (item.get("tag"), item.get("createdAt")) == (tag, to_iso(notice.created_at))


def inbox_item_from(item: Item) -> InboxItem:
    metadata: Metadata = {
        str(name): int(value) if isinstance(value, Decimal) else value
        for name, value in _required(item, "metadata", dict).items()
    }
    return InboxItem(
        id=f"{_required(item, 'sk', str)}-{_required(item, 'tag', str)}",
        notice=Notice(
            recipient_id=_required(item, "recipientId", str),
            type=NoticeType(_required(item, "type", str)),
            heist_id=_optional(item, "heistId", str),
            metadata=metadata,
            created_at=_moment(item, "createdAt"),
        ),
        read_at=_optional_moment(item, "readAt"),
    )
