"""How a player, heist or referral of the old system lies in the table, as transaction steps.

Pure. Everything is written once: each unit has a key that tells whether it is there already.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

from heist_core.domain.award import Award
from heist_core.domain.heist import Heist
from heist_core.domain.player import Dated, Losses, Player, Profile, newest_losses
from heist_core.domain.times import to_iso
from heist_core.storage import items, keys, player_items
from heist_core.storage.keys import Source
from heist_core.storage.wire import Item
from heist_core.storage.writes import Step, Transaction, add, put_new, update

T = TypeVar("T")

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a date that the export does not have: whatever comes later is newer."""


ITEMS_AT_ONCE = 100
"""What DynamoDB takes in one transaction, and gives in one batch."""

Place = tuple[str, str]
"""Where an item lies: pk and sk."""


def place_of(key: Mapping[str, object]) -> Place:
    return str(key["pk"]), str(key["sk"])


@dataclass(slots=True)
class Sums:
    """What an export holds, or what is in the table of it. Points by season."""

    players: int = 0
    tokens_earned: int = 0
    tokens_spent: int = 0
    heists: int = 0
    points_stolen: int = 0
    referrals: int = 0
    points: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Sums") -> None:
        self.players += other.players
        self.tokens_earned += other.tokens_earned
        self.tokens_spent += other.tokens_spent
        self.heists += other.heists
        self.points_stolen += other.points_stolen
        self.referrals += other.referrals
        self.points.update(other.points)

    def lines(self) -> dict[str, int]:
        """Each figure under its name; seasons whose points add up to 0 are left out."""
        return {
            "players": self.players,
            "tokens earned": self.tokens_earned,
            "tokens spent": self.tokens_spent,
            "heists": self.heists,
            "points stolen": self.points_stolen,
            "referrals": self.referrals,
            **{f"points {season}": total for season, total in sorted(self.points.items()) if total},
        }


class Unit(Protocol):
    """What goes in with one transaction or not at all."""

    @property
    def key(self) -> keys.Key:
        """The item that tells whether the unit is there already."""
        ...

    def all_keys(self) -> Sequence[keys.Key]:
        """Where all its items lie, `key` among them."""
        ...

    def steps(self, found: Item | None) -> Transaction:
        """What is to be written when `found` is what stands under `key`; nothing if it is there."""
        ...

    def count(self, found: Mapping[Place, Item]) -> Sums | None:
        """What the table holds of it; None if that is not all of it, or something else."""
        ...


class Balance(NamedTuple):
    """A player's points of a season, how many of them are due to imported heists, and how often
    those robbed them of how many."""

    season: str
    points: int
    by_heists: int
    robberies: int
    lost: int

    @property
    def opening(self) -> int:
        """What the opening entry of the ledger holds: the ledger then adds up to the points."""
        return self.points - self.by_heists


@dataclass(frozen=True, slots=True)
class ImportedPlayer:
    """Everything that a player takes over. Balances of all seasons, one each.

    `has_tokens`: whether the old system knew of tokens, be they none. `last_season`: from which on
    seasons lie on the player's item; those before it are old.
    """

    id: str
    profile: Profile
    has_tokens: bool
    tokens_earned: int
    tokens_spent: int
    last_earned_at: datetime | None
    last_spent_at: datetime | None
    last_heist_at: datetime | None
    last_robbed_at: datetime | None
    joined_at: datetime
    balances: tuple[Balance, ...]
    last_season: str

    @property
    def key(self) -> keys.Key:
        return keys.player(self.id)

    def openings(self) -> tuple[Item, ...]:
        """The entries that open the ledger of each season."""
        return tuple(
            {
                **keys.ledger_entry(self.id, balance.season, Source.IMPORT, "OPENING"),
                "pointEventType": "IMPORTED",
                "points": balance.opening,
                "occurredAt": f"{balance.season}-01T00:00:00.000Z",
            }
            for balance in self.balances
            if balance.opening
        )

    def all_keys(self) -> Sequence[keys.Key]:
        old = [keys.old_seasons(self.id)] if self._old_points() else []
        return [self.key, *old, *map(keys.key_of, self.openings())]

    def steps(self, found: Item | None) -> Transaction:
        if found is not None and "importedEarned" in found:
            return ()
        seen = player_items.player_from(self.id, found)
        old = player_items.points_attributes(self._old_points())
        moved = (
            [Step("old seasons", {"Update": add(keys.old_seasons(self.id), old)})] if old else []
        )
        return (
            Step(f"player {self.id}", {"Update": self._update(seen)}),
            *moved,
            *(Step(f"opening {self.id}", {"Put": put_new(opening)}) for opening in self.openings()),
        )

    def count(self, found: Mapping[Place, Item]) -> Sums | None:
        state = found.get(place_of(self.key), {})
        openings = self.openings()
        if (state.get("importedEarned"), state.get("importedSpent")) != (
            self.tokens_earned,
            self.tokens_spent,
        ) or not _all_there(openings, found):
            return None
        return Sums(
            players=1,
            tokens_earned=self.tokens_earned,
            tokens_spent=self.tokens_spent,
            points=_points(openings, found),
        )

    def _points(self) -> dict[str, int]:
        return {each.season: each.points for each in self.balances if each.points}

    def _old_points(self) -> dict[str, int]:
        return {one: points for one, points in self._points().items() if one < self.last_season}

    def _losses(self, seen: Player) -> Mapping[str, Losses]:
        """The robberies of the export and those that live heists added meanwhile."""
        imported = {
            balance.season: Losses(
                before.robberies + balance.robberies, before.points + balance.lost
            )
            for balance in self.balances
            if balance.robberies
            for before in [seen.losses_in(balance.season)]
        }
        return newest_losses({**seen.losses, **imported})

    def _update(self, seen: Player) -> dict[str, object]:
        """Adds to what live events brought meanwhile; dates and profile fields take the newest."""
        attributes: dict[str, object] = {
            "version": seen.version + 1,
            "importedEarned": self.tokens_earned,
            "importedSpent": self.tokens_spent,
            "lastEarnedAt": _newest(self.last_earned_at, seen.last_earned_at),
            "lastSpentAt": _newest(self.last_spent_at, seen.last_spent_at),
            "lastHeistAt": _newest(self.last_heist_at, seen.last_heist_at),
            "lastRobbedAt": _newest(self.last_robbed_at, seen.last_robbed_at),
            "firstSeenAt": to_iso(min(self.joined_at, seen.first_seen_at or self.joined_at)),
            "losses": player_items.losses_attribute(self._losses(seen)),
            **player_items.profile_attributes(
                Profile() if seen.erased else _merged(seen.profile, self.profile)
            ),
        }
        if self.has_tokens:
            attributes["tokens"] = seen.tokens + self.tokens_earned - self.tokens_spent
            attributes["tokensEarned"] = seen.tokens_earned + self.tokens_earned
            attributes["tokensSpent"] = seen.tokens_spent + self.tokens_spent
        held = {
            season: seen.points_in(season) + more
            for season, more in self._points().items()
            if season >= self.last_season
        }
        attributes |= player_items.points_attributes(held)
        attributes |= player_items.board_places(replace(seen, points={**seen.points, **held}))
        kept = {name: value for name, value in attributes.items() if value is not None}
        names = {f"#{place}": name for place, name in enumerate(kept)}
        values: dict[str, object] = {
            f":{place}": value for place, value in enumerate(kept.values())
        }
        if seen.exists:
            values[":seen"] = seen.version
        return update(
            self.key,
            "SET " + ", ".join(f"#{place} = :{place}" for place in range(len(kept))),
            values,
            condition="version = :seen" if seen.exists else "attribute_not_exists(version)",
            names=names,
        )


