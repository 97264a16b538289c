"""The contract with teams that listen: schemas, emitted events, and the example consumer."""

import importlib.util
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator
from moto import mock_aws

from heist_core.domain.board import Standing
from heist_core.domain.facts import Event
from heist_core.domain.notices import InboxItem, notices_of
from heist_core.messaging import bus
from heist_core.messaging.bus import SOURCE, closing_of, delivery_of, events_of
from tests.builders import SEASON, award, heist, reversal

FOLDER = Path(__file__).parents[2] / "docs" / "events-out"
NAMES = sorted(path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json"))
TABLE = "leaderboard"


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    return found


def emitted(fact: Event) -> list[dict[str, Any]]:
    return [
        {"source": SOURCE, "detail-type": detail_type, "detail": dict(detail)}
        for detail_type, detail in events_of(fact)
    ]


def closed() -> dict[str, Any]:
    detail_type, detail = closing_of(SEASON, 2, [Standing(20, "bob"), Standing(10, "alice")])
    return {"source": SOURCE, "detail-type": detail_type, "detail": dict(detail)}


def delivered() -> dict[str, Any]:
    (_, notice) = notices_of(heist())
    detail_type, detail = delivery_of(InboxItem("0000000001-0a1b2c3d", notice, None))
    return {"source": SOURCE, "detail-type": detail_type, "detail": dict(detail)}


EVENTS = {
    event["detail-type"]: event
    for event in (
        *(event for fact in (heist(), reversal(), award()) for event in emitted(fact)),
        closed(),
        delivered(),
    )
}


def test_every_event_out_has_a_schema() -> None:
    assert sorted(EVENTS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_emitted_is_what_the_schema_says_member_by_member(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    Draft202012Validator(schema(name)).validate(EVENTS[name])
    required = schema(name)["properties"]["detail"]["required"]
    assert set(required) == set(getattr(bus, name).__annotations__)


@pytest.mark.parametrize("name", NAMES)
def test_a_member_that_is_missing_or_of_another_type_breaks_the_contract(name: str) -> None:
    validator = Draft202012Validator(schema(name))
    for member in EVENTS[name]["detail"]:
        changes: list[dict[str, object]] = [{}, {member: []}]
        for change in changes:
            rest = {key: value for key, value in EVENTS[name]["detail"].items() if key != member}
            assert not validator.is_valid({**EVENTS[name], "detail": {**rest, **change}}), member


# The consumer to start from


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("LEADERBOARD_TABLE", TABLE)
    spec = importlib.util.spec_from_file_location("sample", FOLDER / "leaderboard_cache.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "season", "KeyType": "HASH"},
                {"AttributeName": "playerId", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "season", "AttributeType": "S"},
                {"AttributeName": "playerId", "AttributeType": "S"},
            ],
        )
        yield module


def lines() -> dict[str, int]:
    found = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    return {item["playerId"]["S"]: int(item["points"]["N"]) for item in found}


FIRST = emitted(heist(attacker_before=0, victim_before=800, stolen=40, versions=(7, 4)))
SECOND = emitted(heist("carol", "bob", "second", victim_before=760, stolen=38, versions=(2, 5)))


@pytest.mark.parametrize("order", sorted(set(map("".join, itertools.permutations("1212")))))
def test_however_events_are_repeated_and_ordered_the_cache_ends_the_same(
    consumer: ModuleType, order: str
) -> None:
    for which in order:
        for event in {"1": FIRST, "2": SECOND[::-1]}[which]:
            consumer.handler(event, None)
    assert lines() == {"alice": 40, "bob": 722, "carol": 1038}


def test_events_that_the_cache_does_not_know_are_left(consumer: ModuleType) -> None:
    for event in (*FIRST, *emitted(award())):
        consumer.handler(event, None)
    consumer.handler({"source": "heist", "detail-type": "SomethingNew", "detail": {}}, None)
    assert lines() == {"alice": 40, "bob": 760}
