"""What a command costs: the units of DynamoDB that it consumed, and dollars."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WRITE_UNIT = 0.625e-6
READ_UNIT = 0.125e-6
"""Dollars: list prices of us-east-1 on demand, noted on 2026-11-27."""

_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
_READS = ("GetItem", "BatchGetItem", "Query", "Scan")


@dataclass
class Spent:
    """Units that DynamoDB charges for."""

    reads: float = 0
    writes: float = 0

    @property
    def dollars(self) -> float:
        return self.reads * READ_UNIT + self.writes * WRITE_UNIT

    @property
    def document(self) -> dict[str, float]:
        dollars = round(self.dollars, 9)
        return {"readUnits": self.reads, "writeUnits": self.writes, "dollars": dollars}

    def __str__(self) -> str:
        return f"{self.reads:.0f} read units and {self.writes:.0f} write units, ${self.dollars:.6f}"


@contextmanager
def spent_by(client: "DynamoDBClient") -> Iterator[Spent]:
    """What a client consumes within the block, as DynamoDB says it."""
    spent = Spent()

    def ask(params: dict[str, Any], **_: object) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def add(parsed: Mapping[str, Any], model: Any, **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity") or []
        units = sum(
            one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed])
        )
        if model.name in _WRITES:
            spent.writes += units
        else:
            spent.reads += units

    hooks = [
        (f"{event}.dynamodb.{operation}", hook)
        for operation in (*_WRITES, *_READS)
        for event, hook in (("provide-client-params", ask), ("after-call", add))
    ]
    for name, hook in hooks:
        client.meta.events.register(name, hook)
    try:
        yield spent
    finally:
        for name, hook in hooks:
            client.meta.events.unregister(name, hook)
