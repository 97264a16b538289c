"""What must hold of one player, heist or reversal, as invariants over what the table says."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from heist_core.domain.errors import Malformed

from . import player_items
from .player_items import SEASON_PREFIX
from .wire import Item


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
class Account:
    """What the table says about one player."""

    state: Item | None = None
    points: Counter[str] = field(default_factory=Counter)
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
    granted: int = 0

    def cooldown_from(self) -> set[str]:
        """What `lastHeistAt` may be; nothing when the last heist's cooldown was lifted."""
        if self.lifted_at > self.last_heist_at:
            return {""}
        same_moment = self.lifted_at == self.last_heist_at
        return {self.last_heist_at, ""} if same_moment else {self.last_heist_at}


def points_of(state: Item) -> dict[str, int]:
    """Points by season, of a player's item or of that of their old seasons."""
    return {
        name.removeprefix(SEASON_PREFIX): number(state, name)
        for name in state
        if name.startswith(SEASON_PREFIX)
    }


def player_violations(player_id: str, account: Account) -> Iterator[Violation]:
    """Balance and ledger of one player."""
    subject = f"player {player_id}"
    state = account.state
    if state is None:
        yield Violation(subject, "has a state", "none")
        return
    points = account.points
    try:
        tokens, earned, spent = (
            number(state, name) for name in ("tokens", "tokensEarned", "tokensSpent")
        )
    except ValueError as error:
        yield Violation(subject, "can be read", str(error))
        return
    for season in points.keys() | account.ledger.keys():
        held, booked = points.get(season, 0), account.ledger.get(season, 0)
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
    yield from loss_violations(subject, state, account)
    yield from board_violations(player_id, state)


def board_violations(player_id: str, state: Item) -> Iterator[Violation]:
    """The places on the leaderboard. Whoever was here before there were any may have none."""
    try:
        expected = player_items.board_places(player_items.player_from(player_id, state))
    except Malformed as malformed:
        yield Violation(f"player {player_id}", "can be read", str(malformed))
        return
    found = {name: state.get(name) for name in expected}
    if found != expected and ("firstSeenAt" in state or any(found.values())):
        wrong = sorted(name for name in expected if found[name] != expected[name])
        figures = ", ".join(f"{name} {found[name]}" for name in wrong)
        yield Violation(f"player {player_id}", "stands on the board by the points", figures)


def loss_violations(subject: str, state: Item, account: Account) -> Iterator[Violation]:
    """The counters of robberies and lost points, as far back as they are kept.

    Whoever was here before there were counters may have none for a season that began without.
    """
    counted = _map(state, "losses")
    seasons = set(counted)
    if account.robbed and "firstSeenAt" in state:
        seasons.add(max(account.robbed))
    for season in seasons:
        taken = account.robbed.get(season, {})
        undone = taken.keys() & account.returned.keys()
        lost = sum(taken.values()) - sum(account.returned[heist_id] for heist_id in undone)
        booked = {"robberies": len(taken) - len(undone), "points": lost}
        if counted.get(season) != booked:
            figures = f"{season}: {counted.get(season)} and {booked}"
            yield Violation(subject, "robberies and losses are those of the ledger", figures)


def _map(state: Item, name: str) -> Item:
    value = state.get(name)
    return value if isinstance(value, dict) else {}


def history_violations(player_id: str, account: Account) -> Iterator[Violation]:
    """A player's state and the records that brought it about, which lie all over the table."""
    subject, state = f"history of {player_id}", account.state or {}
    earned, spent = state.get("tokensEarned", 0), state.get("tokensSpent", 0)
    if spent != account.heists - account.refunds:
        figures = f"{spent} spent, {account.heists} heists, {account.refunds} refunded"
        yield Violation(subject, "one token per heist", figures)
    if earned != account.referrals + account.granted:
        figures = f"{earned} earned, {account.referrals} referrals, {account.granted} granted"
        yield Violation(subject, "one token per referral", figures)
    if state.get("tokensGranted", 0) != account.granted:
        figures = f"{state.get('tokensGranted', 0)} and {account.granted}"
        yield Violation(subject, "granted tokens are those of the records", figures)
    for name, seen in (
        ("lastHeistAt", account.cooldown_from()),
        ("lastRobbedAt", {account.last_robbed_at}),
    ):
        if str(state.get(name, "")) not in seen:
            figures = f"{state.get(name)} and {' or '.join(sorted(seen))}"
            yield Violation(subject, f"{name} is that of the last heist", figures)
    for victim, at in _map(state, "victims").items():
        if at != account.victims[victim]:
            figures = f"{victim}: {at} and {account.victims[victim]}"
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
