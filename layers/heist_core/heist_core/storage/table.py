"""The gateway to DynamoDB: nothing else sends a request, and what fails comes out as an error of
ours.

Every method may raise:
- Contention: others won the race, or a conflict or throttle cancelled it. Nothing was written. A
  plain write that meets a transaction under way is tried again here, for some milliseconds.
- Misconfigured: this caller may not do it, or there is no such table. Nothing was written.
- Unavailable: no definite answer (time-out, connection, 5xx). For writes the outcome is unknown.
Any other error of DynamoDB is a defect and passes through.
"""

import heapq
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar, cast

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.parsers import ResponseParserError

from heist_core.domain.errors import Contention, Misconfigured, Unavailable

from .keys import Key, key_of, place_of
from .wire import Item, from_wire, to_wire
from .writes import Request, Transaction

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        KeysAndAttributesOutputTypeDef,
        KeysAndAttributesTypeDef,
        PutItemInputTypeDef,
        QueryOutputTypeDef,
        ScanOutputTypeDef,
        TransactWriteItemTypeDef,
        UpdateItemInputTypeDef,
    )

    _Page = QueryOutputTypeDef | ScanOutputTypeDef
    _Reason = Mapping[str, object]

T = TypeVar("T")
Progress = Callable[[int], None]
"""Told how many items were read so far."""

_NO_ANSWER = (HTTPClientError, BotocoreConnectionError, IncompleteReadError, ResponseParserError)
_CONFLICT = "TransactionConflictException"
_CONTENDED = frozenset(
    {
        _CONFLICT,
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    }
)
_DEFECTS = frozenset(
    {
        "ValidationException",
        "SerializationException",
        "IdempotentParameterMismatchException",
        "ItemCollectionSizeLimitExceededException",
    }
)
_MISCONFIGURED = frozenset(
    {
        "AccessDeniedException",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
        "ExpiredTokenException",
    }
)
_DEFECTIVE_REASONS = frozenset({"ValidationError", "ItemCollectionSizeLimitExceeded"})
_BATCH_ROUNDS = 5
_ITEM = "item"
"""The step of a write that is no transaction."""
_CONFLICT_PAUSES = (0.010, 0.020, 0.040, 0.080)
"""Seconds at most before a plain write is tried again; a transaction takes 10 to 20 ms."""
SCAN_PAGE = 1000
KEYS_AT_ONCE = 100
"""Of a batch of reads: DynamoDB's own limit."""


class ConditionFailed(Contention):
    """A condition did not hold, so nothing was written.

    `failed` names the steps of a transaction whose conditions did not hold, each with the item that
    stands there, if the step asked for it. Unless the caller knows better, what was read is out of
    date.
    """

    def __init__(self, failed: Mapping[str, Item | None] = MappingProxyType({})) -> None:
        super().__init__()
        self.failed = failed


