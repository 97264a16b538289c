"""`make bench`: the budgets' figures in one table, in counts and ratios from one run.

Budget 10 here goes to ten thousand players; `make bench-growth` goes to a million.
Exit code 1 when a figure is over its budget. Details go to .local/bench.json.
"""

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from local.console import ProblemError, plain_streams, show
from local.tools import ROOT
from tests.engines import forget_aws_settings

from . import capacity, cases, cold_and_warm, cost, throughput
from .artifact import LIBRARIES, Artifact, as_on_lambda, zipped_megabytes
from .assumptions import BEFORE
from .growth import FLAT
from .instructions import counter
from .round_trips import round_trips

_ROUTES = {
    "execute_heist": 2,
    "check_target": 1,
    "get_tokens": 1,
    "list_notifications": 1,
    "count_unread": 1,
    "show_player": 1,
    "list_heists": 2,
    "list_targets": 2,
}
"""Functions, and how many calls they may make one after another."""
_NO_COOKBOOK = "HANDLER_COOKBOOK names no folder: docs/performance.md has the recipe"


class Figure(NamedTuple):
    """A measured figure beside its budget; `why` is the reason when there is no figure."""

    what: str
    value: float | None
    budget: float
    stretch: float | None = None
    why: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return self.why
        if self.value > self.budget:
            return "OVER"
        return "stretch" if self.stretch is not None and self.value <= self.stretch else "ok"


def main() -> int:
    """Measures all and prints it; the number of figures over their budgets."""
    plain_streams()
    forget_aws_settings()
    started = time.monotonic()
    try:
        counter()
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            artifact = as_on_lambda(folder / "artifact")
            figures, details = _measure(artifact, folder)
            _make_removable(folder)
    except ProblemError as problem:
        show(f"✘ {problem}")
        return 1
    show(f"{'':<62}{'figure':>8}{'budget':>8}{'stretch':>9}")
    for figure in figures:
        value = "" if figure.value is None else f"{figure.value:.2f}"
        stretch = "" if figure.stretch is None else f"{figure.stretch:.2f}"
        show(f"{figure.what:<62}{value:>8}{figure.budget:>8.2f}{stretch:>9}  {figure.verdict}")
    show(f"{time.monotonic() - started:.0f} s; details in .local/bench.json")
    table = [{**figure._asdict(), "verdict": figure.verdict} for figure in figures]
    report = json.dumps({"figures": table, **details}, indent=1)
    (ROOT / ".local" / "bench.json").write_text(report + "\n", "utf-8")
    return sum(figure.verdict == "OVER" for figure in figures)


def _measure(artifact: Artifact, scratch: Path) -> tuple[list[Figure], dict[str, object]]:
    trips = {name: round_trips(cases.function(artifact, name)) for name in _ROUTES}
    found = cold_and_warm.measure_all(artifact, scratch)
    execute, typical = found["execute"], found["typical stack"]
    fresh = found["execute, byte code made on the spot"]
    alone, powertools = found["handler alone"], found["handler on full Powertools"]
    cookbook = found.get("cookbook create-order")
    notifier, one_at_a_time = throughput.measure(artifact, scratch)
    units = capacity.measure()
    roots = (artifact.layer, artifact.function("execute_heist"))
    figures = [
        *(
            Figure(f"1  sequential DynamoDB calls, {name}", trips[name].sequential, budget)
            for name, budget in _ROUTES.items()
        ),
        Figure("2  cold start of execute / typical stack", execute.cold / typical.cold, 0.65, 0.50),
        Figure(
            "3  cold start of execute / cookbook's create-order",
            execute.cold / cookbook.cold if cookbook else None,
            0.45,
            0.30,
            _NO_COOKBOOK,
        ),
        Figure("4  cold start as packed / with fresh byte code", execute.cold / fresh.cold, 1.05),
        Figure(
            "5  warm handler alone / on full Powertools", alone.warm / powertools.warm, 0.65, 0.40
        ),
        Figure(
            "6  warm execute / cookbook's create-order",
            execute.warm / cookbook.warm if cookbook else None,
            0.95,
            0.50,
            _NO_COOKBOOK,
        ),
        Figure("7  write units of a heist's transaction", units.transaction, 11),
        Figure("7  write units of all that a usual heist causes", units.heist, 32, 24),
        Figure("7  the same with the leaderboard", units.with_board, 36, 28),
        Figure("7  write units of all that a referral causes", units.referral, 14, 9),
        Figure("8  second call of execute / third", execute.second / execute.warm, 3, 1.5),
        Figure(
            "9  notifier: seconds of a record / one at a time",
            one_at_a_time.records_per_second / notifier.records_per_second,
            0.25,
            0.125,
        ),
        Figure("10 cost at 10,000 players / at 1,200, of whatever grew most", units.growth, FLAT),
        *(
            Figure(f"11 $ for 1,000 active players / of 2026-11-25, {mails}", dollars, 0.5, 0.3)
            for mails, dollars in _dollars().items()
        ),
        Figure("12 layer and function, MB zipped", zipped_megabytes(roots, (), scratch), 10),
        Figure(
            "12 the same without botocore, MB zipped",
            zipped_megabytes(roots, LIBRARIES, scratch),
            7,
        ),
    ]
    details: dict[str, object] = {
        "round trips": {name: trip._asdict() for name, trip in trips.items()},
        "capacity": units._asdict(),
        "notifier": notifier._asdict(),
        "notifier, one record at a time": one_at_a_time._asdict(),
        "millions of instructions": {name: asdict(one) for name, one in found.items()},
    }
    return figures, details


def _dollars() -> dict[str, float]:
    """By how mails come: what a million players cost now, against the code before it was made
    cheaper (`make cost`)."""
    players = cost.SIZES[0]
    before = cost.month(players, BEFORE).total
    digests = {"a mail each": 0.0, "daily digests": 1.0}
    return {
        mails: cost.month(players, digest=digest).total / before
        for mails, digest in digests.items()
    }


def _make_removable(folder: Path) -> None:
    for path in (path for path in folder.rglob("*") if path.is_dir()):
        path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
