"""Events out and dead letters: taken for certain, or an error."""

import json

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from heist_core.domain.errors import HeistRefused, InvalidInput, Issue, Unavailable
from heist_core.domain.facts import Event
from heist_core.messaging.bus import Bus
from heist_core.messaging.dead_letters import LARGEST_DEAD_LETTER, DeadLetters, to_text
from tests.builders import award, heist, reversal
from tests.fakes import FakeEventBridge, FakeQueue, client_error

OF_A_HEIST = {
    "heistId": "5b0d8c6f2f1e4a31b7d3a9c2e4f60718",
    "attackerId": "alice",
    "victimId": "bob",
    "season": "2026-11",
    "createdAt": "2026-11-22T12:00:03.117Z",
}


@pytest.mark.parametrize(
    ("event", "name", "details"),
    [
        (
            heist(),
            "HeistCommitted",
            {"pointsStolen": 40, "attackerPointsAfter": 1040, "victimPointsAfter": 760}
            | OF_A_HEIST,
        ),
        (
            reversal(returned=30, refunded=True),
            "HeistReversed",
            {"pointsReturned": 30, "shortfall": 10, "tokenRefunded": True}
            | {"attackerPointsAfter": 1010, "victimPointsAfter": 790}
            | OF_A_HEIST,
        ),
        (
            award(),
            "TokenAwarded",
            {"userId": "alice", "referredUserId": "carol", "createdAt": OF_A_HEIST["createdAt"]},
        ),
    ],
)
def test_the_events_are_the_specifications(
    event: Event, name: str, details: dict[str, object]
) -> None:
    bridge = FakeEventBridge()
    Bus(bridge.client, "heist-core").publish(event)
    assert bridge.facts == [(name, details)]


def changed(*what: object) -> tuple[str, object]:
    names = ("userId", "points", "change", "reason", "version")
    rest = {"season": "2026-11", "at": "2026-11-22T12:00:03.117Z"}
    return "PointsChanged", dict(zip(names, what, strict=True)) | rest


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (
            heist(),
            [
                changed("alice", 1040, 40, "HEIST_GAIN", 7),
                changed("bob", 760, -40, "HEIST_LOSS", 4),
            ],
        ),
        (
            reversal(returned=30),
            [
                changed("alice", 1010, -30, "HEIST_REVERSAL", 9),
                changed("bob", 790, 30, "HEIST_REVERSAL", 5),
            ],
        ),
        (reversal(returned=0), []),
        (heist(versions=(None, None)), []),
        (award(), []),
    ],
    ids=["heist", "reversal", "nothing returned", "a record without versions", "award"],
)
def test_what_an_event_did_to_points_is_told_in_the_same_call(
    event: Event, changes: list[tuple[str, object]]
) -> None:
    bridge = FakeEventBridge()
    Bus(bridge.client, "heist-core").publish(event)
    assert bridge.published[1:] == changes
    assert bridge.calls == 1


def test_the_request_is_one_that_the_bus_knows() -> None:
    client = boto3.client("events")
    with Stubber(client) as stub:
        stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
        Bus(client, "heist-core").publish(heist())
        stub.assert_no_pending_responses()
    client.close()


def test_an_event_that_the_bus_did_not_take_is_an_error() -> None:
    bridge = FakeEventBridge(refused_entries=1)
    bridge.fails(client_error("InternalException", 500), ReadTimeoutError(endpoint_url="x"))
    for _ in range(3):
        with pytest.raises(Unavailable):
            Bus(bridge.client, "heist-core").publish(heist())
    assert bridge.published == []
    Bus(bridge.client, "heist-core").publish(heist())
    assert len(bridge.facts) == 1


def test_a_dead_letter_is_kept_as_json() -> None:
    client = boto3.client("sqs")
    with Stubber(client) as stub:
        stub.add_response(
            "send_message",
            {"MessageId": "1"},
            {"QueueUrl": "https://queue", "MessageBody": '{"reason":"Zoë"}'},
        )
        DeadLetters(client, "https://queue").put({"reason": "Zoë"})
        stub.assert_no_pending_responses()
    client.close()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("😀" * 3, '"😀😀😀"'),
        ({"a": [1, 1.5, True, None]}, '{"a":[1,1.5,true,null]}'),
        (
            json.loads('{"a": [1e400, -1e400], "b": {"c": 1e400}}'),
            '{"a":["Infinity","-Infinity"],"b":{"c":"Infinity"}}',
        ),
        (float("nan"), '"NaN"'),
        ("a\x00\n\x1f", '"a\\u0000\\n\\u001f"'),
        ("a\ud800b\udfff\ufffe\uffff", '"a\\ud800b\\udfff\\ufffe\\uffff"'),
    ],
)
def test_a_dead_letter_is_json_that_everybody_reads_and_a_queue_takes(
    value: object, text: str
) -> None:
    assert to_text(value) == text
    json.loads(text, parse_constant=pytest.fail)


def test_what_is_too_large_for_a_queue_is_kept_short() -> None:
    queue = FakeQueue()
    letters = DeadLetters(queue.client, "https://queue")
    around = len('{"a":""}')
    fits, larger = (
        {"a": "é" * ((LARGEST_DEAD_LETTER - around) // 2)},
        {"a": "x" * LARGEST_DEAD_LETTER},
    )
    letters.put(fits, {"short": True})
    letters.put(larger, {"short": True})
    assert list(queue) == [fits, {"short": True}]


def test_a_dead_letter_that_the_queue_did_not_take_is_an_error() -> None:
    queue = FakeQueue()
    queue.fails(client_error("AccessDenied", 403), ReadTimeoutError(endpoint_url="x"))
    for _ in range(2):
        with pytest.raises(Unavailable):
            DeadLetters(queue.client, "https://queue").put({"reason": "x"})
    assert len(queue) == 0


def test_errors_say_what_they_are_about() -> None:
    issues = [Issue("a", (), "one"), Issue("b", (), "two")]
    assert str(InvalidInput(issues)) == "one; two"
    assert str(HeistRefused("NO_TOKENS", "You need at least 1 Heist Token")) == (
        "You need at least 1 Heist Token"
    )
