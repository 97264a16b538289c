"""What one season says about settings, as figures; and many seasons, with their uncertainty."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import ceil, sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from ops.simulator.population import Population
from ops.simulator.season import Outcome

TOP = 10
LOSS_BINS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
"""The upper ends of the picture's bars, as loss ÷ earned; above the last is one more."""
LORENZ_STEPS = 20
_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t for 95 %, two-sided, with 1 to 30 degrees of freedom."""
_T_OF_MORE = 2.04


class Estimate(NamedTuple):
    """A mean over seeds; it lies within `half` of the true one with a confidence of 95 %."""

    mean: float
    half: float


class Measured(NamedTuple):
    """What is kept of a season."""

    figures: dict[str, float]
    refusals: dict[str, int]
    losses: list[float]
    """The share of players in each of the picture's bars."""
    lorenz: list[float]
    """The share of all points that the poorest 0, 5 … 100 % have."""
    lorenz_earned: list[float]


def measured(population: Population, outcome: Outcome) -> Measured:
    """Shares and ratios are in percent."""
    people = population.people
    earned = [person.earned for person in people]
    players, all_earned = len(people), max(1, sum(earned))
    ratios = [
        100 * lost / mine if mine else 0.0 for lost, mine in zip(outcome.lost, earned, strict=True)
    ]
    playing = sorted(ratio for ratio, mine in zip(ratios, earned, strict=True) if mine)
    newcomers = sorted(
        ratio
        for ratio, person in zip(ratios, people, strict=True)
        if person.joined and person.earned
    )
    from_whom = sum(earned[giver] for _, giver in population.pairs)
    before, after = sorted(earned), sorted(outcome.points)
    figures = {
        "heists": outcome.heists,
        "refusals": outcome.refusals.total(),
        "moved": 100 * outcome.moved / all_earned,
        "robbed": 100 * sum(map(bool, outcome.robbed)) / players,
        "robbed_95": percentile(sorted(outcome.robbed), 95),
        "loss_median": percentile(playing, 50),
        "loss_95": percentile(playing, 95),
        "newcomer_loss_median": percentile(newcomers, 50),
        "newcomer_loss_95": percentile(newcomers, 95),
        "at_risk": 100 * sum(outcome.at_risk) / players,
        "gini_before": gini(before),
        "gini_after": gini(after),
        "top_stay": len(_first(earned) & _first(outcome.points)),
        "per_invented": outcome.won_by_inventors / max(1, outcome.invented),
        "pair_gain": 100 * outcome.collected / max(1, from_whom),
    }
    return Measured(figures, dict(outcome.refusals), _bars(playing), lorenz(after), lorenz(before))


def percentile(ascending: Sequence[float], share: int) -> float:
    """By nearest rank: the least value that so many percent do not exceed; 0 of nothing."""
    return ascending[max(0, ceil(len(ascending) * share / 100) - 1)] if ascending else 0.0


def gini(ascending: Sequence[int]) -> float:
    """0 if all have the same, towards 1 if one has everything."""
    count, whole = len(ascending), sum(ascending)
    if not whole:
        return 0.0
    ranked = sum(rank * points for rank, points in enumerate(ascending, start=1))
    return 2 * ranked / (count * whole) - (count + 1) / count


def lorenz(ascending: Sequence[int]) -> list[float]:
    """The share of the points that the poorest have, in steps of 5 % of the players."""
    sums = [0, *accumulate(ascending)]
    count, whole = len(ascending), max(1, sums[-1])
    return [sums[count * step // LORENZ_STEPS] / whole for step in range(LORENZ_STEPS + 1)]


def _bars(ratios: Sequence[float]) -> list[float]:
    counts = [0] * (len(LOSS_BINS) + 1)
    for ratio in ratios:
        counts[sum(ratio > 100 * end for end in LOSS_BINS)] += 1
    return [count / max(1, len(ratios)) for count in counts]


def _first(points: Sequence[int]) -> set[int]:
    """Who has the first ten places; of equals those who stand first in the list."""
    return set(sorted(range(len(points)), key=lambda who: -points[who])[:TOP])


def estimate(values: Sequence[float]) -> Estimate:
    """Of two values or more."""
    free = len(values) - 1
    t = _T[free - 1] if free <= len(_T) else _T_OF_MORE
    return Estimate(fmean(values), t * stdev(values) / sqrt(len(values)))


def estimates(
    pairs: Sequence[tuple[Measured, Measured]], value: Callable[[Measured], float]
) -> tuple[Estimate, Estimate, Estimate]:
    """A figure under today's settings and under the proposed ones, and how it changes.

    Both seasons of a seed have the same players and the same wishes, so the change is known more
    closely than its sides.
    """
    now = [value(one) for one, _ in pairs]
    then = [value(other) for _, other in pairs]
    changes = [after - before for before, after in zip(now, then, strict=True)]
    return estimate(now), estimate(then), estimate(changes)
