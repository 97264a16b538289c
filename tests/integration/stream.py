"""The contract of Lambda with a DynamoDB stream, as AWS documents it; the emulator honours less.

Order holds within a batch. A batch that fails is delivered again from the first failed record on;
one that fails as a whole is cut in two. After the retries, only the position goes to the on-failure
destination. Any batch may be delivered more often than once.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from heist_core.storage import keys
from tests.builders import Event, stream_event, stream_record
from tests.fakes import LOST, Crash
from tests.integration.game import Game

Handler = Callable[[Event], Any]


@dataclass
class Stream:
    """The stream of a game's table, behind the filter of template.yaml: new items with a marker."""

    game: Game
    records: list[Event] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def poll(self) -> list[Event]:
        """Records of the items that came since the last poll."""
        new: list[Event] = []
        for item in sorted(self.game.everything(), key=lambda item: str(item.get("owedSince"))):
            place = f"{item['pk']}/{item['sk']}"
            bucket = item.get("owedBucket")
            if bucket and bucket not in keys.DIGEST_BUCKETS and place not in self._seen:
                self._seen.add(place)
                new.append(stream_record(item, len(self.records) + len(new) + 1))
        self.records += new
        return new


@dataclass
class Consumer:
    """An event source mapping. `on_failure` are the sequence numbers it gave up."""

    handler: Handler
    batch_size: int = 10
    retries: int = 3
    deliveries: int = 1
    invocations: int = 0
    on_failure: list[str] = field(default_factory=list)
    between: Callable[[], object] = lambda: None

    def deliver(self, records: list[Event]) -> None:
        for start in range(0, len(records), self.batch_size):
            for _ in range(self.deliveries):
                self._batch(records[start : start + self.batch_size], self.retries)

    def _batch(self, batch: list[Event], retries: int) -> None:
        failed = self._first_failed(batch)
        if failed is None:
            return
        rest = batch[failed:]
        self.between()
        if failed == 0 and len(rest) > 1:
            middle = len(rest) // 2
            self._batch(rest[:middle], retries)
            self._batch(rest[middle:], retries)
        elif retries:
            self._batch(rest, retries - 1)
        else:
            self.on_failure += [_sequence(record) for record in rest]

    def _first_failed(self, batch: list[Event]) -> int | None:
        """Where to go on; None: the batch is done."""
        self.invocations += 1
        try:
            answer = self.handler(json.loads(json.dumps(stream_event(*batch))))
        except (Exception, Crash):  # noqa: BLE001 - whatever it is, the invocation failed
            return 0
        return _checkpoint(json.loads(json.dumps(answer)), batch)


def _checkpoint(answer: Mapping[str, Any] | None, batch: list[Event]) -> int | None:
    """None or an empty list is a success; an identifier that is not there fails the batch."""
    failures = (answer or {}).get("batchItemFailures") or []
    if not failures:
        return None
    sequences = [_sequence(record) for record in batch]
    positions = [
        sequences.index(failure["itemIdentifier"])
        if failure.get("itemIdentifier") in sequences
        else 0
        for failure in failures
    ]
    return min(positions)


def _sequence(record: Event) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def crash() -> None:
    raise Crash


def lose() -> None:
    raise LOST


# Ending after a call is ending before the next one.
FAULTS = [("before", crash), ("before", lose), ("after", lose)]


class FaultAt:
    """A fault before or after the n-th call of anything: storage, SES, queue or bus.

    Looks into one part of an index after another count as one call.
    """

    def __init__(self, game: Game, number: int, moment: str, strike: Callable[[], None]) -> None:
        self.operation = ""
        self._index: str | None = None
        self._left = number
        self._moment = moment
        self._strike = strike
        self._tap = game.tap
        self.set()

    def set(self) -> None:
        self._tap.before, self._tap.after = self.before, self.after

    def before(self, operation: str, request: Mapping[str, Any]) -> None:
        before, self._index = self._index, request.get("IndexName")
        if before is not None and before == self._index:
            return
        self._left -= 1
        if self._left == 0:
            self.operation = operation
            if self._moment == "before":
                self._strike()

    def after(self, operation: str) -> None:
        if self._left == 0 and self._moment == "after":
            self._left = -1
            self._strike()