class Table:
    """One table of DynamoDB. `client` may be shared between threads; `sleep` takes seconds."""

    def __init__(
        self, client: "DynamoDBClient", name: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._sleep = sleep
        self.name = name

    # Reads, all of them consistent but those of global indexes

    def get(self, key: Key) -> Item | None:
        image = self.image(key)
        return None if image is None else from_wire(image)

    def image(self, key: Key) -> Mapping[str, object] | None:
        """The item in DynamoDB's typed form, as the stream has it."""
        with _translated():
            answer = self._client.get_item(
                TableName=self.name, Key=to_wire(key), ConsistentRead=True
            )
        return answer.get("Item")

    def get_all(self, wanted: Sequence[Key]) -> list[Item]:
        """Those of at most 100 items that are there, in any order."""
        found: list[Item] = []
        pending: Mapping[str, KeysAndAttributesTypeDef | KeysAndAttributesOutputTypeDef] = {
            self.name: {"Keys": [to_wire(key) for key in wanted], "ConsistentRead": True}
        }
        for _ in range(_BATCH_ROUNDS):
            with _translated():
                answer = self._client.batch_get_item(RequestItems=pending)
            found += map(from_wire, answer["Responses"].get(self.name, []))
            pending = answer.get("UnprocessedKeys", {})
            if not pending:
                return found
        raise Contention

    def by_partition(self, wanted: Sequence[Key]) -> dict[str, Item]:
        """As `get_all`, by partition key, which is different for each of `wanted`."""
        return {str(item["pk"]): item for item in self.get_all(wanted)}

    def by_place(self, wanted: Iterable[Key]) -> dict[str, Item]:
        """Those items that are there, by place: however many, and each read once."""
        once = list({place_of(key): key for key in wanted}.values())
        parts = [once[at : at + KEYS_AT_ONCE] for at in range(0, len(once), KEYS_AT_ONCE)]
        return {place_of(item): item for part in parts for item in self.get_all(part)}

    def query(self, request: Request) -> Iterator[Item]:
        """Every item that a query finds, read page by page as far as asked for."""
        for page in self._pages(self._client.query, request):
            yield from map(from_wire, page["Items"])

    def marked(self, buckets: Sequence[str], until: str) -> Iterator[Item]:
        """Keys and marks of what stands in buckets of the index `owed`, the oldest first.

        `until`: nothing that was marked later. The index is a moment behind.
        """
        queues = [
            self.query(
                {
                    "IndexName": "owed",
                    "KeyConditionExpression": "owedBucket = :bucket AND owedSince <= :until",
                    "ExpressionAttributeValues": to_wire({":bucket": bucket, ":until": until}),
                }
            )
            for bucket in buckets
        ]
        yield from heapq.merge(*queues, key=lambda entry: str(entry["owedSince"]))

    def about(self, player_id: str) -> list[Key]:
        """Keys of a player's refused attempts, and of referrals that they made.

        The index is a moment behind, and has nothing from before it was there.
        """
        entries = self.query(
            {
                "IndexName": "about",
                "KeyConditionExpression": "aboutPlayer = :player",
                "ExpressionAttributeValues": to_wire({":player": player_id}),
            }
        )
        return [key_of(entry) for entry in entries]

    def count_items(self, request: Request) -> int:
        """How many items a query finds."""
        pages = self._pages(self._client.query, {**request, "Select": "COUNT"})
        return sum(page["Count"] for page in pages)

    def partition(self, pk: str, begins_with: str = "") -> Iterator[Item]:
        """Every item of a partition, or of that part of it, in order of the sort key."""
        condition = "pk = :pk" + (" AND begins_with(sk, :start)" if begins_with else "")
        return self.query(
            {
                "ConsistentRead": True,
                "KeyConditionExpression": condition,
                "ExpressionAttributeValues": to_wire({":pk": pk, ":start": begins_with or None}),
            }
        )

    def scan(
        self, progress: Progress = lambda _read: None, keeping: Request | None = None
    ) -> Iterator[Item]:
        """Every item (or those that a filter keeps), once, if nobody writes meanwhile."""
        read = 0
        request: Request = {"ConsistentRead": True, "Limit": SCAN_PAGE, **(keeping or {})}
        for page in self._pages(self._client.scan, request):
            yield from map(from_wire, page["Items"])
            read += page["ScannedCount"]
            progress(read)

    def _pages(self, call: "Callable[..., _Page]", request: Request) -> "Iterator[_Page]":
        start: Request = {}
        while True:
            with _translated():
                page = call(TableName=self.name, **request, **start)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    # Writes

    def put(self, request: Request) -> None:
        """Raises ConditionFailed."""
        put = cast("PutItemInputTypeDef", self._addressed(request))
        self._past_conflicts(lambda: self._client.put_item(**put))

    def update(self, request: Request) -> Item:
        """The attributes that `ReturnValues` asks for. Raises ConditionFailed."""
        update = cast("UpdateItemInputTypeDef", self._addressed(request))
        answer = self._past_conflicts(lambda: self._client.update_item(**update))
        return from_wire(answer.get("Attributes", {}))

    def put_unless(self, request: Request) -> Item | None:
        """Put a new item; or the one that stands there already."""
        try:
            self.put(request)
        except ConditionFailed as refusal:
            return refusal.failed[_ITEM] or {}
        return None

    def put_if(self, request: Request) -> bool:
        """Put; False: the condition did not hold."""
        return _held(self.put, request)

    def update_if(self, request: Request) -> bool:
        """Update; False: the condition did not hold."""
        return _held(self.update, request)

    def delete(self, key: Key) -> None:
        wire = to_wire(key)
        self._past_conflicts(lambda: self._client.delete_item(TableName=self.name, Key=wire))

    def _past_conflicts(self, write: Callable[[], T]) -> T:
        """The two functions that read the stream write to the same record at once: a transaction of
        one must not make the other fail, and its whole batch come again."""
        for longest in _CONFLICT_PAUSES:
            try:
                with _translated():
                    return write()
            except Contention as error:
                if not _is_conflict(error):
                    raise
                self._sleep(random.uniform(longest / 2, longest))
        with _translated():
            return write()

    def transact(self, transaction: Transaction) -> None:
        """All steps or none. Raises ConditionFailed, which names the steps that refused."""
        actions = [
            {kind: self._addressed(request) for kind, request in step.action.items()}
            for step in transaction
        ]
        with _translated(tuple(step.name for step in transaction)):
            self._client.transact_write_items(
                TransactItems=cast("Sequence[TransactWriteItemTypeDef]", actions)
            )

    def _addressed(self, request: Request) -> Request:
        return {"TableName": self.name, **request}


def _held(write: Callable[[Request], object], request: Request) -> bool:
    try:
        write(request)
    except ConditionFailed:
        return False
    return True


def _is_conflict(error: Contention) -> bool:
    """Whether a transaction is under way on the item of a plain write."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] == _CONFLICT


@contextmanager
def _translated(steps: Sequence[str] = ()) -> Iterator[None]:
    """botocore's errors as ours. `steps` are those of a transaction."""
    try:
        yield
    except _NO_ANSWER as error:
        raise Unavailable from error
    except ClientError as error:
        translation = _translation(error, steps)
        if translation is None:
            raise
        raise translation from error


def _translation(error: ClientError, steps: Sequence[str]) -> Unavailable | None:
    """None for a defect."""
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return ConditionFailed({_ITEM: _old_item(error.response)})
    if code == "TransactionCanceledException":
        return _cancellation(cast("Mapping[str, Sequence[_Reason]]", error.response), steps)
    if code in _CONTENDED:
        return Contention()
    if code in _MISCONFIGURED:
        return Misconfigured()
    return None if code in _DEFECTS else Unavailable()


def _cancellation(
    response: "Mapping[str, Sequence[_Reason]]", steps: Sequence[str]
) -> Contention | None:
    """Reasons come in the order of the steps."""
    reasons = response.get("CancellationReasons", ())
    failed = {
        step: _old_item(reason)
        for step, reason in zip(steps, reasons, strict=False)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if failed:
        return ConditionFailed(failed)
    if any(reason.get("Code") in _DEFECTIVE_REASONS for reason in reasons):
        return None
    return Contention()


def _old_item(reason: "_Reason") -> Item | None:
    wire = reason.get("Item")
    return from_wire(wire) if isinstance(wire, Mapping) and wire else None
