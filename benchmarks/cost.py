"""`make cost`: what the stack costs a month, and where the dollars and a heist's write units go.

PLAYERS= all players (1,000,000), DIGEST= the share of them whose mails come once a day (0),
TIER= Cognito's (LITE). All that is assumed stands in benchmarks/assumptions.py.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from local.tools import ROOT

from . import assumptions as given
from .assumptions import BEFORE, NOW, Code

SIZES = (1_000_000, 10_000_000, 100_000_000)
PICTURE = ROOT / "docs" / "cost.svg"


class Month(NamedTuple):
    """Dollars a month."""

    sign_in: float
    mails: float
    api: float
    functions: float
    writes: float
    reads: float
    events: float
    logs: float
    storage: float
    audits: float
    fixed: float

    @property
    def total(self) -> float:
        return sum(self)


def sign_in(players: float, tier: str) -> float:
    """Cognito's price for so many players in a month, tier by tier."""
    dollars, below = 0.0, 0.0
    for limit, price in given.SIGN_IN_TIERS[tier]:
        dollars += max(0.0, min(players, limit) - below) * price
        below = limit
    return dollars


def digests(players: float, heists: float, share: float) -> float:
    """Digests of a month: one on each day on which one of this share of players is mailed."""
    a_day = 2 * heists / players / given.DAYS
    return players * given.DAYS * (1 - math.exp(-a_day)) * share


def writes_a_day(code: Code) -> float:
    """Write units that an active player costs on a day, with all that follows."""
    return (
        given.HEISTS * sum(code.heist.values())
        + given.TOKENS * code.award_writes
        + given.REFUSALS * code.refusal_writes
        + given.POINTS_EVENTS * code.points_writes
        + given.PROFILES * code.profile_writes
        + given.MARKS * code.mark_writes
        + given.CAN_ROBS
    )


def reads_a_day(code: Code) -> float:
    """Read units that an active player costs on a day."""
    return (
        given.HEISTS * code.heist_reads
        + given.TOKENS * code.award_reads
        + given.REFUSALS * code.refusal_reads
        + given.POINTS_EVENTS * code.points_reads
        + given.MARKS * code.mark_reads
        + given.POLLS * code.poll_reads
        + given.INBOX_LOOKS * code.inbox_reads
        + given.CAN_ROBS * 2
        + given.TOKEN_LOOKS
        + given.PROFILES
    )


def month(players: int, code: Code = NOW, digest: float = 0.0, tier: str = "") -> Month:
    """The cost at a number of players, a year after the start; `tier`: the code's unless given."""
    active = players * given.ACTIVE_ON_A_DAY * given.DAYS
    facts, heists = given.HEISTS + given.TOKENS, active * given.HEISTS
    events_in = given.TOKENS + given.POINTS_EVENTS + given.PROFILES
    changes = 2 * given.HEISTS + given.POINTS_EVENTS  # of points, told to others
    routes = given.HEISTS + given.REFUSALS + given.CAN_ROBS + given.INBOX_LOOKS + given.MARKS
    calls = routes + given.TOKEN_LOOKS + given.POLLS
    invocations = active * (calls + events_in + 2 * facts + given.REFUSALS) + given.SWEEPS
    gb_seconds = active * (
        given.API_GB * (routes * given.API_SECONDS + given.TOKEN_LOOKS * given.LIGHT_SECONDS)
        + given.API_GB * given.POLLS * code.poll_seconds
        + given.EVENT_GB * events_in * given.EVENT_SECONDS
        + code.notifier_gb * facts * given.NOTIFIER_SECONDS
        + given.EVENT_GB * (facts + given.REFUSALS) * given.PUBLISHER_SECONDS
    )
    daily = digests(players, heists, digest)
    invocations += given.DIGEST_RUNS
    gb_seconds += given.EVENT_GB * (
        daily * given.DIGEST_SECONDS + given.DIGEST_RUNS * given.RUN_SECONDS
    )
    stored = players * given.PLAYER_BYTES + given.KEPT_MONTHS * active * (
        facts * given.FACT_BYTES + given.POINTS_EVENTS * given.ENTRY_BYTES
    )
    return Month(
        sign_in=sign_in(players * given.ACTIVE_IN_A_MONTH, tier or code.tier),
        mails=(2 * heists * (1 - digest) + daily) * given.MAIL,
        api=active * calls * given.API_CALL,
        functions=invocations * given.LAMBDA_CALL + gb_seconds * given.LAMBDA_GB_SECOND,
        writes=(active * writes_a_day(code) + daily * given.DIGEST_WRITES) * given.WRITE_UNIT,
        reads=(active * reads_a_day(code) + daily * given.DIGEST_READS) * given.READ_UNIT,
        events=active * (events_in + facts + changes) * given.EVENT,
        logs=invocations * given.LOG_BYTES / 1e9 * given.LOG_GB,
        storage=stored / 1e9 * (given.STORED_GB + given.RECOVERY_GB),
        audits=given.DAYS * audit(stored / 1e9, code),
        fixed=idle() + (given.METRICS + given.ROUTE_METRICS) * given.METRIC,
    )


