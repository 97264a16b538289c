"""Deterministic search: short games with faults and races, each decided by its seed."""

import os

import pytest

from .model import REFUSALS
from .search import Tally, run, run_on_all_cores
from .simulation import Simulator

SEEDS = int(os.environ.get("SEARCH_SEEDS", "30"))
ENOUGH = 200
"""So many see every answer there is."""
CODES = {"SUCCESS", "DEPENDENCY", *REFUSALS}


@pytest.mark.slow
def test_no_seed_finds_a_deviation_and_the_seeds_see_every_answer() -> None:
    tally = Tally()
    for part in run_on_all_cores(range(SEEDS)):
        tally.add(part)
    assert not tally.failures, "\n".join(tally.failures.values())
    assert tally.seeds == SEEDS
    assert tally.commits["switches"] >= SEEDS // 10, tally.report()
    assert tally.commits["successes"] >= 1.5 * SEEDS, tally.report()
    if SEEDS >= ENOUGH:
        assert set(tally.answers) >= CODES, tally.report()
        assert tally.operations["locked switches"] > 0, tally.report()


def test_a_seed_repeats_exactly() -> None:
    simulator = Simulator()
    first = simulator.run(7).lines
    run([8])
    assert simulator.run(7).lines == first
