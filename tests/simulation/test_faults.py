"""The injector does what it says, so that a search without findings means something."""

import json
import random
import threading
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from tests.proxies import body_of, reply

from .faults import Fault, FaultInjector
from .scheduler import Crashed, Deviation, Scheduler

NOTHING_SENT = (ConnectTimeoutError, EndpointConnectionError)
FAULTS = [
    (Fault.REFUSED, NOTHING_SENT, 0),
    (Fault.SERVER_ERROR, ClientError, 0),
    (Fault.THROTTLED, ClientError, 0),
    (Fault.CONFLICT, ClientError, 0),
    (Fault.IN_PROGRESS, ClientError, 0),
    (Fault.LOST, ReadTimeoutError, 1),
    (Fault.CUT, ConnectionClosedError, 1),
    (Fault.DONE_500, ClientError, 1),
    (Fault.LATE, ReadTimeoutError, 0),
    (Fault.CRASHED_BEFORE, Crashed, 0),
    (Fault.CRASHED_AFTER, Crashed, 1),
]


class Wire:
    """A client whose every attempt meets one fault; `sent` is what reached the engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: Fault | None) -> None:
        self.sent: list[str] = []
        self.faults = FaultInjector(random.Random(1))
        monkeypatch.setattr(self.faults, "_choose", lambda _: fault)
        self.client: Any = boto3.client(
            "dynamodb",
            region_name="us-east-1",
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
        )
        events: Any = self.client.meta.events
        events.register("before-send", self._before_send)

    def _before_send(
        self, request: AWSPreparedRequest, event_name: str, **_: object
    ) -> AWSResponse:
        return self.faults.answer(event_name.rpartition(".")[2], request, self._send)

    def _send(self, request: AWSPreparedRequest) -> AWSResponse:
        self.sent.append(json.dumps(body_of(request)))
        answers: dict[str, object] = {
            "Responses": {"table": [{"pk": {"S": one}, "sk": {"S": "s"}} for one in "abcdef"]}
        }
        return reply(request, 200, answers if "RequestItems" in body_of(request) else {})

    def transact(self) -> None:
        self.client.transact_write_items(
            TransactItems=[{"Put": {"TableName": "table", "Item": {"pk": {"S": "a"}}}}]
        )


@pytest.mark.parametrize(("fault", "error", "sent"), FAULTS)
def test_each_fault_fails_in_its_way_and_sends_or_does_not(
    fault: Fault, error: type[BaseException], sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(monkeypatch, fault)
    with pytest.raises(error):
        wire.transact()
    assert len(wire.sent) == sent


def test_what_is_late_arrives_later(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch, Fault.LATE)
    with pytest.raises(ReadTimeoutError):
        wire.transact()
    wire.faults.deliver_late(everything=True)
    assert len(wire.sent) == 1
    assert not wire.faults.late


def test_a_cancelled_transaction_has_a_reason_per_action(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch, Fault.CONFLICT)
    with pytest.raises(ClientError) as raised:
        wire.transact()
    assert raised.value.response["Error"]["Code"] == "TransactionCanceledException"
    assert raised.value.response["CancellationReasons"] == [{"Code": "TransactionConflict"}]


def test_a_batch_answered_in_part_names_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(monkeypatch, Fault.PARTIAL)
    keys = [{"pk": {"S": one}, "sk": {"S": "s"}} for one in "abcdef"]
    answer = wire.client.batch_get_item(RequestItems={"table": {"Keys": keys}})
    found = {item["pk"]["S"] for item in answer["Responses"]["table"]}
    left = {key["pk"]["S"] for key in answer["UnprocessedKeys"].get("table", {}).get("Keys", [])}
    assert found | left == set("abcdef")
    assert not found & left


def test_a_rate_is_kept_and_the_seed_decides() -> None:
    def faults(seed: int) -> list[Fault | None]:
        injector = FaultInjector(random.Random(seed), rate=0.2)
        return [injector._choose("PutItem") for _ in range(2000)]

    assert faults(1) == faults(1) != faults(2)
    assert 0.2 <= sum(fault is not None for fault in faults(3)) / 2000 <= 0.3


def test_the_scheduler_runs_one_at_a_time_in_an_order_that_the_seed_decides() -> None:
    def course(seed: int) -> list[str]:
        scheduler, steps = Scheduler(random.Random(seed)), list[str]()

        def work(name: str) -> Callable[[], None]:
            def run() -> None:
                for step in range(3):
                    steps.append(f"{name}{step}")
                    scheduler.pause()

            return run

        scheduler.run([work("a"), work("b"), work("c")])
        return steps

    assert course(1) == course(1) != course(2)
    assert sorted(course(1)) == [f"{name}{step}" for name in "abc" for step in range(3)]


def test_a_deviation_of_one_ends_all() -> None:
    scheduler = Scheduler(random.Random(0))
    before = threading.active_count()

    def deviate() -> None:
        scheduler.pause()
        raise Deviation("here")

    def go_on() -> None:
        for _ in range(1000):
            scheduler.pause()

    with pytest.raises(Deviation, match="here"):
        scheduler.run([deviate, go_on])
    assert threading.active_count() == before
