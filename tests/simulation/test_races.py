"""A hundred heists at the same moment, on an engine that lets them be: exactly one succeeds."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.application import Answer
from tests.engines import Engine

from .stress import StressRun

CROWD = 100
RULES = {"HEIST_RATE_LIMIT_PER_MINUTE": 1_000_000, "HEIST_NEWCOMER_HOURS": 0}

pytestmark = pytest.mark.slow


@pytest.fixture
def run(engine: Engine, table: str) -> Iterator[StressRun]:
    """The application without faults, its clock running on by itself."""
    run = StressRun(engine, table, variables=RULES)
    with run.app.wired():
        yield run
    run.close()


def at_once(run: StressRun, requests: Sequence[tuple[str, str, str]]) -> list[Answer]:
    """Every request (attacker, victim, key) at the same moment."""

    def ask(number: int) -> Answer:
        run.app.here.instance = run.app.instances[number % len(run.app.instances)]
        answer = run.ask(*requests[number])
        assert answer is not None
        return answer

    with ThreadPoolExecutor(CROWD) as crowd:
        return list(crowd.map(ask, range(len(requests))))


def one_success_and_named_refusals(answers: Sequence[Answer], expected: set[str]) -> None:
    codes = Counter(answer.code for answer in answers)
    assert codes["SUCCESS"] == 1, codes
    assert sum(answer.status == 503 for answer in answers) <= 0.05 * len(answers), codes
    assert set(codes) - {"SUCCESS", "CONTENTION", "DEPENDENCY"} <= expected, codes


def test_one_token_is_spent_once(run: StressRun) -> None:
    victims = [f"victim-{number}" for number in range(CROWD)]
    for victim in victims:
        run.earn(victim, 100)
    run.award("attacker")
    answers = at_once(run, [("attacker", victim, victim) for victim in victims])
    one_success_and_named_refusals(answers, {"NO_TOKENS", "COOLDOWN_ACTIVE"})
    run.checked()


def test_one_attacker_strikes_once_within_a_cooldown(run: StressRun) -> None:
    victims = [f"victim-{number}" for number in range(CROWD)]
    for victim in victims:
        run.earn(victim, 100)
    for _ in range(CROWD):
        run.award("attacker")
    answers = at_once(run, [("attacker", victim, victim) for victim in victims])
    one_success_and_named_refusals(answers, {"COOLDOWN_ACTIVE"})
    run.checked()


def test_one_victim_is_robbed_once_within_a_protection(run: StressRun) -> None:
    attackers = [f"attacker-{number}" for number in range(CROWD)]
    run.earn("victim", 1000)
    for attacker in attackers:
        run.award(attacker)
    answers = at_once(run, [(attacker, "victim", "key") for attacker in attackers])
    one_success_and_named_refusals(answers, {"TARGET_PROTECTED"})
    run.checked()


@pytest.mark.parametrize("tokens", [0, 5], ids=["a refusal", "a success"])
def test_twenty_repeats_of_one_key_get_one_answer(run: StressRun, tokens: int) -> None:
    run.earn("victim", 1000)
    for _ in range(tokens):
        run.award("attacker")
    answers = at_once(run, [("attacker", "victim", "key")] * 20)
    definite = [answer for answer in answers if answer.status != 503]
    assert len({(answer.status, answer.text) for answer in definite}) == 1
    assert sum(not answer.replayed for answer in definite) <= 1
    assert len(definite) >= 19
    run.checked()


def test_fifty_deliveries_of_one_referral_are_one_token(run: StressRun) -> None:
    deliver: list[Callable[[], None]] = [lambda: run.award("referrer", "friend")] * 50
    with ThreadPoolExecutor(50) as crowd:
        list(crowd.map(lambda one: one(), deliver))
    assert run.app.request("get_tokens", "referrer").body["totalEarned"] == 1
    run.checked()
