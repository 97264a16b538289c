"""The list of mutants keeps up with the code; trying them all is `python -m tests.torture.mutants`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.tools import ROOT

from . import mutants
from .mutants import _CODE, MUTANTS, Mutant, try_out

IN_FILES = [mutant for mutant in MUTANTS if mutant.file]


@pytest.mark.parametrize("mutant", IN_FILES, ids=lambda mutant: mutant.name)
def test_what_a_mutant_breaks_is_there_to_be_broken(mutant: Mutant, tmp_path: Path) -> None:
    place = tmp_path / _CODE / mutant.file
    place.parent.mkdir(parents=True)
    shutil.copy(ROOT / _CODE / mutant.file, place)
    mutant.apply(tmp_path)
    compile(place.read_text("utf-8"), str(place), "exec")


def test_every_integration_test_can_be_collected_beside_a_mutant() -> None:
    with IN_FILES[0].standing() as (root, _):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{root}:{root / _CODE.parent}"}
        collect = [sys.executable, "-m", "pytest", "-q", "--collect-only", "tests/integration"]
        done = subprocess.run(
            collect, cwd=root, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.slow
def test_the_nearest_tests_find_what_is_broken() -> None:
    found = try_out(Mutant("condition of commit_award.referral"))
    assert found is not None
    assert found.startswith("FAILED tests/integration/")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["condition of commit_heist.victim", "a heist bumps no version of the victim"]
)
def test_the_search_finds_what_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "NEAREST", {})
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    found = try_out(mutant)
    assert found is not None
    assert found.startswith("seed")
