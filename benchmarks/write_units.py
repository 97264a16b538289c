"""Budgets 7 and 10: what each operation costs, as an engine reports it with its indexes.

Where the engines charge nothing and AWS does, this does as AWS: a write whose condition fails, and
a read of what is not there (both in AWS's developer guide, "Read and write operations").
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from heist_core.storage.keys import Kind, kind_of
from heist_core.storage.wire import from_wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
_READS = ("GetItem", "BatchGetItem", "Query", "TransactGetItems")
_WRITE_BYTES, _READ_BYTES = 1024, 4096
_BOARD = ("odd", "even")
"""The leaderboard's indexes, which every change of points moves a player in."""
_STATISTICS = {Kind.DAY, Kind.ROBBER, Kind.HOLDING, Kind.BALANCES}


def size_of(value: object) -> int:
    """Bytes of a typed item or attribute as DynamoDB counts them (numbers at their most)."""
    if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)).isupper():
        ((kind, content),) = value.items()
        if kind == "N":
            return len(str(content)) // 2 + 2
        if kind in ("M", "L"):
            return 3 + size_of(content)
        return size_of(content)
    if isinstance(value, Mapping):
        return sum(len(str(name).encode()) + size_of(inner) for name, inner in value.items())
    if isinstance(value, list):
        return sum(1 + size_of(inner) for inner in value)
    return len(value.encode()) if isinstance(value, str) else 1


def units(item: object, bytes_of_a_unit: int) -> int:
    """What an item costs; one that is not there costs one unit, too."""
    return max(1, -(-size_of(item or {}) // bytes_of_a_unit))


def part_of(operation: str, params: Mapping[str, Any]) -> str:
    """What a write is for, by the kinds of items that it writes."""
    requests = [params]
    if operation == "TransactWriteItems":
        requests = [request for action in params["TransactItems"] for request in action.values()]
    keys = [request["Item"] if "Item" in request else request["Key"] for request in requests]
    kinds = {kind_of(from_wire(key)) for key in keys}
    if Kind.PLAYER in kinds:
        return "transaction"
    if kinds & _STATISTICS:
        return "statistics"
    if Kind.INBOX in kinds or (kinds == {Kind.NOTICE} and "Item" in params):
        return "notices"
    parts = {Kind.RATE: "rate counter", Kind.NOTICE: "mails", Kind.READ_COUNT: "marks"}
    return "+".join(sorted({parts.get(kind, "marker") for kind in kinds if kind}))


class Meter:
    """Units that a client consumed since the last `take`, by operation, and bytes of bodies."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = defaultdict(float)
        """Write units by what they were for."""
        self.writes: dict[str, float] = defaultdict(float)
        self.reads: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self.sent = 0
        self.received = 0

    def take(self) -> tuple[float, float, int]:
        """Write units, read units and calls; and begin again."""
        taken = sum(self.writes.values()), sum(self.reads.values()), sum(self.calls.values())
        self.parts.clear()
        self.writes.clear()
        self.reads.clear()
        self.calls.clear()
        self.sent = self.received = 0
        return taken

    def _ask(self, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"
        context["metered"] = params

    def _send(self, request: Any, **_: object) -> None:
        self.sent += len(request.body)

    def _read(
        self,
        parsed: Mapping[str, Any],
        model: Any,
        http_response: Any,
        context: Mapping[str, Any],
        **_: object,
    ) -> None:
        self.received += len(http_response.content)
        self.calls[model.name] += 1
        params = context["metered"]
        consumed = parsed.get("ConsumedCapacity") or []
        listed = consumed if isinstance(consumed, list) else [consumed]
        reported = sum(one["CapacityUnits"] for one in listed)
        if model.name in _WRITES:
            spent, board = reported + _refused(parsed), sum(map(_board_units, listed))
            self.writes[model.name] += spent
            self.parts[part_of(model.name, params)] += spent - board
            if board:
                self.parts["board"] += board
        else:
            self.reads[model.name] += max(reported, sum(_read_units(model.name, params, parsed)))


def _board_units(consumed: Mapping[str, Any]) -> float:
    indexes = consumed.get("GlobalSecondaryIndexes", {})
    return float(sum(indexes[name]["CapacityUnits"] for name in _BOARD if name in indexes))


def _refused(parsed: Mapping[str, Any]) -> float:
    """Of a write whose condition failed: by the item that stands there, where the answer has it,
    else one; in a transaction twice, for each of its items."""
    code = parsed.get("Error", {}).get("Code")
    if code == "ConditionalCheckFailedException":
        return units(parsed.get("Item"), _WRITE_BYTES)
    if code == "TransactionCanceledException":
        reasons = parsed.get("CancellationReasons", ())
        return sum(2 * units(reason.get("Item"), _WRITE_BYTES) for reason in reasons)
    return 0


def _read_units(
    operation: str, params: Mapping[str, Any], parsed: Mapping[str, Any]
) -> Iterable[float]:
    """What AWS charges at least, by sizes: the engines leave out what is not there."""
    if operation == "BatchGetItem":
        for table, asked in params["RequestItems"].items():
            found = parsed.get("Responses", {}).get(table, [])
            missing = len(asked["Keys"]) - len(found)
            share = 1 if asked.get("ConsistentRead") else 0.5
            yield from (share * units(item, _READ_BYTES) for item in [*found, *[None] * missing])
        return
    share = 1 if params.get("ConsistentRead") else 0.5
    if operation == "GetItem":
        yield share * units(parsed.get("Item"), _READ_BYTES)
    elif operation == "Query":
        read = cast("list[object]", parsed.get("Items", []))
        yield share * max(1, -(-sum(map(size_of, read)) // _READ_BYTES))


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
