"""Every invariant of points, tokens, ledger and inbox, checked on the items of a table.

Reads only. On a live table the scan is no snapshot, so what looks wrong is looked at again before
it is called a violation. `./heist audit` and the function audit_table both use this.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import assert_never

from heist_core.domain.errors import Malformed

from . import items, keys
from .items import NOTICES_KEPT, SEASON_PREFIX, Item
from .keys import Kind, Source
from .table import Progress, Table

LOOKS = 10
"""A player is read so many times until two reads in a row agree."""
_NOTICES_SURE = NOTICES_KEPT - timedelta(days=1)
"""Younger heists and referrals still have their notices."""


@dataclass(frozen=True, order=True)
class Violation:
    """One broken invariant: whose, which, and the figures. No names, no addresses."""

    subject: str
    invariant: str
    figures: str

    @property
    def kind(self) -> str:
        return self.subject.partition(" ")[0]

    def __str__(self) -> str:
        return f"{self.subject}: {self.invariant} ({self.figures})"


def number(item: Item, name: str) -> int:
    """An integer attribute; absent is 0. Raises ValueError for anything else."""
    value = item.get(name, Decimal(0))
    if not isinstance(value, Decimal) or value != value.to_integral_value():
        raise ValueError(f"{name} is not an integer")
    return int(value)


@dataclass
class Story:
    """What the table says about one player."""

    state: Item | None = None
    points: dict[str, int] = field(default_factory=dict)
    ledger: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    robbed: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """What each heist took from them, by season and heist."""
    returned: dict[str, int] = field(default_factory=dict)
    victims: dict[str, str] = field(default_factory=lambda: defaultdict(str))
    """When they last robbed whom."""
    heists: int = 0
    refunds: int = 0
    last_heist_at: str = ""
    lifted_at: str = ""
    last_robbed_at: str = ""
    referrals: int = 0

    def cooldown_from(self) -> set[str]:
        """What `lastHeistAt` may be; nothing when the last heist's cooldown was lifted."""
        if self.lifted_at > self.last_heist_at:
            return {""}
        same_moment = self.lifted_at == self.last_heist_at
        return {self.last_heist_at, ""} if same_moment else {self.last_heist_at}


@dataclass
class Audit:
    """Takes items in any order; then lists what does not add up."""

    players: dict[str, Story] = field(default_factory=lambda: defaultdict(Story))
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
                    story = self.players[which]
                    story.state, story.points = item, points_of(item)
                    # Tokens of the old system have no records of their own here.
                    story.heists += number(item, "importedSpent")
                    story.referrals += number(item, "importedEarned")
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
                    | Kind.BOARD
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
        for player_id, story in self.players.items():
            yield from player_violations(player_id, story)
            yield from history_violations(player_id, story)
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
        for story in self.players.values():
            for season, points in story.points.items():
                held[season] += points
        for season in held.keys() | self.earned.keys():
            if held[season] != self.earned[season]:
                figures = f"{held[season]} held, {self.earned[season]} earned"
                yield Violation(f"season {season}", "points are conserved", figures)


def points_of(state: Item) -> dict[str, int]:
    """A player's points by season."""
    return {
        name.removeprefix(SEASON_PREFIX): number(state, name)
        for name in state
        if name.startswith(SEASON_PREFIX)
    }


def player_violations(player_id: str, story: Story) -> Iterator[Violation]:
    """Balance and ledger of one player."""
    subject = f"player {player_id}"
    state = story.state
    if state is None:
        yield Violation(subject, "has a state", "none")
        return
    points = story.points
    try:
        tokens, earned, spent = (
            number(state, name) for name in ("tokens", "tokensEarned", "tokensSpent")
        )
    except ValueError as error:
        yield Violation(subject, "can be read", str(error))
        return
    for season in points.keys() | story.ledger.keys():
        held, booked = points.get(season, 0), story.ledger.get(season, 0)
        if held != booked:
            yield Violation(
                subject, "the ledger adds up to the points", f"{season}: {booked} and {held}"
            )
        if held < 0:
            yield Violation(subject, "points are never negative", f"{season}: {held}")
    if tokens < 0 or tokens != earned - spent:
        yield Violation(
            subject, "tokens are those earned less those spent", f"{tokens} = {earned} - {spent}"
        )
    yield from loss_violations(subject, state, story)
    yield from board_violations(player_id, state)


def board_violations(player_id: str, state: Item) -> Iterator[Violation]:
    """The places on the leaderboard. Whoever was here before there were any may have none."""
    try:
        expected = items.board_places(items.player_from(player_id, state))
    except Malformed as malformed:
        yield Violation(f"player {player_id}", "can be read", str(malformed))
        return
    found = {name: state.get(name) for name in expected}
    if found != expected and ("firstSeenAt" in state or any(found.values())):
        wrong = sorted(name for name in expected if found[name] != expected[name])
        figures = ", ".join(f"{name} {found[name]}" for name in wrong)
        yield Violation(f"player {player_id}", "stands on the board by the points", figures)


