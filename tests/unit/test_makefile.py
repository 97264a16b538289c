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
BUILD = "import sys; open(sys.argv[1] + '/told', 'w').write(' '.join(sys.argv[2:]))"
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


def test_settings_to_simulate_reach_the_program_as_one_text(checkout: Path) -> None:
    settings = "HEIST_STEAL_PERCENTAGE=3  HEIST_COOLDOWN_HOURS=$(id)"
    done = make("simulate", f"SET={settings.replace('$', '$$')}", "SEEDS=5", folder=checkout)
    assert done.stdout.splitlines() == ["simulate", "--set", settings, "--seeds", "5"], done.stderr


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
    ("part", "target", "told"),
    [
        ("layers/heist_core", "build-LibrariesLayer", ""),
        ("functions", "build-GetTokensFunction", "app.py"),
    ],
)
def test_what_sam_builds_is_built_at_an_odd_path(
    checkout: Path, part: str, target: str, told: str
) -> None:
    """The layer in a copy of its folder, a function in one that has not even the Makefile."""
    sources = checkout / "layers" / "heist_core"
    sources.mkdir(parents=True)
    (sources / "build_layer.py").write_text(BUILD, "utf-8")
    (checkout / part).mkdir(exist_ok=True)
    makefile = shutil.copy(ROOT / part / "Makefile", checkout / part)
    elsewhere = checkout / "a copy"
    artifacts = checkout / "artifacts"
    for folder in (elsewhere, artifacts, artifacts / "python"):
        folder.mkdir()
    python = checkout / "python"
    python.symlink_to(sys.executable)
    built = make(
        *("--makefile", str(makefile), target),
        folder=elsewhere if part == "functions" else sources,
        PYTHON=str(python),
        ARTIFACTS_DIR=str(artifacts),
    )
    assert built.returncode == 0, built.stderr
    (found,) = artifacts.rglob("told")
    assert found.read_text("utf-8") == told
