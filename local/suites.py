"""`make test`: the whole suite in lanes, and one plain summary at the end."""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from local.console import plain_streams, show
from local.tools import ROOT

LANES = (("template", "simulation", "browser"), ("unit", "integration"), ("e2e",))
"""Suites of a lane run one after the other. Two cores have work for three lanes: one waits for its
engine for half of the time, another for its functions."""

LINES_OF_FAILURE = 25
"""Lines of a failed test that are shown once more at the end, where all lanes are silent."""


@dataclass
class Tally:
    """What one suite came to; `broken` when a test failed, none ran, or pytest itself failed."""

    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    broken: bool = True


def main(arguments: list[str]) -> int:
    """Runs every suite, whatever fails; 1 if one is broken. `arguments` are passed on to pytest."""
    plain_streams()

    def run_lane(lane: tuple[str, ...]) -> dict[str, Tally]:
        return {suite: run_suite(suite, arguments) for suite in lane}

    with ThreadPoolExecutor(len(LANES)) as pool:
        tallies = {
            suite: tally for lane in pool.map(run_lane, LANES) for suite, tally in lane.items()
        }
    total: Counter[str] = Counter()
    show()
    for suite, tally in tallies.items():
        total += tally.counts
        for reason, times in sorted(tally.skipped.items()):
            show(f"skipped {times}: {suite}: {reason}")
        for failure in tally.failures:
            show(failure)
    broken = [suite for suite, tally in tallies.items() if tally.broken]
    if broken:
        show(f"Not good: {', '.join(broken)}")
    show(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if broken else 0


def run_suite(suite: str, arguments: list[str]) -> Tally:
    """Runs one suite, showing each of its lines behind its name."""
    show(f"{suite:<11} | started")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"tests/{suite}", f"--junitxml={report}"]
        with subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as running:
            for line in running.stdout or ():
                show(f"{suite:<11} | {line.rstrip()}")
        ended = running.returncode in (0, 1) and report.exists()
        tally = read_report(report) if ended else Tally()
    verdict = "not good" if tally.broken else "good"
    show(f"{suite:<11} | {verdict} after {time.monotonic() - started:.0f} s")
    return tally


def read_report(report: Path) -> Tally:
    """Counts the tests of a JUnit report; says why tests were skipped, and where they failed."""
    tally = Tally()
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
        skip = case.find("skipped")
        failed = [part for part in case if part.tag in ("failure", "error")]
        if skip is not None:
            tally.counts["skipped"] += 1
            tally.skipped[skip.get("message") or "no reason given"] += 1
        elif failed:
            tally.counts["failed"] += 1
            trace = "\n".join((failed[0].text or "").splitlines()[-LINES_OF_FAILURE:])
            tally.failures.append(f"FAILED {case.get('classname')}::{case.get('name')}\n{trace}\n")
        else:
            tally.counts["passed"] += 1
    tally.broken = not tally.counts["passed"] or bool(tally.counts["failed"])
    return tally


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
