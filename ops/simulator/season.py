"""A season of 30 days, day by day. What a heist may do is decided by the product's own rules."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

from heist_core.domain.board import curve_of
from heist_core.domain.errors import HeistRefused
from heist_core.domain.heist import HeistPlan, plan_heist
from heist_core.domain.player import Losses, Player, Preferences
from heist_core.domain.settings import Settings
from heist_core.domain.targets import REVENGE_FOR, reach_for
from heist_core.domain.times import season_of
from ops.simulator.behaviour import FIRST_PLACES, SCHEMERS_TRIES, SHOWN, TRIES, Behaviour, Choice
from ops.simulator.population import DAYS, Population

START = datetime(2026, 11, 1, tzinfo=UTC)
"""Of a month that has 30 days."""
SEASON = season_of(START)
WEEK = 7
AT_RISK = 0.2
MOST_CHANGED = 10
"""At most so many times as often are attacks tried, or as seldom."""
SECONDS = 24 * 60 * 60

_PREFERENCES = (Preferences(), Preferences(passive=True))
_OF_THE_TARGET = ("TARGET_", "PAIR_", "STEAL_")
"""How the codes begin after which another target may do."""


@dataclass(slots=True)
class Outcome:
    """What a season came to; lists are by player."""

    points: list[int]
    lost: list[int]
    """Points that heists took, whatever they won."""
    robbed: list[int]
    """How often."""
    at_risk: list[bool]
    """Lost in some week more than a fifth of what they had in it."""
    refusals: Counter[str] = field(default_factory=Counter)
    invented: int = 0
    """Friends, for their tokens."""
    won_by_inventors: int = 0
    collected: int = 0
    """By the one of each pair from the other."""
    gains: list[float] = field(default_factory=list)
    """Points that an attack brought on average, up to the end of each day."""

    @property
    def heists(self) -> int:
        return sum(self.robbed)

    @property
    def moved(self) -> int:
        return sum(self.lost)


def play(
    population: Population,
    settings: Settings,
    behaviour: Behaviour,
    seed: int,
    usual: Sequence[float] = (),
) -> Outcome:
    """Play a season.

    `usual` is what attacks brought by the end of each day under other settings: elasticity
    compares with it. Raises ArithmeticError if a point were lost or made.
    """
    season = _Season(population, settings)
    attacks = _Attacks(population, behaviour, seed)
    outcome = season.outcome
    tried = won = 0
    for who in attacks.referrers(-1):
        season.tokens[who] += 1
    for day, earnings in enumerate(population.earnings):
        season.begin_day(day, earnings)
        for who in attacks.referrers(day):
            season.tokens[who] += 1
        board = _Board(season.outcome.points)
        often = 1.0
        if behaviour.elasticity and usual and day and usual[day - 1]:
            often = (outcome.gains[-1] / usual[day - 1]) ** behaviour.elasticity
            often = min(max(often, 1 / MOST_CHANGED), MOST_CHANGED)
        random = Random(f"{seed} {day} targets")
        for second, who in attacks.of_day(day, often):
            now = START + timedelta(days=day, seconds=second)
            targets = attacks.targets(who, season, board, now, random)
            stolen = season.attack(who, targets, now)
            if who in attacks.inventors:
                outcome.won_by_inventors += stolen
            elif who in attacks.partners:
                outcome.collected += stolen
            else:
                tried, won = tried + 1, won + stolen
        outcome.gains.append(won / tried if tried else 0.0)
        if day % WEEK == WEEK - 1 or day == DAYS - 1:
            season.end_week()
    outcome.invented = len(population.inventors) * DAYS
    if sum(outcome.points) != sum(person.earned for person in population.people):
        raise ArithmeticError("a simulated season lost or made points")
    return outcome


class _Season:
    """The state of all players, as far as rules ask for it."""

    def __init__(self, population: Population, settings: Settings) -> None:
        players = len(population.people)
        self.settings = settings
        self.ids = [str(number) for number in range(players)]
        self.tokens = [0] * players
        self._last_robber: dict[int, int] = {}
        self.outcome = Outcome([0] * players, [0] * players, [0] * players, [False] * players)
        self._preferences = [_PREFERENCES[person.passive] for person in population.people]
        self._joining: dict[int, list[int]] = {}
        for number, person in enumerate(population.people):
            if person.joined:
                self._joining.setdefault(person.joined - 1, []).append(number)
        self._exists = [not person.joined for person in population.people]
        self._first_seen: list[datetime | None] = [None] * players
        self._last_heist: list[datetime | None] = [None] * players
        self._last_robbed: list[datetime | None] = [None] * players
        self._losses: list[Mapping[str, Losses]] = [{}] * players
        self._victims: list[Mapping[str, datetime]] = [{}] * players
        self._lost_before = [0] * players

    def begin_day(self, day: int, earnings: Sequence[tuple[int, int]]) -> None:
        for who in self._joining.get(day, ()):
            self._exists[who] = True
            self._first_seen[who] = START + timedelta(days=day)
        points = self.outcome.points
        for who, earned in earnings:
            points[who] += earned

    def end_week(self) -> None:
        """Since what they have now is what they had and got, less what they lost."""
        outcome = self.outcome
        for who, lost in enumerate(outcome.lost):
            lost_now = lost - self._lost_before[who]
            if lost_now > AT_RISK * (outcome.points[who] + lost_now):
                outcome.at_risk[who] = True
        self._lost_before = list(outcome.lost)

    def attack(self, who: int, targets: Iterator[int], now: datetime) -> int:
        """Try one target after another; the points that it brought."""
        if not self._exists[who]:
            return 0
        attacker = self._player(who)
        for target in targets:
            if target == who:
                continue
            victim = self._player(target)
            try:
                plan = plan_heist(attacker, victim, self.settings, now)
            except HeistRefused as refusal:
                self.outcome.refusals[refusal.code] += 1
                if not refusal.code.startswith(_OF_THE_TARGET):
                    break
            else:
                self._commit(who, attacker, target, victim, plan)
                return plan.points_stolen
        return 0

    def robber_of(self, who: int, now: datetime) -> int | None:
        """Who robbed them last, as long as /targets offers revenge."""
        at = self._last_robbed[who]
        return self._last_robber[who] if at is not None and now < at + REVENGE_FOR else None

    def _player(self, who: int) -> Player:
        """As plan_heist looks at them."""
        return Player(
            id=self.ids[who],
            version=int(self._exists[who]),
            tokens=self.tokens[who],
            last_heist_at=self._last_heist[who],
            last_robbed_at=self._last_robbed[who],
            first_seen_at=self._first_seen[who],
            points={SEASON: self.outcome.points[who]},
            losses=self._losses[who],
            victims=self._victims[who],
            preferences=self._preferences[who],
        )

    def _commit(
        self, who: int, attacker: Player, target: int, victim: Player, plan: HeistPlan
    ) -> None:
        outcome = self.outcome
        outcome.points[who] = plan.attacker_points_after
        outcome.points[target] = plan.victim_points_after
        self.tokens[who] = plan.tokens_left
        self._last_heist[who] = self._last_robbed[target] = plan.at
        self._victims[who] = attacker.victims_after_heist(
            victim.id, plan.at, self.settings.pair_cooldown
        )
        self._losses[target] = victim.losses_after_heist(plan.season, plan.points_stolen)
        self._last_robber[target] = who
        outcome.lost[target] += plan.points_stolen
        outcome.robbed[target] += 1


class _Board:
    """Who had how many points this morning."""

    def __init__(self, points: Sequence[int]) -> None:
        self._order = sorted(range(len(points)), key=points.__getitem__)
        self._points = [points[who] for who in self._order]
        self._curve = curve_of(Counter(mine for mine in self._points if mine))

    def in_reach(self, points: int) -> range:
        """The places of those whom /targets would look at for somebody with so many points."""
        reach = reach_for(points, SHOWN, self._curve)
        places = range(bisect_left(self._points, reach.low), bisect_right(self._points, reach.high))
        return places or range(len(self._points))

    def suggestion(self, places: range, random: Random) -> int:
        return self._order[places.start + int(random.random() * len(places))]

    def first_place(self, random: Random) -> int:
        return self._order[-1 - random.randrange(min(FIRST_PLACES, len(self._order)))]


class _Attacks:
    """Who attacks when, and whom. Drawn apart for each day: settings do not change who wishes."""

    def __init__(self, population: Population, behaviour: Behaviour, seed: int) -> None:
        self._behaviour = behaviour
        self._seed = seed
        self._choices = list(behaviour.choices)
        self._shares = list(accumulate(behaviour.choices.values()))
        self.inventors = frozenset(population.inventors)
        self.partners = dict(population.pairs)
        schemers = self.inventors | self.partners.keys()
        weights = [
            0.0 if who in schemers else person.tokens
            for who, person in enumerate(population.people)
        ]
        self._weights = list(accumulate(weights))
        self._schemers = {
            who: Random(f"{seed} {who}").randrange(SECONDS) for who in sorted(schemers)
        }
        """At which second of each day they attack: a cooldown of whole days is over by then."""

    def referrers(self, day: int) -> list[int]:
        """Who gets a token today; on day -1, who has them from the season before."""
        random = Random(f"{self._seed} {day} tokens")
        if day < 0:
            return self._drawn(self._behaviour.referrals * DAYS, random)
        return [*self._drawn(self._behaviour.referrals, random), *self._schemers]

    def of_day(self, day: int, often: float) -> list[tuple[int, int]]:
        """Second of the day, and who."""
        random = Random(f"{self._seed} {day} attacks")
        drawn = self._drawn(self._behaviour.attacks * often, random)
        attacks = [(random.randrange(SECONDS), who) for who in drawn]
        return sorted([*attacks, *((second, who) for who, second in self._schemers.items())])

    def targets(
        self, who: int, season: "_Season", board: _Board, now: datetime, random: Random
    ) -> Iterator[int]:
        """Whom they look at, one after another."""
        if who in self.partners:
            yield self.partners[who]
            return
        if who in self.inventors:
            choice, tries = Choice.BOARD, SCHEMERS_TRIES
        else:
            tries = TRIES
            [choice] = random.choices(self._choices, cum_weights=self._shares)
        if choice is Choice.REVENGE and (robber := season.robber_of(who, now)) is not None:
            yield robber
            tries -= 1
        if choice is Choice.BOARD:
            for _ in range(tries):
                yield board.first_place(random)
            return
        points = season.outcome.points
        places = board.in_reach(points[who])
        for _ in range(tries):
            if choice is Choice.RICHEST:
                yield max(
                    [board.suggestion(places, random) for _ in range(SHOWN)],
                    key=points.__getitem__,
                )
            else:
                yield board.suggestion(places, random)

    def _drawn(self, rate: float, random: Random) -> list[int]:
        """Whose turn it is, at a rate per player and season, the more eager ones more often."""
        if not self._weights[-1]:
            return []
        turns = round(rate * len(self._weights) / DAYS)
        return random.choices(range(len(self._weights)), cum_weights=self._weights, k=turns)
