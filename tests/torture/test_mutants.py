"""The list of mutants keeps up with the code; trying them all is `python -m tests.torture.mutants`."""

import shutil
from pathlib import Path

import pytest

from local.tools import ROOT

from .mutants import _CODE, MUTANTS, UNSEEN, Mutant, try_out

IN_FILES = [mutant for mutant in MUTANTS if mutant.file]


@pytest.mark.parametrize("mutant", IN_FILES, ids=lambda mutant: mutant.name)
def test_what_a_mutant_breaks_is_there_to_be_broken(mutant: Mutant, tmp_path: Path) -> None:
    place = tmp_path / _CODE / mutant.file
    place.parent.mkdir(parents=True)
    shutil.copy(ROOT / _CODE / mutant.file, place)
    mutant.apply(tmp_path)
    compile(place.read_text("utf-8"), str(place), "exec")


@pytest.mark.slow
def test_the_search_finds_what_is_broken() -> None:
    found = try_out(Mutant("condition of commit_heist.victim"))
    assert found is not None
    assert found.startswith("seed")


def test_only_mutants_are_said_to_be_unseen() -> None:
    assert set(UNSEEN) <= {mutant.name for mutant in MUTANTS}
