"""Mutants of the rules, made by mutmut in a copy of the project; unit tests must notice them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

from local.tools import ROOT

PLACE = ROOT / ".local" / "mutants"

# mutmut wants the package under src/, and its own copy of everything that the tests read.
SETTINGS = """\
[tool.pytest.ini_options]
pythonpath = [".", "src"]
addopts = ["--import-mode=importlib", "-p", "no:randomly", "-p", "no:cacheprovider", "-q"]
markers = ["slow: takes more than a few seconds"]

[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/heist_core/domain/*.py"]
also_copy = ["functions", "events", "ops", "local", "template.yaml", "docs"]
use_git_change_detection = false
pytest_add_cli_args_test_selection = [
    "tests/unit/test_erasure.py",
    "tests/unit/test_heist_rules.py",
    "tests/unit/test_items.py",
    "tests/unit/test_mail_texts.py",
    "tests/unit/test_messaging.py",
    "tests/unit/test_notifier.py",
    "tests/unit/test_players.py",
    "tests/unit/test_reversal_rules.py",
    "tests/unit/test_statistics_rules.py",
    "tests/unit/test_times.py",
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


def tried() -> Iterator[tuple[str, str]]:
    """Every mutant with what noticed it, which is empty if nothing did."""
    set_up()
    mutmut("run", "--max-children", str(os.cpu_count() or 1))
    states = dict(
        re.findall(
            r"^\s*(\S+__mutmut_\d+): (.+)$", mutmut("results", "--all", "true"), re.MULTILINE
        )
    )
    if not states or "not checked" in states.values():
        raise RuntimeError(
            f"mutmut did not try all. Why: cd {PLACE} && {sys.executable} -m mutmut run"
        )
    for name, state in states.items():
        if state in ("killed", "timeout"):
            yield name, "unit tests"
        else:
            yield f"{name.partition('__mutmut_')[0]}: {change(name)}", ""
