"""The figures of two simulated seasons beside each other, in 80 columns."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ops.simulator.measures import Estimate, Measured, estimates

Row = tuple[str, str, str, str]


class Figure(NamedTuple):
    label: str
    decimals: int


FIGURES = {
    "heists": Figure("heists", 0),
    "refusals": Figure("refusals, all codes", 0),
    "moved": Figure("points moved, % of earned", 2),
    "robbed": Figure("players robbed, %", 1),
    "robbed_95": Figure("  times, 95th percentile", 1),
    "loss_median": Figure("loss ÷ earned, median, %", 2),
    "loss_95": Figure("  95th percentile, %", 1),
    "newcomer_loss_median": Figure("  of newcomers, median, %", 2),
    "newcomer_loss_95": Figure("  and 95th percentile, %", 1),
    "at_risk": Figure("at risk (20 % in a week), %", 2),
    "gini_before": Figure("Gini of what was earned", 3),
    "gini_after": Figure("Gini after heists", 3),
    "top_stay": Figure("of the top ten still there", 1),
    "per_invented": Figure("points per fake referral", 1),
    "pair_gain": Figure("a pair's gain, % of one's", 1),
}
"""In the order of the report. A pair's gain: what one takes of all that the other earns."""

Estimates = dict[str, tuple[Estimate, Estimate, Estimate]]


def figures_of(pairs: Sequence[tuple[Measured, Measured]]) -> Estimates:
    """Every figure, refusals by code under `refusals CODE`, the most frequent first."""
    codes = {code for pair in pairs for one in pair for code in one.refusals}
    by_code = {code: estimates(pairs, partial(_refused, code)) for code in codes}
    often = sorted(codes, key=lambda code: (-by_code[code][0].mean - by_code[code][1].mean, code))
    found: Estimates = {}
    for name in FIGURES:
        found[name] = estimates(pairs, partial(_figure, name))
        if name == "refusals":
            found |= {f"refusals {code}": by_code[code] for code in often}
    return found


def _figure(name: str, one: Measured) -> float:
    return one.figures[name]


def _refused(code: str, one: Measured) -> float:
    return one.refusals.get(code, 0)


def rows(found: Estimates) -> Iterator[Row]:
    """Each with its 95 % interval."""
    for name, (now, then, change) in found.items():
        label, decimals = FIGURES.get(name) or Figure(f"  {name.partition(' ')[2]}", 0)
        yield label, _text(now, decimals), _text(then, decimals), _text(change, decimals, "+")


def _text(estimate: Estimate, decimals: int, sign: str = "") -> str:
    mean = round(estimate.mean, decimals) + 0.0  # never -0
    return f"{mean:{sign},.{decimals}f} ± {estimate.half:,.{decimals}f}"
