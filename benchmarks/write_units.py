"""Budgets 7 and 10: what each operation costs, as an engine reports it with its indexes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
_READS = ("GetItem", "BatchGetItem", "Query", "TransactGetItems")


class Meter:
    """Units that a client consumed since the last `take`, by operation, and bytes of bodies."""

    def __init__(self) -> None:
        self.writes: dict[str, float] = defaultdict(float)
        self.reads: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self.sent = 0
        self.received = 0

    def take(self) -> tuple[float, float, int]:
        """Write units, read units and calls; and begin again."""
        taken = sum(self.writes.values()), sum(self.reads.values()), sum(self.calls.values())
        self.writes.clear()
        self.reads.clear()
        self.calls.clear()
        self.sent = self.received = 0
        return taken

    def _ask(self, params: dict[str, Any], **_: object) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"

    def _send(self, request: Any, **_: object) -> None:
        self.sent += len(request.body)

    def _read(self, parsed: Mapping[str, Any], model: Any, http_response: Any, **_: object) -> None:
        self.received += len(http_response.content)
        consumed = parsed.get("ConsumedCapacity") or []
        listed = consumed if isinstance(consumed, list) else [consumed]
        self.calls[model.name] += 1
        to = self.writes if model.name in _WRITES else self.reads
        to[model.name] += sum(one["CapacityUnits"] for one in listed)


@contextmanager
def metered(client: "DynamoDBClient") -> Iterator[Meter]:
    """Meters a client for the length of the block."""
    meter = Meter()
    events = client.meta.events
    names = [f"dynamodb.{operation}" for operation in (*_WRITES, *_READS)]
    for name in names:
        events.register(f"provide-client-params.{name}", meter._ask)
        events.register(f"before-send.{name}", meter._send)
        events.register(f"after-call.{name}", meter._read)
    try:
        yield meter
    finally:
        for name in names:
            events.unregister(f"provide-client-params.{name}", meter._ask)
            events.unregister(f"before-send.{name}", meter._send)
            events.unregister(f"after-call.{name}", meter._read)