def loss_violations(subject: str, state: Item, story: Story) -> Iterator[Violation]:
    """The counters of robberies and lost points, as far back as they are kept.

    Whoever was here before there were counters may have none for a season that began without.
    """
    counted = _map(state, "losses")
    seasons = set(counted)
    if story.robbed and "firstSeenAt" in state:
        seasons.add(max(story.robbed))
    for season in seasons:
        taken = story.robbed.get(season, {})
        undone = taken.keys() & story.returned.keys()
        lost = sum(taken.values()) - sum(story.returned[heist_id] for heist_id in undone)
        booked = {"robberies": len(taken) - len(undone), "points": lost}
        if counted.get(season) != booked:
            figures = f"{season}: {counted.get(season)} and {booked}"
            yield Violation(subject, "robberies and losses are those of the ledger", figures)


def _map(state: Item, name: str) -> Item:
    value = state.get(name)
    return value if isinstance(value, dict) else {}


def history_violations(player_id: str, story: Story) -> Iterator[Violation]:
    """A player's state and the records that brought it about, which lie all over the table."""
    subject, state = f"history of {player_id}", story.state or {}
    earned, spent = state.get("tokensEarned", 0), state.get("tokensSpent", 0)
    if spent != story.heists - story.refunds:
        figures = f"{spent} spent, {story.heists} heists, {story.refunds} refunded"
        yield Violation(subject, "one token per heist", figures)
    if earned != story.referrals:
        figures = f"{earned} earned, {story.referrals} referrals"
        yield Violation(subject, "one token per referral", figures)
    for name, seen in (
        ("lastHeistAt", story.cooldown_from()),
        ("lastRobbedAt", {story.last_robbed_at}),
    ):
        if str(state.get(name, "")) not in seen:
            figures = f"{state.get(name)} and {' or '.join(sorted(seen))}"
            yield Violation(subject, f"{name} is that of the last heist", figures)
    for victim, at in _map(state, "victims").items():
        if at != story.victims[victim]:
            figures = f"{victim}: {at} and {story.victims[victim]}"
            yield Violation(subject, "victims are remembered by their last heist", figures)


def heist_violations(heist_id: str, heist: Item, entries: Mapping[str, int]) -> Iterator[Violation]:
    """The record's own sums, and its two ledger entries."""
    subject = f"heist {heist_id}"
    try:
        stolen = number(heist, "pointsStolen")
        sums_hold = (
            stolen >= 1
            and number(heist, "victimPointsBefore") - stolen == number(heist, "victimPointsAfter")
            and number(heist, "attackerPointsBefore") + stolen
            == number(heist, "attackerPointsAfter")
            and number(heist, "victimPointsAfter") >= 0
        )
    except ValueError as error:
        yield Violation(subject, "can be read", str(error))
        return
    if not sums_hold:
        yield Violation(subject, "before and after differ by what was stolen", str(stolen))
    expected = {str(heist["attackerId"]): stolen, str(heist["victimId"]): -stolen}
    if entries != expected:
        yield Violation(
            subject, "has a gain and a loss in the ledger", str(sorted(entries.values()))
        )


def reversal_violations(
    heist_id: str, heist: Item, reversal: Item, entries: Mapping[str, int]
) -> Iterator[Violation]:
    """A reversal's own sums, those of its heist, and its two ledger entries."""
    subject = f"reversal of heist {heist_id}"
    try:
        returned = number(reversal, "pointsReturned")
        sums_hold = (
            0 <= returned <= number(heist, "pointsStolen")
            and number(reversal, "pointsStolen") == number(heist, "pointsStolen")
            and number(reversal, "shortfall") == number(heist, "pointsStolen") - returned
            and number(reversal, "attackerPointsBefore") - returned
            == number(reversal, "attackerPointsAfter")
            and number(reversal, "victimPointsBefore") + returned
            == number(reversal, "victimPointsAfter")
            and number(reversal, "attackerPointsAfter") >= 0
            and (number(reversal, "shortfall") == 0 or number(reversal, "attackerPointsAfter") == 0)
        )
    except ValueError as error:
        yield Violation(subject, "can be read", str(error))
        return
    if not sums_hold:
        yield Violation(subject, "before and after differ by what was returned", str(returned))
    for name in ("attackerId", "victimId", "season"):
        if reversal.get(name) != heist.get(name):
            yield Violation(subject, "is that of its heist", name)
    expected = {str(heist["attackerId"]): -returned, str(heist["victimId"]): returned}
    if entries != expected:
        yield Violation(subject, "has two entries in the ledger", str(sorted(entries.values())))


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
    whoever looked wrong once is read again at one moment, state and ledger, and that decides. The
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
    """What is wrong with a player's state and ledger at one moment, if one could be read."""
    for _ in range(LOOKS):
        before = table.get(keys.player(player_id))
        entries = list(table.partition(keys.ledger(player_id)))
        if before == table.get(keys.player(player_id)):
            story = audit_items([before, *entries] if before else entries).players[player_id]
            yield from player_violations(player_id, story)
            return


def _players(violations: Iterable[Violation]) -> set[str]:
    return {one.subject.partition(" ")[2] for one in violations if one.kind == "player"}
