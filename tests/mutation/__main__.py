"""`make mutants`: break the rules and the requests in every small way, and see that the unit tests notice.

At least 95 % must be noticed, and each one that is not must stand in survivors.txt with the reason.
"""
# ruff: noqa: T201 - a command line

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".local" / "mutants"
SURVIVORS = Path(__file__).parent / "survivors.txt"
NEEDED = 0.95

# mutmut wants the package under src/, and its own copy of everything that the tests read.
SETTINGS = """\
[tool.pytest.ini_options]
pythonpath = [".", "src"]
addopts = [
    "--import-mode=importlib", "-p", "no:randomly", "-p", "no:cacheprovider", "-q",
    # mutmut's own calls would be counted too
    "--deselect=tests/unit/test_http_api.py::test_a_warm_heist_costs_few_calls_of_functions_beside_storage",
]
markers = ["slow: takes more than a few seconds"]

[tool.mutmut]
source_paths = ["src"]
only_mutate = [
    "src/heist_core/domain/*.py",
    "src/heist_core/storage/counting.py",
    "src/heist_core/storage/operator.py",
    "src/heist_core/storage/transactions.py",
]
also_copy = ["functions", "events", "ops", "local", "template.yaml", "docs"]
use_git_change_detection = false
pytest_add_cli_args_test_selection = [
    "tests/unit/test_erasure.py",
    "tests/unit/test_heist_rules.py",
    "tests/unit/test_http_api.py",
    "tests/unit/test_items.py",
    "tests/unit/test_mail_texts.py",
    "tests/unit/test_messaging.py",
    "tests/unit/test_notifier.py",
    "tests/unit/test_players.py",
    "tests/unit/test_request_snapshot.py",
    "tests/unit/test_reversal_rules.py",
    "tests/unit/test_statistics_rules.py",
    "tests/unit/test_times.py",
    "tests/unit/test_transactions.py",
]
"""


def set_up() -> None:
    """A fresh copy of what mutmut works on."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    leave = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(
        ROOT / "layers/heist_core/heist_core", PLACE / "src" / "heist_core", ignore=leave
    )
    for name in ("tests", "functions", "events", "ops", "local", "docs"):
        shutil.copytree(ROOT / name, PLACE / name, ignore=leave)
    shutil.copy(ROOT / "template.yaml", PLACE)
    (PLACE / "pyproject.toml").write_text(SETTINGS, "utf-8")


def mutmut(*arguments: str) -> str:
    """mutmut's output; the progress of a run goes to the terminal, if there is one."""
    quiet = "run" not in arguments or not sys.stdout.isatty()
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=PLACE,
        stdout=subprocess.PIPE if quiet else None,
        text=True,
        check=False,
    )
    return done.stdout or ""


def change(mutant: str) -> str:
    """What a mutant changes: the lines it took away and put in."""
    lines = mutmut("show", mutant).splitlines()
    return " / ".join(
        line[0] + line[1:].strip()
        for line in lines
        if line[:1] in "+-" and not line.startswith(("+++", "---"))
    )


def explained() -> dict[str, str]:
    """The changes of survivors.txt, and why each cannot be noticed."""
    entries = {}
    for line in SURVIVORS.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            what, _, why = line.partition(" ## ")
            entries[what] = why
    return entries


def main() -> int:
    set_up()
    mutmut("run", "--max-children", str(os.cpu_count() or 1))
    states = dict(
        re.findall(
            r"^\s*(\S+__mutmut_\d+): (.+)$", mutmut("results", "--all", "true"), re.MULTILINE
        )
    )
    if not states or "not checked" in states.values():
        print(f"mutmut did not try all mutants. Why: cd {PLACE} && {sys.executable} -m mutmut run")
        return 1
    noticed = [name for name, state in states.items() if state in ("killed", "timeout")]
    reasons = explained()
    unexplained = []
    for name in sorted(set(states) - set(noticed)):
        what = f"{name.partition('__mutmut_')[0]}: {change(name)}"
        if not reasons.get(what):
            unexplained.append(what)
    share = len(noticed) / len(states)
    print("\n".join(unexplained))
    print(
        f"{len(noticed)} of {len(states)} mutants noticed ({share:.1%}), "
        f"{len(states) - len(noticed) - len(unexplained)} survivors explained, "
        f"{len(unexplained)} not"
    )
    return 1 if unexplained or share < NEEDED else 0


if __name__ == "__main__":
    sys.exit(main())
