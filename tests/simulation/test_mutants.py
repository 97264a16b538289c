"""Mutants are found, tried and noticed; trying all of them is `make mutants`."""

import multiprocessing
from typing import Any

import pytest

from tests.mutation.code import code_mutants
from tests.mutation.requests import Mutant, Place, broken, mutants
from tests.mutation.trial import Trial, Worker, session

PUT = {
    "TableName": "table",
    "Item": {"pk": {"S": "HEIST#1"}, "sk": {"S": "HEIST"}, "a": {"S": "x"}},
    "ConditionExpression": "attribute_not_exists(pk)",
}
UPDATE = {
    "TableName": "table",
    "Key": {"pk": {"S": "PLAYER#ann"}, "sk": {"S": "STATE"}},
    "UpdateExpression": "SET #season = :points REMOVE heldAt ADD version :one",
    "ConditionExpression": "version = :seen AND (attribute_not_exists(a) OR a < :points)",
    "ExpressionAttributeNames": {"#season": "points#2026-11"},
    "ExpressionAttributeValues": {":points": {"N": "7"}, ":one": {"N": "1"}, ":seen": {"N": "3"}},
}
TRANSACTION = {"TransactItems": [{"Put": PUT}, {"Update": UPDATE}]}
SENDER = "a_function"


def parts(family: str, operation: str, params: dict[str, Any]) -> list[dict[str, Any] | None]:
    """What is sent instead, by every mutant of a family."""
    found = sorted(one for one in mutants(SENDER, operation, params) if one.family == family)
    sent = [broken(SENDER, operation, params, one) for one in found]
    return [one for number, one in enumerate(sent) if one not in sent[:number]]


def test_a_condition_is_left_out_with_what_only_it_used() -> None:
    (sent,) = parts("condition", "UpdateItem", UPDATE)
    assert sent is not None
    assert "ConditionExpression" not in sent
    assert sent["ExpressionAttributeValues"].keys() == {":points", ":one"}


def test_each_operand_is_left_out_alone() -> None:
    sent = [one and one["ConditionExpression"] for one in parts("operand", "UpdateItem", UPDATE)]
    yes, no = "attribute_not_exists(neverThere)", "attribute_exists(neverThere)"
    assert sent == [
        f"{yes} AND (attribute_not_exists(a) OR a < :points)",
        f"version = :seen AND ({no} OR a < :points)",
        f"version = :seen AND (attribute_not_exists(a) OR {no} )".replace(" )", ")"),
    ]


def test_each_step_is_left_out_alone() -> None:
    sent = parts("step", "TransactWriteItems", TRANSACTION)
    assert [[*one["TransactItems"][0]] for one in sent if one] == [["Update"], ["Put"]]
    assert parts("step", "PutItem", PUT) == [None]


def test_each_change_is_left_out_alone_and_a_version_stays() -> None:
    sent = [one and one["UpdateExpression"] for one in parts("change", "UpdateItem", UPDATE)]
    assert sent == [
        "SET #season = :points ADD version :one",
        "REMOVE heldAt ADD version :one",
    ]
    (sent_once,) = parts("version bump", "UpdateItem", UPDATE)
    assert sent_once is not None
    assert sent_once["UpdateExpression"] == (
        "SET #season = :points, version = if_not_exists(version, :one) REMOVE heldAt"
    )


def test_requests_that_say_the_same_of_others_are_one_place() -> None:
    other = {**PUT, "Item": {**PUT["Item"], "pk": {"S": "HEIST#2"}}}  # type: ignore[dict-item]
    assert set(mutants(SENDER, "PutItem", PUT)) == set(mutants(SENDER, "PutItem", other))
    assert Mutant("condition", Place("Put HEIST if attribute_not_exists(pk)", SENDER)) in set(
        mutants(SENDER, "PutItem", PUT)
    )


def seed_that_notices(worker: Worker) -> str:
    """A condition that is left out: the first of the seeds that are refused for it."""
    is_new = Place("Put HEIST if attribute_not_exists(pk)", "commit_heist")
    mutant = Mutant("condition", is_new)
    for seed in map(str, range(50)):
        met, _ = worker.met_by(seed)
        if mutant in met.noticeable():
            return worker.try_out(Trial(mutant, {seed: met.seconds}))
    return ""


def unit_test_that_notices(worker: Worker) -> str:
    """A decision that is taken away: of all tests of the session."""
    mutants = code_mutants("heist_core.use_cases.notify_players")
    (mutant,) = [one for one in mutants if "DOUBTFUL_ATTEMPTS -> False" in one.change]
    return worker.try_out(Trial(mutant, dict.fromkeys(worker.items, 1.0)))


def tried_out() -> list[str]:
    found: list[str] = []
    session(
        lambda worker: found.extend([seed_that_notices(worker), unit_test_that_notices(worker)]),
        ["tests/unit/test_notifier.py"],
    )
    return found


@pytest.mark.slow
def test_a_condition_that_is_left_out_and_a_decision_that_is_taken_away_are_noticed() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        condition, decision = pool.apply(tried_out)
    assert condition.startswith("seed")
    assert decision.startswith("unit/test_notifier.py")
