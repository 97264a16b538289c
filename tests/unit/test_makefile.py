"""The Makefile: its help, its switches, and how a caller's text reaches the commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
OF_THE_CONTRACT = ("run", "demo", "test", "check", "deploy", "redrive", "help")
COPY = "import pathlib, sys; pathlib.Path(sys.argv[1]).mkdir(); open(sys.argv[1] + '/app.py', 'w')"
RECORD = '#!/bin/sh\nprintf "%s\\n" "$@"\n'


def make(
    *arguments: str, folder: Path = ROOT, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """GNU make without the settings of a make that runs these tests."""
    outside = {"STAGE", "DRY", "REFUSED", "DOUBTFUL", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout at an odd path, whose programs print what they were told."""
    folder = tmp_path / "it's $HOME, #1 or $$"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    program = folder / "heist"
    program.write_text(RECORD, "utf-8")
    program.chmod(0o755)
    return folder


def test_help_lists_every_target_in_80_columns() -> None:
    lines = make("help").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    listed = {line.split()[1] for line in lines if line.startswith("make ")}
    assert set(OF_THE_CONTRACT) <= listed
    assert listed == set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ((), "--apply"),
        (("STAGE=prod",), "--stage prod --apply"),
        (("DRY=1",), ""),
        (("DRY=yes", "REFUSED=true", "DOUBTFUL=1"), "--refused --doubtful"),
        (("DRY=", "REFUSED=0", "DOUBTFUL=no"), "--apply"),
        (("DRY=false",), "--apply"),
    ],
)
def test_redrive_applies_unless_told_not_to(
    checkout: Path, variables: tuple[str, ...], told: str
) -> None:
    done = make("redrive", *variables, folder=checkout)
    assert done.stdout.split() == ["redrive", *told.split()], done.stderr


@pytest.mark.parametrize("value", ["on", "2", "YES!", "nope"])
def test_a_switch_is_on_or_off_and_nothing_else(checkout: Path, value: str) -> None:
    done = make("redrive", f"DRY={value}", folder=checkout)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f'1, yes or true is on; empty, 0, no or false is off; not "{value}"' in done.stderr


def test_every_switch_is_read_in_the_one_place() -> None:
    switches = re.findall(r"\b([A-Z]+)=1\b", MAKEFILE.partition("help:")[2])
    assert switches
    for name in set(switches):
        assert f"$(call switch,{name}," in MAKEFILE, name
        assert f"$(if $({name})" not in MAKEFILE, name


def test_a_stage_of_the_environment_counts_too(checkout: Path) -> None:
    assert make("redrive", folder=checkout, STAGE="prod").stdout.split()[:3] == [
        *("redrive", "--stage", "prod")
    ]


@pytest.mark.parametrize("reason", ["it's $50", "a  b", "$HOME `id` \\n", '"quoted"', "*"])
def test_what_is_said_to_the_program_reaches_it_untouched(checkout: Path, reason: str) -> None:
    """From any folder, also through a link, at a path that a shell would expand."""
    shutil.copy(ROOT / "heist", checkout)
    (checkout / "Makefile").write_text("dev:\n\t@echo made\n", "utf-8")
    python = checkout / ".local" / "env" / "dev" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(RECORD + 'echo "$PYTHONPATH"\n', "utf-8")
    python.chmod(0o755)
    link = checkout.parent / "linked"
    link.symlink_to(checkout / "heist")

    done = subprocess.run(
        [link, "block", "eve", "--reason", reason],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == [
        *("-P", "-m", "ops", "block", "eve", "--reason", reason, str(checkout))
    ]
    assert done.stderr == "made\n"


@pytest.mark.parametrize(
    ("part", "target"),
    [("layers/heist_core", "build-HeistCoreLayer"), ("functions", "build-GetTokensFunction")],
)
def test_what_sam_builds_is_built_at_an_odd_path(checkout: Path, part: str, target: str) -> None:
    shutil.copy(ROOT / part / "Makefile", checkout)
    (checkout / "app.py").touch()
    (checkout / "build_layer.py").write_text(COPY, "utf-8")
    python = checkout / "python"
    python.symlink_to(sys.executable)
    artifacts = checkout / "artifacts"
    artifacts.mkdir()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    built = make(
        target,
        folder=checkout,
        PYTHON=str(python),
        ARTIFACTS_DIR=str(artifacts),
        LAMBDA_PYTHON=version,
    )
    assert built.returncode == 0, built.stderr
    assert list(artifacts.rglob("app*.py*")), built.stdout
