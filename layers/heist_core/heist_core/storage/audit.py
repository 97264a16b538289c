"""Every invariant of points, tokens, ledger and inbox, checked on the items of a table.

Reads only. On a live table the scan is no snapshot, and an export may hold part of a transaction,
so what looks wrong is looked at again before it is called a violation. `./heist audit` and the
function audit_table both use this; audit_export.py takes a large table share by share.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
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
_NAMED = ("attackerId", "victimId", "referrerId", "recipientId")


def share_of(subject_id: str, shares: int) -> int:
    """Which share of an audit looks into a player, heist, referral or points event."""
    return zlib.crc32(subject_id.encode()) % shares


def subjects_of(item: Item) -> set[str]:
    """The ids of all that an item says something about: itself, and whom and what it names.

    All items on one subject are enough to tell what is wrong with it.
    """
    subjects = {keys.id_of(item), *(str(item[name]) for name in _NAMED if name in item)}
    if keys.kind_of(item) is Kind.LEDGER:
        with suppress(ValueError):
            _, _, source_id = keys.ledger_entry_of(item)
            subjects.add(source_id)
    return subjects


@dataclass
class Findings:
    """What an audit came to; those of the shares of a table add up to those of the table."""

    items: int = 0
    players: int = 0
    heists: int = 0
    owing: int = 0
    earned: Counter[str] = field(default_factory=Counter)
    """Points by season, by the ledger; and those that the players have."""
    held: Counter[str] = field(default_factory=Counter)
    of_one: set[Violation] = field(default_factory=set)
    """What is wrong with one player, heist, referral, event or inbox."""

    def add(self, share: "Findings") -> None:
        self.items += share.items
        self.players += share.players
        self.heists += share.heists
        self.owing += share.owing
        self.earned.update(share.earned)
        self.held.update(share.held)
        self.of_one |= share.of_one

    def violations(self) -> set[Violation]:
        """Everything that does not add up, the sums of the seasons too."""
        return self.of_one | {
            Violation(
                f"season {season}",
                "points are conserved",
                f"{self.held[season]} held, {self.earned[season]} earned",
            )
            for season in self.held.keys() | self.earned.keys()
            if self.held[season] != self.earned[season]
        }


def _everything(_subject_id: str) -> bool:
    return True


@dataclass
class Audit:
    """Takes items in any order; then lists what does not add up.

    `owns` tells of the id of a player, heist, referral or event whether this audit, of a share of
    the table, looks into it; it must then be given all items on that.
    """

    owns: Callable[[str], bool] = _everything
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
    noticed: set[str] = field(default_factory=set)
    notices_due: dict[str, set[str]] = field(default_factory=dict)
    unreadable: list[Violation] = field(default_factory=list)
    items: int = 0
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def take(self, item: Item) -> None:
        """Take one item into account."""
        key, which = keys.key_of(item), keys.id_of(item)
        self.items += self.owns(which)
        try:
            match keys.kind_of(item):
                case Kind.PLAYER:
                    account = self._account(which)
                    account.state = item
                    account.points.update(points_of(item))
                    # Tokens of the old system have no records of their own here.
                    account.heists += number(item, "importedSpent")
                    account.referrals += number(item, "importedEarned")
                case Kind.OLD_SEASONS:
                    self._account(which).points.update(points_of(item))
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
                    self._account(which).granted += number(item, "tokens")
                case Kind.NOTICE:
                    self.noticed.add(keys.place_of(key))
                    if self.owns(recipient := str(item["recipientId"])):
                        in_inbox = f"{recipient}/{keys.inbox_tag(key)}"
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
            if self.owns(which):
                violation = Violation(keys.place_of(key), "can be read", repr(error))
                self.unreadable.append(violation)

    def _account(self, player_id: str) -> Account:
        """What there is of a player; of another share's, nothing is kept."""
        return self.players[player_id] if self.owns(player_id) else Account()

    def _take_entry(self, player_id: str, item: Item) -> None:
        season, source, source_id = keys.ledger_entry_of(item)
        points = number(item, "points")
        account = self._account(player_id)
        account.ledger[season] += points
        match source:
            case Source.GAIN | Source.LOSS:
                if self.owns(source_id):
                    self.heist_entries[source_id][player_id] = points
                if source is Source.LOSS:
                    account.robbed[season][source_id] = -points
            case Source.REVERSAL:
                account.returned[source_id] = points
                if self.owns(source_id):
                    self.reversal_entries[source_id][player_id] = points
            case Source.EVENT | Source.IMPORT:
                if self.owns(player_id):
                    self.earned[season] += points
                if source is Source.EVENT and self.owns(source_id):
                    self.event_entries[source_id] = points

    def _take_heist(self, heist_id: str, item: Item) -> None:
        if item["status"] != "SUCCESS":
            return
        self.heists[heist_id] = item
        attacker, victim = str(item["attackerId"]), str(item["victimId"])
        at = str(item["createdAt"])
        robber, robbed = self._account(attacker), self._account(victim)
        robbed.last_robbed_at = max(robbed.last_robbed_at, at)
        robber.victims[victim] = max(robber.victims[victim], at)
        if "imported" not in item:
            robber.heists += 1
            self._take_owed(keys.heist(heist_id), item, attacker, victim)

    def _take_reversal(self, heist_id: str, item: Item) -> None:
        attacker, victim = str(item["attackerId"]), str(item["victimId"])
        self.reversals[heist_id] = item
        self._account(attacker).refunds += item["tokenRefunded"] is True
        self._take_owed(keys.reversal(heist_id), item, attacker, victim)

    def _take_referral(self, key: keys.Key, item: Item) -> None:
        if not items.is_held(item) and "imported" not in item:
            self._account(str(item["referrerId"])).referrals += 1
            self._take_owed(key, item, str(item["referrerId"]))

    def _still_noticed(self, item: Item) -> bool:
        return datetime.fromisoformat(str(item["createdAt"])) > self.now - _NOTICES_SURE

    def _take_owed(self, key: keys.Key, item: Item, *recipients: str) -> None:
        if not self.owns(keys.id_of(key)):
            return
        if self._still_noticed(item):
            self.notices_due[keys.place_of(key)] = {
                keys.place_of(keys.notice(key, who)) for who in recipients
            }
        if "owedBucket" in item:
            self.owing.add(keys.place_of(key))

    def findings(self) -> Findings:
        held: Counter[str] = Counter()
        for account in self.players.values():
            held.update(account.points)
        return Findings(
            items=self.items,
            players=len(self.players),
            heists=sum(map(self.owns, self.heists)),
            owing=len(self.owing),
            earned=Counter(self.earned),
            held=held,
            of_one=set(self._of_one()),
        )

    def violations(self) -> set[Violation]:
        """Everything that does not add up."""
        return self.findings().violations()

    def _of_one(self) -> Iterator[Violation]:
        yield from self.unreadable
        yield from self._reversal_violations()
        self._date_last_heists()
        for player_id, account in self.players.items():
            yield from player_violations(player_id, account)
            yield from history_violations(player_id, account)
        for heist_id, heist in self.heists.items():
            if self.owns(heist_id):
                entries = self.heist_entries.get(heist_id, {})
                yield from heist_violations(heist_id, heist, entries)
        for heist_id in self.heist_entries.keys() - self.heists.keys():
            yield Violation(f"heist {heist_id}", "a ledger entry has its heist", "no record")
        for event_id in self.points_events.keys() | self.event_entries.keys():
            event, entry = self.points_events.get(event_id), self.event_entries.get(event_id)
            if event != entry:
                yield Violation(f"event {event_id}", "has one ledger entry", f"{event} and {entry}")
        yield from self._notice_violations()
        yield from self._inbox_violations()

    def _date_last_heists(self) -> None:
        for heist_id, heist in self.heists.items():
            robber, at = self._account(str(heist["attackerId"])), str(heist["createdAt"])
            if self.reversals.get(heist_id, {}).get("cooldownLifted") is True:
                robber.lifted_at = max(robber.lifted_at, at)
            else:
                robber.last_heist_at = max(robber.last_heist_at, at)

    def _reversal_violations(self) -> Iterator[Violation]:
        for heist_id, reversal in self.reversals.items():
            if not self.owns(heist_id):
                continue
            heist = self.heists.get(heist_id)
            if heist is None:
                yield Violation(f"heist {heist_id}", "a reversal has its heist", "no record")
                continue
            entries = self.reversal_entries.get(heist_id, {})
            yield from reversal_violations(heist_id, heist, reversal, entries)
        for heist_id in self.reversal_entries.keys() - self.reversals.keys():
            yield Violation(f"heist {heist_id}", "a ledger entry has its reversal", "no record")

    def _notice_violations(self) -> Iterator[Violation]:
        for place, notices in self.notices_due.items():
            missing = notices - self.noticed
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


