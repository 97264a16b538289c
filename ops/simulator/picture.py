"""The picture beside the report: who loses how much, and how unequal points are."""

from collections.abc import Sequence
from math import ceil
from statistics import fmean

from ops.simulator.measures import LORENZ_STEPS, LOSS_BINS, Measured

_SIZE, _LEFT, _TOP, _GAP = 330, 60, 50, 90
_BOTTOM = _TOP + _SIZE
_STYLE = """<style>
svg { background: #fff } text { font: 12px sans-serif; fill: #222 }
.title { font-weight: bold } .grid { stroke: #ddd } .even { stroke: #999 }
.earned { stroke: #777; stroke-dasharray: 5 4 }
.now { stroke: #1b6ca8; fill: #1b6ca8 } .then { stroke: #c8553d; fill: #c8553d }
polyline { stroke-width: 2 } polyline.earned, polyline.now, polyline.then { fill: none }
@media (prefers-color-scheme: dark) {
svg { background: #16181d } text { fill: #ddd } .grid { stroke: #3a3f4a } .even { stroke: #777 }
.earned { stroke: #aaa } .now { stroke: #6cb4ee; fill: #6cb4ee }
.then { stroke: #f0896f; fill: #f0896f } }
</style>"""


def drawing(pairs: Sequence[tuple[Measured, Measured]]) -> str:
    """An SVG for light and dark pages; every share is a mean over the seeds."""
    now, then = zip(*pairs, strict=True)
    width, height = 2 * _LEFT + 2 * _SIZE + _GAP, _BOTTOM + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
        _STYLE,
        *_losses(_means([one.losses for one in now]), _means([one.losses for one in then])),
        *_lorenz(
            {
                "earned": _means([one.lorenz_earned for one in now]),
                "now": _means([one.lorenz for one in now]),
                "then": _means([one.lorenz for one in then]),
            }
        ),
    ]
    for x, name, text in (
        (_LEFT, "now", "settings of today"),
        (_LEFT + 170, "then", "proposed settings"),
        (_LEFT + 340, "earned", "what was earned, before any heist"),
    ):
        y = _BOTTOM + 56
        parts += [
            f'<polyline class="{name}" points="{x},{y - 4} {x + 22},{y - 4}"/>',
            _text(x + 30, y, text),
        ]
    return "\n".join([*parts, "</svg>", ""])


def _means(lists: Sequence[Sequence[float]]) -> list[float]:
    return [fmean(values) for values in zip(*lists, strict=True)]


def _losses(now: Sequence[float], then: Sequence[float]) -> list[str]:
    """Two bars for each range of loss ÷ earned."""
    highest = ceil(25 * max(0.01, *now, *then)) / 25
    parts = [_text(_LEFT, _TOP - 20, "players by loss ÷ earned, up to …", "title")]
    parts += _grid(_LEFT, highest)
    step = _SIZE / len(now)
    ends = [f"{100 * end:.0f}" for end in LOSS_BINS]
    names = ["none", *(f"{end} %" for end in ends[1:]), "more"]
    for place, name in enumerate(names):
        x = _LEFT + place * step
        for at, (kind, shares) in enumerate((("now", now), ("then", then))):
            high = _SIZE * shares[place] / highest
            parts.append(
                f'<rect class="{kind}" x="{x + 4 + at * (step - 8) / 2:.1f}" '
                f'y="{_BOTTOM - high:.1f}" width="{(step - 10) / 2:.1f}" height="{high:.1f}"/>'
            )
        parts.append(_text(x + step / 2, _BOTTOM + 18, name, anchor="middle"))
    return parts


def _lorenz(curves: dict[str, Sequence[float]]) -> list[str]:
    """Shares of all points that the poorest so many percent have."""
    left = _LEFT + _SIZE + _GAP
    parts = [_text(left, _TOP - 20, "share of all points that the poorest have", "title")]
    parts += _grid(left, 1)
    parts += [
        _text(left + _SIZE * step / 4, _BOTTOM + 18, f"{25 * step} %", anchor="middle")
        for step in range(5)
    ]
    parts.append(f'<line class="even" x1="{left}" y1="{_BOTTOM}" x2="{left + _SIZE}" y2="{_TOP}"/>')
    for name, shares in curves.items():
        points = " ".join(
            f"{left + _SIZE * step / LORENZ_STEPS:.1f},{_BOTTOM - _SIZE * share:.1f}"
            for step, share in enumerate(shares)
        )
        parts.append(f'<polyline class="{name}" points="{points}"/>')
    return parts


def _grid(left: float, highest: float) -> list[str]:
    """Lines at each quarter of the height, with what share each stands for."""
    parts = []
    for quarter in range(5):
        y = _BOTTOM - _SIZE * quarter / 4
        parts += [
            f'<line class="grid" x1="{left}" x2="{left + _SIZE}" y1="{y:.1f}" y2="{y:.1f}"/>',
            _text(left - 6, y + 4, f"{100 * highest * quarter / 4:.0f} %", anchor="end"),
        ]
    return parts


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    escaped = text.replace("<", "&lt;").replace(">", "&gt;")
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style} text-anchor="{anchor}">{escaped}</text>'