def audit(gigabytes: float, code: Code) -> float:
    """Dollars of one nightly audit: a scan as far as one run goes, or an export of the table."""
    if code.audit_exports and gigabytes > given.AUDITED_GB:
        return gigabytes * given.EXPORT_GB
    return min(gigabytes, given.AUDITED_GB) * given.SCAN_GB


def idle() -> float:
    """Dollars a month of a stack on which nobody plays."""
    return given.ALARMS * given.ALARM + given.DASHBOARD + given.KEY + given.SECRET


def rows(columns: Mapping[str, Month]) -> list[str]:
    """A table in Markdown, one row for each service."""
    lines = [f"| $ a month | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    for name in Month._fields:
        cells = [f"{getattr(one, name):,.0f}" for one in columns.values()]
        lines.append(f"| {name.replace('_', '-')} | {' | '.join(cells)} |")
    totals = [f"**{one.total:,.0f}**" for one in columns.values()]
    return [*lines, f"| **together** | {' | '.join(totals)} |"]


_COLOURS = (
    *("#1b6ca8", "#c8553d", "#3a7d44", "#8e5572", "#c28f00"),
    *("#4a4e69", "#00808a", "#a3b18a", "#bc6c25", "#5e3c99"),
    "#999999",
)
_BAR, _LEFT, _HIGH, _STEP = 560, 120, 26, 40


def drawing(panels: Sequence[tuple[str, Mapping[str, Mapping[str, float]]]]) -> str:
    """An SVG of stacked bars: each panel a title and, for each bar, the figures of its parts."""
    parts, y = [], 0
    for title, bars in panels:
        y += 30
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{title}</text>')
        names = list(dict.fromkeys(name for bar in bars.values() for name in bar))
        largest = max(sum(bar.values()) for bar in bars.values())
        for label, bar in bars.items():
            y += _STEP
            parts.append(f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end">{label}</text>')
            x = float(_LEFT)
            for name, value in bar.items():
                wide = _BAR * value / largest
                colour = _COLOURS[names.index(name)]
                parts.append(
                    f'<rect x="{x:.1f}" y="{y - 18}" width="{wide:.1f}" height="{_HIGH}" '
                    f'fill="{colour}"><title>{name}: {value:,.2f}</title></rect>'
                )
                x += wide
            total = f"{sum(bar.values()):,.0f}"
            parts.append(f'<text x="{x + 6:.0f}" y="{y}">{total}</text>')
        for number, name in enumerate(names):
            if number % 5 == 0:
                y += 26
            x = _LEFT + number % 5 * 118
            parts += [
                f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{_COLOURS[number]}"/>',
                f'<text x="{x + 17}" y="{y}">{name}</text>',
            ]
        y += 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{y + 14}">',
            "<style>text { font: 12px sans-serif }</style>",
            '<rect width="100%" height="100%" fill="white"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def picture(players: int, digest: float, tier: str) -> str:
    """Where the dollars of a month and the write units of a heist go, before and now."""
    months = {
        "before": month(players, BEFORE),
        "now": month(players, NOW, 0.0, tier),
        "daily digests": month(players, NOW, digest or 1.0, tier),
    }
    dollars = {
        label: {name.replace("_", "-"): value for name, value in one._asdict().items()}
        for label, one in months.items()
    }
    units = {"before": BEFORE.heist, "now": NOW.heist}
    return drawing(
        [
            (f"dollars a month, {players:,} players", dollars),
            ("write units of a heist, alone in its batch", units),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="cost", description=__doc__)
    parser.add_argument("--players", type=int, help="all players, active or not")
    parser.add_argument("--digest", type=float, default=0.0, help="0 to 1: share with one mail")
    parser.add_argument("--tier", choices=sorted(given.SIGN_IN_TIERS), default=NOW.tier)
    parser.add_argument("--draw", type=Path, help="where the picture goes, such as docs/cost.svg")
    asked = parser.parse_args()
    if not 0 <= asked.digest <= 1 or (asked.players is not None and asked.players < 1):
        parser.error("--digest is from 0 to 1, and --players at least 1")
    sizes = SIZES if asked.players is None else (asked.players,)
    columns = {f"{size:,}": month(size, NOW, asked.digest, asked.tier) for size in sizes}
    if asked.players is not None:
        columns = {"before": month(asked.players, BEFORE), **columns}
    print("\n".join(rows(columns)))
    for size in sizes:
        now, before = month(size, NOW, asked.digest, asked.tier), month(size, BEFORE)
        a_thousand = now.total / (size * given.ACTIVE_IN_A_MONTH / 1000)
        a_day = size * given.ACTIVE_ON_A_DAY * writes_a_day(NOW)
        rest = (now.total - now.sign_in) / (before.total - before.sign_in)
        print(
            f"{size:,} players: ${a_thousand:.2f} for 1,000 that are active in the month;\n"
            f"  {now.total / before.total:.2f} of before, {rest:.2f} without sign-in; "
            f"{a_day * given.BUSIEST_HOUR / 3600:,.0f} write units in the busiest second"
        )
    print(f"Nobody plays: ${idle():.2f}. {sum(NOW.heist.values()):g} write units a heist:")
    print("  " + ", ".join(f"{part} {units:g}" for part, units in NOW.heist.items()))
    if asked.draw is not None:
        drawn = picture(asked.players or SIZES[0], asked.digest, asked.tier)
        asked.draw.write_text(drawn, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
