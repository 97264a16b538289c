"""Mutants are found, tried and noticed; trying all of them is `make mutants`."""

import multiprocessing
from collections.abc import Sequence
from typing import Any

import pytest

from tests.mutation.code import CodeMutant, code_mutants
from tests.mutation.requests import ALONE, Mutant, Place, broken, mutants
from tests.mutation.trial import Trial, observe_seeds, try_out

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


def parts(family: str, operation: str, params: dict[str, Any]) -> list[dict[str, Any] | None]:
    """What is sent instead, by every mutant of a family."""
    found = sorted(one for one in mutants(operation, params) if one.family == family)
    return [broken(operation, params, one) for one in found]


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
        f"version = :seen AND ( {yes} OR a < :points)".replace("( ", "("),
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
    assert set(mutants("PutItem", PUT)) == set(mutants("PutItem", other))
    assert Mutant("condition", Place("Put HEIST if attribute_not_exists(pk)", ALONE)) in set(
        mutants("PutItem", PUT)
    )


def apart(mutant: Mutant | CodeMutant, tests: Sequence[str], seeds: Sequence[int]) -> str:
    """What notices the mutant in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(try_out, (Trial(mutant, tests, seeds),))[1]


@pytest.mark.slow
def test_the_search_notices_a_condition_that_is_left_out() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        met = pool.apply(observe_seeds, (range(15),))
    (mutant,) = {
        mutant
        for one in met.values()
        for call in one.calls
        for mutant in call
        if mutant.family == "condition" and "lastRobbedAt" in mutant.place.write
    }
    seeds = [int(seed) for seed, one in met.items() if one.meets(mutant)]
    assert apart(mutant, (), seeds).startswith("seed")


@pytest.mark.slow
def test_the_tests_of_storage_notice_a_decision_that_is_taken_away() -> None:
    mutant = next(
        one
        for one in code_mutants("heist_core.use_cases.notify_players")
        if "DOUBTFUL_ATTEMPTS -> False" in one.change
    )
    assert apart(mutant, ["tests/unit/test_notifier.py"], ()).startswith("unit/test_notifier.py")
