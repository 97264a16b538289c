"""A hundred heists at the same moment, on an engine that lets them be: exactly one succeeds."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.engines import Engine

from .bank_run import BankRun
from .referee import Answer

CROWD = 100
RATE_RAISED = {"HEIST_RATE_LIMIT_PER_MINUTE": 1_000_000}

pytestmark = pytest.mark.slow


@pytest.fixture
def bank(engine: Engine, table: str) -> Iterator[BankRun]:
    """The application without faults, its clock running on by itself."""
    bank = BankRun(engine, table, variables=RATE_RAISED)
    with bank.world.wired():
        yield bank
    bank.close()


def at_once(bank: BankRun, requests: Sequence[tuple[str, str, str]]) -> list[Answer]:
    """Every request (attacker, victim, key) at the same moment."""

    def ask(number: int) -> Answer:
        bank.world.here.instance = bank.world.instances[number % len(bank.world.instances)]
        answer = bank.ask(*requests[number])
        assert answer is not None
        return answer

    with ThreadPoolExecutor(CROWD) as crowd:
        return list(crowd.map(ask, range(len(requests))))


def one_success_and_named_refusals(answers: Sequence[Answer], expected: set[str]) -> None:
    codes = Counter(answer.code for answer in answers)
    assert codes["SUCCESS"] == 1, codes
    assert sum(answer.status == 503 for answer in answers) <= 0.05 * len(answers), codes
    assert set(codes) - {"SUCCESS", "CONTENTION", "DEPENDENCY"} <= expected, codes


def test_one_token_is_spent_once(bank: BankRun) -> None:
    victims = [f"victim-{number}" for number in range(CROWD)]
    for victim in victims:
        bank.earn(victim, 100)
    bank.award("attacker")
    answers = at_once(bank, [("attacker", victim, victim) for victim in victims])
    one_success_and_named_refusals(answers, {"NO_TOKENS", "COOLDOWN_ACTIVE"})
    bank.judged()


def test_one_attacker_strikes_once_within_a_cooldown(bank: BankRun) -> None:
    victims = [f"victim-{number}" for number in range(CROWD)]
    for victim in victims:
        bank.earn(victim, 100)
    for _ in range(CROWD):
        bank.award("attacker")
    answers = at_once(bank, [("attacker", victim, victim) for victim in victims])
    one_success_and_named_refusals(answers, {"COOLDOWN_ACTIVE"})
    bank.judged()


def test_one_victim_is_robbed_once_within_a_protection(bank: BankRun) -> None:
    attackers = [f"attacker-{number}" for number in range(CROWD)]
    bank.earn("victim", 1000)
    for attacker in attackers:
        bank.award(attacker)
    answers = at_once(bank, [(attacker, "victim", "key") for attacker in attackers])
    one_success_and_named_refusals(answers, {"TARGET_PROTECTED"})
    bank.judged()


@pytest.mark.parametrize("tokens", [0, 5], ids=["a refusal", "a success"])
def test_twenty_repeats_of_one_key_get_one_answer(bank: BankRun, tokens: int) -> None:
    bank.earn("victim", 1000)
    for _ in range(tokens):
        bank.award("attacker")
    answers = at_once(bank, [("attacker", "victim", "key")] * 20)
    definite = [answer for answer in answers if answer.status != 503]
    assert len({(answer.status, answer.text) for answer in definite}) == 1
    assert sum(not answer.replayed for answer in definite) <= 1
    assert len(definite) >= 19
    bank.judged()


def test_fifty_deliveries_of_one_referral_are_one_token(bank: BankRun) -> None:
    deliver: list[Callable[[], None]] = [lambda: bank.award("referrer", "friend")] * 50
    with ThreadPoolExecutor(50) as crowd:
        list(crowd.map(lambda one: one(), deliver))
    assert bank.world.api("tokens", "referrer").body["totalEarned"] == 1
    bank.judged()
