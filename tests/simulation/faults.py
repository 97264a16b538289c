"""Faults at the botocore boundary: between the SDK, with its own retries, and whatever answers it.

A seed decides them. The product's clients are real; the hook `before-send` sees every attempt.
"""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from tests.proxies import body_of, refusal, reply

from .scheduler import Crashed

Send = Callable[[AWSPreparedRequest], AWSResponse]

READS = frozenset({"GetItem", "BatchGetItem", "Query", "GetSecretValue"})
MAILS = "SendEmail"


class Fault(StrEnum):
    REFUSED = "no connection, nothing sent"
    SERVER_ERROR = "500, nothing done"
    THROTTLED = "throttled"
    CONFLICT = "transaction conflict"
    IN_PROGRESS = "transaction in progress"
    PARTIAL = "a batch read answered in part"
    REJECTED = "a mail refused for good"
    LOST = "done, and the reply never came"
    CUT = "done, and the connection was reset"
    DONE_500 = "done, and answered 500"
    LATE = "timed out, and done later"
    CRASHED_BEFORE = "the process ended before sending"
    CRASHED_AFTER = "the process ended after sending"


_ANY = (Fault.REFUSED, Fault.SERVER_ERROR, Fault.THROTTLED, Fault.CRASHED_BEFORE)
_OF_WRITES = (Fault.LOST, Fault.LOST, Fault.CUT, Fault.DONE_500, Fault.LATE, Fault.LATE)
_BY_OPERATION = {
    "BatchGetItem": (*_ANY, Fault.LOST, Fault.CUT, *[Fault.PARTIAL] * 6),
    "TransactWriteItems": (
        *_ANY,
        *_OF_WRITES,
        Fault.CRASHED_AFTER,
        Fault.CONFLICT,
        Fault.CONFLICT,
        Fault.IN_PROGRESS,
    ),
    MAILS: (
        *_ANY,
        Fault.LOST,
        Fault.CUT,
        Fault.DONE_500,
        Fault.CRASHED_AFTER,
        *[Fault.REJECTED] * 4,
    ),
    "PutItem": (*_ANY, *_OF_WRITES, Fault.CRASHED_AFTER, Fault.CONFLICT),
    "UpdateItem": (*_ANY, *_OF_WRITES, Fault.CRASHED_AFTER, Fault.CONFLICT),
}
_OF_OTHERS = (*_ANY, Fault.LOST, Fault.CUT, Fault.DONE_500, Fault.CRASHED_AFTER)
_PASSING = frozenset({Fault.PARTIAL, Fault.CRASHED_BEFORE, Fault.CRASHED_AFTER})
_STICKS = 0.35
"""How often the SDK's own next attempt meets the same fault again."""