@dataclass(frozen=True, slots=True)
class ImportedHeist:
    """A heist of the past: its record and both ledger entries, without notices."""

    heist: Heist

    @property
    def key(self) -> keys.Key:
        return keys.heist(self.heist.heist_id)

    def all_keys(self) -> Sequence[keys.Key]:
        return [self.key, *map(keys.key_of, items.heist_ledger_items(self.heist))]

    def steps(self, found: Item | None) -> Transaction:
        record = _without_marker(items.heist_item(self.heist))
        return _once((record, *items.heist_ledger_items(self.heist)), found)

    def count(self, found: Mapping[Place, Item]) -> Sums | None:
        record = found.get(place_of(self.key), {})
        stolen = self.heist.plan.points_stolen
        entries = items.heist_ledger_items(self.heist)
        if record.get("pointsStolen") != stolen or not _all_there(entries, found):
            return None
        return Sums(heists=1, points_stolen=stolen, points=_points(entries, found))


@dataclass(frozen=True, slots=True)
class ImportedReferral:
    """A referral that was settled in the old system. One that is there already stands."""

    award: Award

    @property
    def key(self) -> keys.Key:
        return keys.referral(self.award.referred_id)

    def all_keys(self) -> Sequence[keys.Key]:
        return [self.key]

    def steps(self, found: Item | None) -> Transaction:
        return _once((_without_marker(items.award_item(self.award)),), found)

    def count(self, found: Mapping[Place, Item]) -> Sums | None:
        return Sums(referrals=1) if place_of(self.key) in found else None


def _once(written: Sequence[Item], found: Item | None) -> Transaction:
    if found is not None:
        return ()
    return tuple(Step(str(item["pk"]), {"Put": put_new(item)}) for item in written)


def _all_there(entries: Sequence[Item], found: Mapping[Place, Item]) -> bool:
    return all(found.get(place_of(entry), {}).get("points") == entry["points"] for entry in entries)


def _points(entries: Sequence[Item], found: Mapping[Place, Item]) -> Counter[str]:
    """Points by season that ledger entries hold in the table."""
    points: Counter[str] = Counter()
    for entry in entries:
        place = place_of(entry)
        points[place[1][:7]] += int(str(found[place]["points"]))
    return points


def _without_marker(record: Item) -> Item:
    """A record that owes nothing: no notice, no mail, no event out."""
    kept = {name: value for name, value in record.items() if not name.startswith("owed")}
    return {**kept, "imported": True}


def _newest(imported: datetime | None, seen: datetime | None) -> str | None:
    known = [moment for moment in (imported, seen) if moment is not None]
    return to_iso(max(known)) if known else None


def _merged(seen: Profile, imported: Profile) -> Profile:
    moved = seen.moved_to(_newer(seen.email, imported.email))
    return replace(
        moved,
        name=_newer(seen.name, imported.name),
        email_opt_out=_newer(seen.email_opt_out, imported.email_opt_out),
        locale=_newer(seen.locale, imported.locale),
    )


def _newer(seen: Dated[T], imported: Dated[T]) -> Dated[T]:
    return seen if imported.at is None else seen.updated(imported.value, imported.at)
