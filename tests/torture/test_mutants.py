"""The list of mutants keeps up with the code; trying them all is `python -m tests.torture.mutants`."""

import shutil
from pathlib import Path

import pytest

from local.tools import ROOT

from .mutants import _CODE, MUTANTS, Mutant, try_out


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_breaks_is_there_to_be_broken(mutant: Mutant, tmp_path: Path) -> None:
    place = tmp_path / _CODE / mutant.file
    place.parent.mkdir(parents=True)
    shutil.copy(ROOT / _CODE / mutant.file, place)
    mutant.apply(tmp_path)
    compile(place.read_text("utf-8"), str(place), "exec")


@pytest.mark.slow
def test_the_search_finds_what_is_broken(tmp_path: Path) -> None:
    assert try_out(MUTANTS[0], tmp_path / "copy")