@dataclass
class FaultInjector:
    """`rate`: how many sends in one meet a fault. `advance` moves the clock by seconds; `pause`
    lets other requests run."""

    rng: random.Random
    rate: float = 0.0
    crashes: bool = True
    advance: Callable[[float], None] = lambda _: None
    pause: Callable[[], None] = lambda: None
    log: Callable[[str], None] = lambda _: None
    faulted: Callable[[str, AWSPreparedRequest], None] = lambda *_: None
    late: list[tuple[str, AWSPreparedRequest, Send]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    faulted_writes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sticking: dict[tuple[str, str], Fault] = field(default_factory=dict)

    def calm_down(self) -> None:
        """No more faults, and whatever is still under way arrives."""
        self.rate = 0.0
        self._sticking.clear()
        self.deliver_late(everything=True)

    def deliver_late(self, *, everything: bool = False) -> None:
        """Let requests arrive whose senders have long given up; nobody hears the answers."""
        while everything or self.rng.random() < 0.5:
            with self._lock:
                if not self.late:
                    return
                operation, request, send = self.late.pop(self.rng.randrange(len(self.late)))
            self.log(f"{operation} arrives late: {send(request).status_code}")

    def answer(self, operation: str, request: AWSPreparedRequest, send: Send) -> AWSResponse:
        """What one attempt of a client gets to hear; `send` would carry it out."""
        self.pause()
        if self.late and self.rng.random() < 0.3:
            self.deliver_late()
        self.advance(self.rng.uniform(0.001, 0.030))
        fault = self._choose(operation)
        if fault is None:
            response = send(request)
            self.log(f"{operation}: {response.status_code}")
            return response
        self.log(f"{operation}: {fault}")
        self.faulted(operation, request)
        return self._commit_fault(fault, operation, request, send)

    def _choose(self, operation: str) -> Fault | None:
        sender = (threading.current_thread().name, operation)
        with self._lock:
            writes = operation not in READS
            self.writes += writes
            fault = self._sticking.pop(sender, None)
            if fault is None and self.rng.random() < self.rate:
                fault = self.rng.choice(_BY_OPERATION.get(operation, _OF_OTHERS))
                if fault not in _PASSING and self.rng.random() < _STICKS:
                    self._sticking[sender] = fault
            if fault in (Fault.CRASHED_BEFORE, Fault.CRASHED_AFTER) and not self.crashes:
                fault = Fault.REFUSED if fault is Fault.CRASHED_BEFORE else Fault.LOST
            if fault is not None:
                self.seen[fault.name] += 1
                self.faulted_writes += writes
        return fault

    def _commit_fault(
        self, fault: Fault, operation: str, request: AWSPreparedRequest, send: Send
    ) -> AWSResponse:
        url = request.url
        match fault:
            case Fault.REFUSED:
                self.advance(1)
                if self.rng.random() < 0.5:
                    raise ConnectTimeoutError(endpoint_url=url)
                raise EndpointConnectionError(endpoint_url=url)
            case Fault.SERVER_ERROR:
                return reply(request, 500, {"__type": "InternalServerError", "message": "injected"})
            case Fault.THROTTLED:
                return self._throttled(operation, request)
            case Fault.CONFLICT:
                if operation != "TransactWriteItems":
                    return refusal(request, "TransactionConflictException")
                return self._cancelled(request, ("None", "TransactionConflict"))
            case Fault.IN_PROGRESS:
                return refusal(request, "TransactionInProgressException")
            case Fault.PARTIAL:
                return self._in_part(request, send)
            case Fault.REJECTED:
                return refusal(request, "MessageRejected")
            case Fault.LATE:
                with self._lock:
                    self.late.append((operation, request, send))
                self.advance(2)
                raise ReadTimeoutError(endpoint_url=url)
            case Fault.CRASHED_BEFORE:
                raise Crashed
        send(request)
        match fault:
            case Fault.LOST:
                self.advance(2)
                raise ReadTimeoutError(endpoint_url=url)
            case Fault.CUT:
                raise ConnectionClosedError(endpoint_url=url)
            case Fault.DONE_500:
                return reply(request, 500, {"__type": "InternalServerError", "message": "injected"})
        raise Crashed

    def _throttled(self, operation: str, request: AWSPreparedRequest) -> AWSResponse:
        if operation == "TransactWriteItems" and self.rng.random() < 0.5:
            codes = ("None", "ThrottlingError", "ProvisionedThroughputExceeded")
            return self._cancelled(request, codes)
        if operation == MAILS:
            return refusal(request, "TooManyRequestsException", 429)
        code = self.rng.choice(("ThrottlingException", "ProvisionedThroughputExceededException"))
        return refusal(request, code)

    def _cancelled(self, request: AWSPreparedRequest, codes: tuple[str, ...]) -> AWSResponse:
        count = len(body_of(request)["TransactItems"])
        reasons = [{"Code": self.rng.choice(codes)} for _ in range(count)]
        reasons[self.rng.randrange(count)] = {"Code": codes[-1]}
        return refusal(request, "TransactionCanceledException", CancellationReasons=reasons)

    def _in_part(self, request: AWSPreparedRequest, send: Send) -> AWSResponse:
        """Answer some of the keys only: the rest is read in a second call, so the read is torn,
        often just between the record and the players."""
        asked = body_of(request)["RequestItems"]
        response = send(request)
        answer = json.loads(response.content)
        ((table, wanted),) = asked.items()
        later = self.rng.choice(("", "PLAYER#", "HEIST#"))
        held_back = [
            key
            for key in wanted["Keys"]
            if (key["pk"]["S"].startswith(later) if later else self.rng.random() < 0.5)
        ]
        answer["Responses"][table] = [
            item
            for item in answer["Responses"].get(table, [])
            if {"pk": item["pk"], "sk": item["sk"]} not in held_back
        ]
        if held_back:
            answer["UnprocessedKeys"] = {table: {**wanted, "Keys": held_back}}
        return reply(request, 200, answer)