def report_of(
    findings: Findings, violations: Sequence[Violation], at: datetime, most: int | None = None
) -> dict[str, object]:
    """What an audit found, in figures, and `most` of its violations: no names, no addresses."""
    return {
        "at": to_iso(at),
        "items": findings.items,
        "players": findings.players,
        "heists": findings.heists,
        "owing": findings.owing,
        "pointsEarned": dict(sorted(findings.earned.items())),
        "violationCount": len(violations),
        "violations": [asdict(violation) for violation in violations[:most]],
    }


def audit_items(found: Iterable[Item], owns: Callable[[str], bool] = _everything) -> Audit:
    """An audit over a set of items."""
    audit = Audit(owns=owns)
    for item in found:
        audit.take(item)
    return audit


def audit_table(
    table: Table, *, rounds: int, progress: Progress = lambda _read: None
) -> tuple[Findings, list[Violation]]:
    """Audit a table: in one round if nobody writes to it, else in several while anything is wrong.

    The findings are those of the last round.
    """
    looks = [audit_items(table.scan(progress)).findings()]
    if rounds == 1 or not looks[0].violations():
        return looks[0], sorted(looks[0].violations())
    while len(looks) < rounds:
        looks.append(audit_items(table.scan(progress)).findings())
    return looks[-1], lasting(table, [look.violations() for look in looks])


def lasting(table: Table, looks: Sequence[set[Violation]]) -> list[Violation]:
    """Which of the violations found in several looks at a live table are true.

    A live table is never seen at one moment. What is wrong in every look, by the same figures, is a
    violation; but a player who moved on meanwhile may look wrong, or right, in any of them. So
    a player who looked wrong is read again at one moment, points and ledger, and that decides. The
    sums of a season follow from the players' and are not held against it by themselves.
    """
    found = {one for one in set.intersection(*looks) if one.kind not in ("player", "season")}
    for player_id in _players(set().union(*looks)):
        found |= set(_at_one_moment(table, player_id))
    if found:
        found |= {one for one in looks[-1] if one.kind == "season"}
    return sorted(found)


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
