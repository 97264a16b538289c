"""`make test`: the suites in the order of their speed, and one plain summary at the end."""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from local.console import plain_streams, show
from local.tools import ROOT

SUITES = ("unit", "integration", "torture", "template", "e2e")


def main(arguments: list[str]) -> int:
    """Runs every suite, whatever fails; 1 if a test failed or a suite ran none.

    `arguments` are passed on to pytest.
    """
    plain_streams()
    total: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    broken = []
    for suite in SUITES:
        show(f"\n=== {suite}")
        counts = run_suite(suite, arguments, skipped)
        if counts is None:
            broken.append(suite)
        else:
            total += counts
            if not counts["passed"] or counts["failed"]:
                broken.append(suite)
    show()
    for reason, times in sorted(skipped.items()):
        show(f"skipped {times}: {reason}")
    if broken:
        show(f"Not good: {', '.join(broken)}")
    show(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if broken else 0


def run_suite(suite: str, arguments: list[str], skipped: Counter[str]) -> Counter[str] | None:
    """Runs one suite and counts; adds the reasons of skipped tests. None if pytest itself failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"tests/{suite}", f"--junitxml={report}"]
        done = subprocess.run([*command, *arguments], cwd=ROOT, check=False)
        if done.returncode not in (0, 1) or not report.exists():
            return None
        counts: Counter[str] = Counter()
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest has just written it
            skip = case.find("skipped")
            if skip is not None:
                counts["skipped"] += 1
                skipped[f"{suite}: {skip.get('message') or 'no reason given'}"] += 1
            elif case.find("failure") is not None or case.find("error") is not None:
                counts["failed"] += 1
            else:
                counts["passed"] += 1
        return counts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
