"""What the load benchmark counts as a loss or a bad answer."""

import random
from collections import Counter

import pytest

from benchmarks.load import Answered, Load, lost, put_under_load, unwanted
from heist_core.storage import items
from heist_core.storage.audit import audit_items
from tests.builders import heist

HEIST = items.heist_item(heist())


def load(**answers: int) -> Load:
    return Load(Counter({what.lstrip("_"): times for what, times in answers.items()}), [], 1.0)


def test_every_answer_and_every_success_of_every_client_is_kept() -> None:
    def client(rng: random.Random) -> Answered:
        return Answered("200", f"heist-{rng.random()}")

    found = put_under_load([client, client], 0.02)
    assert found.answers.total() == found.answers["200"] == len(found.heists)
    assert len(found.heists) >= 2
    assert found.rate == pytest.approx(found.answers.total() / found.seconds)


def test_successes_refusals_and_a_few_503_are_wanted_and_nothing_else() -> None:
    assert list(unwanted(load(_200=99, _429=5, NO_TOKENS=7, _503=1))) == []
    assert list(unwanted(load(_200=98, _503=2))) == ["2 times 503"]
    assert list(unwanted(load(_200=98, _500=1))) == ["1 times 500"]


def test_a_success_without_a_record_or_a_booking_is_lost() -> None:
    nothing, unbooked = audit_items([]), audit_items([HEIST])
    heist_id = str(HEIST["heistId"])
    assert f"heist {heist_id} was answered, and has no record" in list(lost(nothing, [heist_id]))
    assert f"heist {heist_id} is not booked for both" in list(lost(unbooked, [heist_id]))
    assert "1 records still owe something" in list(lost(unbooked, []))
    assert list(lost(nothing, [])) == []
