"""Counts the user-space instructions of a process: the same on a busy machine as on an idle one."""

import functools
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.console import ProblemError

# A block counter of valgrind: callgrind's sum within 1 %, in half the time.
_VALGRIND = ("valgrind", "--tool=exp-bbv", "--instr-count-only=yes", "--bb-out-file=/dev/null")
_VALGRIND_TOTAL = re.compile(r"Total instructions: (\d+)")
_PERF = ("perf", "stat", "--field-separator=;", "--event=instructions:u")
_PERF_TOTAL = re.compile(r"^(\d+);[^;]*;instructions", re.MULTILINE)
_LONGEST_SECONDS = 500


@functools.cache
def counter() -> tuple[Sequence[str], re.Pattern[str]]:
    """The command to put before another, and where it then says the number. Raises ProblemError."""
    if shutil.which("perf"):
        done = subprocess.run([*_PERF, "true"], capture_output=True, text=True, check=False)
        if _PERF_TOTAL.search(done.stderr):
            return _PERF, _PERF_TOTAL
    if shutil.which("valgrind"):
        return _VALGRIND, _VALGRIND_TOTAL
    raise ProblemError(
        "Instructions are counted with valgrind (Debian: apt install valgrind), or with perf on a "
        "machine that lets it read the processor's counters; here is neither."
    )


def count(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Instructions in user space of a command and its threads. Raises ProblemError if it fails."""
    tool, total = counter()
    done = subprocess.run(
        [*tool, *command],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    found = total.findall(done.stderr)
    if done.returncode or not found:
        raise ProblemError(
            f"{' '.join(command)} failed:\n{done.stdout[-500:]}{done.stderr[-3000:]}"
        )
    return sum(map(int, found))
