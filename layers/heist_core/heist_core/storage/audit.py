"""Every invariant of points, tokens, ledger and inbox, checked on the items of a table.

Reads only. On a live table the scan is no snapshot, so what looks wrong is looked at again before
it is called a violation. `./heist audit` and the function audit_table both use this.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import assert_never

from heist_core.domain.times import to_iso

from . import items, keys
from .inbox_items import NOTICES_KEPT
from .invariants import (
    Account,
    Violation,
    heist_violations,
    history_violations,
    number,
    player_violations,
    points_of,
    reversal_violations,
)
from .keys import Kind, Source
from .table import Progress, Table
from .wire import Item

LOOKS = 10
"""A player is read so many times until two reads in a row agree."""
_NOTICES_SURE = NOTICES_KEPT - timedelta(days=1)
"""Younger heists and referrals still have their notices."""


@dataclass
class Audit:
    """Takes items in any order; then lists what does not add up."""

    players: dict[str, Account] = field(default_factory=lambda: defaultdict(Account))
    earned: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    heists: dict[str, Item] = field(default_factory=dict)
    heist_entries: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    reversals: dict[str, Item] = field(default_factory=dict)
    reversal_entries: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    points_events: dict[str, int] = field(default_factory=dict)
    event_entries: dict[str, int] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)
    inbox: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    read: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    newest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    owing: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    to_be_told: dict[str, set[str]] = field(default_factory=dict)
    held: int = 0
    unreadable: list[Violation] = field(default_factory=list)
    items: int = 0
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def take(self, item: Item) -> None:
        """Take one item into account."""
        self.items += 1
        key, which = keys.key_of(item), keys.id_of(item)
        try:
            match keys.kind_of(item):
                case Kind.PLAYER:
                    account = self.players[which]
                    account.state = item
                    account.points.update(points_of(item))
                    # Tokens of the old system have no records of their own here.
                    account.heists += number(item, "importedSpent")
                    account.referrals += number(item, "importedEarned")
                case Kind.OLD_SEASONS:
                    self.players[which].points.update(points_of(item))
                case Kind.LEDGER:
                    self._take_entry(which, item)
                case Kind.HEIST:
                    self._take_heist(which, item)
                case Kind.REVERSAL:
                    self._take_reversal(which, item)
                case Kind.REFERRAL:
                    self._take_referral(key, item)
                case Kind.POINTS_EVENT:
                    self.points_events[which] = number(item, "points")
                case Kind.GRANT:
                    self.players[which].granted += number(item, "tokens")
                case Kind.NOTICE:
                    self.told.add(keys.place_of(key))
                    in_inbox = f"{item['recipientId']}/{keys.inbox_tag(key)}"
                    self.notices[in_inbox] = keys.place_of(key)
                case Kind.INBOX:
                    if self._still_noticed(item):
                        self.inbox[f"{which}/{item['tag']}"] += 1
                    self.unread[which] += "unread" in item
                    self.newest[which] = max(self.newest[which], int(key["sk"]))
                case Kind.READ_COUNT:
                    self.read[which] = number(item, "readItems")
                    self.newest[which] = max(self.newest[which], number(item, "newest"))
                case (
                    Kind.RATE
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
                    | Kind.REQUEST
                    | Kind.AUDIT
                    | Kind.BOARD
                    | Kind.DIGEST
                    | None
                ):
                    pass
                case unknown:
                    assert_never(unknown)
        except (KeyError, ValueError) as error:
            self.unreadable.append(Violation(keys.place_of(key), "can be read", repr(error)))

    def _take_entry(self, player_id: str, item: Item) -> None:
        season, source, source_id = keys.ledger_entry_of(item)
        points = number(item, "points")
        self.players[player_id].ledger[season] += points
        match source:
            case Source.GAIN | Source.LOSS:
                self.heist_entries[source_id][player_id] = points
                if source is Source.LOSS:
                    self.players[player_id].robbed[season][source_id] = -points
            case Source.REVERSAL:
                self.players[player_id].returned[source_id] = points
                self.reversal_entries[source_id][player_id] = points
            case Source.EVENT:
                self.earned[season] += points
                self.event_entries[source_id] = points
            case Source.IMPORT:
                self.earned[season] += points

    def _take_heist(self, heist_id: str, item: Item) -> None:
        if item["status"] != "SUCCESS":
            return
        self.heists[heist_id] = item
        attacker, victim = str(item["attackerId"]), str(item["victimId"])
        at = str(item["createdAt"])
        robber, robbed = self.players[attacker], self.players[victim]
        robbed.last_robbed_at = max(robbed.last_robbed_at, at)
        robber.victims[victim] = max(robber.victims[victim], at)
        if "imported" not in item:
            robber.heists += 1
            self._take_owed(keys.heist(heist_id), item, attacker, victim)

    def _take_reversal(self, heist_id: str, item: Item) -> None:
        attacker, victim = str(item["attackerId"]), str(item["victimId"])
        self.reversals[heist_id] = item
        self.players[attacker].refunds += item["tokenRefunded"] is True
        self._take_owed(keys.reversal(heist_id), item, attacker, victim)

    def _take_referral(self, key: keys.Key, item: Item) -> None:
        if items.is_held(item):
            self.held += 1
        elif "imported" not in item:
            self.players[str(item["referrerId"])].referrals += 1
            self._take_owed(key, item, str(item["referrerId"]))

    def _still_noticed(self, item: Item) -> bool:
        return datetime.fromisoformat(str(item["createdAt"])) > self.now - _NOTICES_SURE

    def _take_owed(self, key: keys.Key, item: Item, *recipients: str) -> None:
        if self._still_noticed(item):
            self.to_be_told[keys.place_of(key)] = {
                keys.place_of(keys.notice(key, who)) for who in recipients
            }
        if "owedBucket" in item:
            self.owing.add(keys.place_of(key))

    def violations(self) -> Iterator[Violation]:
        """Everything that does not add up."""
        yield from self.unreadable
        yield from self._reversal_violations()
        self._date_last_heists()
        for player_id, account in self.players.items():
            yield from player_violations(player_id, account)
            yield from history_violations(player_id, account)
        for heist_id, heist in self.heists.items():
            yield from heist_violations(heist_id, heist, self.heist_entries.get(heist_id, {}))
        for heist_id in self.heist_entries.keys() - self.heists.keys():
            yield Violation(f"heist {heist_id}", "a ledger entry has its heist", "no record")
        for event_id in self.points_events.keys() | self.event_entries.keys():
            event, entry = self.points_events.get(event_id), self.event_entries.get(event_id)
            if event != entry:
                yield Violation(f"event {event_id}", "has one ledger entry", f"{event} and {entry}")
        yield from self._notice_violations()
        yield from self._inbox_violations()
        yield from self._season_violations()

    def _date_last_heists(self) -> None:
        for heist_id, heist in self.heists.items():
            robber, at = self.players[str(heist["attackerId"])], str(heist["createdAt"])
            if self.reversals.get(heist_id, {}).get("cooldownLifted") is True:
                robber.lifted_at = max(robber.lifted_at, at)
            else:
                robber.last_heist_at = max(robber.last_heist_at, at)

    def _reversal_violations(self) -> Iterator[Violation]:
        for heist_id, reversal in self.reversals.items():
            heist = self.heists.get(heist_id)
            if heist is None:
                yield Violation(f"heist {heist_id}", "a reversal has its heist", "no record")
                continue
            entries = self.reversal_entries.get(heist_id, {})
            yield from reversal_violations(heist_id, heist, reversal, entries)
        for heist_id in self.reversal_entries.keys() - self.reversals.keys():
            yield Violation(f"heist {heist_id}", "a ledger entry has its reversal", "no record")

    def _notice_violations(self) -> Iterator[Violation]:
        for place, notices in self.to_be_told.items():
            missing = notices - self.told
            if missing and place not in self.owing:
                figures = f"{len(missing)} not told"
                yield Violation(place, "everybody was told, or it is owed", figures)
        for place, notice in self.notices.items():
            if self.inbox[place] > 1:
                figures = f"{self.inbox[place]} items"
                yield Violation(notice, "one inbox item per recipient", figures)
        for place in self.inbox.keys() - self.notices.keys():
            if self.inbox[place]:
                yield Violation(f"inbox {place}", "an inbox item has its notice", "no notice")

    def _inbox_violations(self) -> Iterator[Violation]:
        for player_id, read in self.read.items():
            came, unread = self.newest[player_id], self.unread[player_id]
            if came - read != unread:
                figures = f"{came} came, {read} read, {unread} unread"
                yield Violation(f"inbox {player_id}", "what was not read is unread", figures)

    def _season_violations(self) -> Iterator[Violation]:
        held: dict[str, int] = defaultdict(int)
        for account in self.players.values():
            for season, points in account.points.items():
                held[season] += points
        for season in held.keys() | self.earned.keys():
            if held[season] != self.earned[season]:
                figures = f"{held[season]} held, {self.earned[season]} earned"
                yield Violation(f"season {season}", "points are conserved", figures)


def report_of(
    audit: Audit, violations: Sequence[Violation], at: datetime, most: int | None = None
) -> dict[str, object]:
    """What an audit found, in figures, and `most` of its violations: no names, no addresses."""
    return {
        "at": to_iso(at),
        "items": audit.items,
        "players": len(audit.players),
        "heists": len(audit.heists),
        "owing": len(audit.owing),
        "pointsEarned": dict(sorted(audit.earned.items())),
        "violationCount": len(violations),
        "violations": [asdict(violation) for violation in violations[:most]],
    }


def audit_items(found: Iterable[Item]) -> Audit:
    """An audit over a set of items."""
    audit = Audit()
    for item in found:
        audit.take(item)
    return audit


def audit_table(
    table: Table, *, rounds: int, progress: Progress = lambda _read: None
) -> tuple[Audit, list[Violation]]:
    """Audit a table: in one round if nobody writes to it, else in several.

    A live table is never seen at one moment. What is wrong in every scan, by the same figures, is a
    violation; but a player who moved on meanwhile may look wrong, or right, in any of them. So
    a player who looked wrong is read again at one moment, points and ledger, and that decides. The
    sums of a season follow from the players' and are not held against it by themselves.
    """
    audit = audit_items(table.scan(progress))
    found = lasting = set(audit.violations())
    if rounds == 1 or not found:
        return audit, sorted(found)
    players = _players(found)
    for _ in range(rounds - 1):
        audit = audit_items(table.scan(progress))
        found = set(audit.violations())
        players |= _players(found)
        lasting = lasting & found
    violations = {one for one in lasting if one.kind not in ("player", "season")}
    for player_id in players:
        violations |= set(_at_one_moment(table, player_id))
    if violations:
        violations |= {one for one in found if one.kind == "season"}
    return audit, sorted(violations)


def _at_one_moment(table: Table, player_id: str) -> Iterator[Violation]:
    """What is wrong with a player's points and ledger at one moment, if one could be read."""
    for _ in range(LOOKS):
        before = table.get(keys.player(player_id))
        old = table.get(keys.old_seasons(player_id))
        entries = table.partition(keys.ledger(player_id))
        read = [item for item in (before, old, *entries) if item is not None]
        if before == table.get(keys.player(player_id)):
            account = audit_items(read).players[player_id]
            yield from player_violations(player_id, account)
            return


def _players(violations: Iterable[Violation]) -> set[str]:
    return {one.subject.partition(" ")[2] for one in violations if one.kind == "player"}
