"""The simulation of a hot victim keeps the rules of the game."""

import itertools

import pytest

from benchmarks.hot_victim import PROTECTION_SECONDS, TRANSACTION_SECONDS, Simulation
from heist_core.use_cases.execute_heist import BEGIN_ROUNDS_FOR_SECONDS


@pytest.mark.parametrize("crowd", [1, 2, 50, 4_000])
@pytest.mark.parametrize("within", [0.0, 1.0])
def test_one_attacker_wins_in_a_protection_and_all_others_are_answered(
    crowd: int, within: float
) -> None:
    outcome = Simulation(seed=crowd).run(crowd, within)
    assert outcome.answers["won"] == outcome.victim.version == 1
    assert sum(outcome.answers.values()) == len(outcome.waited) == crowd


def test_winners_are_a_protection_apart() -> None:
    outcome = Simulation(seed=3, protection=0.25).run(400, within=3.0)
    assert outcome.answers["won"] > 5
    gaps = [later - earlier for earlier, later in itertools.pairwise(outcome.won_at)]
    assert min(gaps) >= 0.25


def test_without_a_protection_heists_still_come_one_after_another() -> None:
    outcome = Simulation(seed=5, protection=0.0).run(200)
    assert outcome.answers["won"] == outcome.victim.version == len(outcome.won_at)
    assert outcome.answers["refused"] == 0
    gaps = [later - earlier for earlier, later in itertools.pairwise(outcome.won_at)]
    assert min(gaps) >= TRANSACTION_SECONDS / 2


def test_nobody_waits_much_longer_than_rounds_may_begin() -> None:
    outcome = Simulation(seed=7, protection=0.0).run(600)
    assert outcome.answers["503"] > 0
    assert max(outcome.waited) < BEGIN_ROUNDS_FOR_SECONDS + 0.1


def test_a_seed_repeats_a_run() -> None:
    one, other = (Simulation(seed=11, protection=PROTECTION_SECONDS).run(500) for _ in range(2))
    assert (one.answers, one.waited) == (other.answers, other.waited)
