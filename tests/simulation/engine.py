"""moto as the engine: in the process, one request at a time, telling of every item it changed.

What decides (conditions, updates, transactions) is moto's. Reads are answered from a copy of what
moto holds, which is three times as fast.
"""

import copy
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import moto.dynamodb.models as moto_models
from boto3.dynamodb.types import TypeSerializer
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from tests.engines import table_definition
from tests.proxies import Reply, body_of, reply

Wire = Mapping[str, Any]
Changed = Callable[[Wire, Wire | None, Wire | None], None]
"""Called with a key, the item before (None: there was none) and the item after."""

_plain = TypeSerializer()
TABLE = "heist-simulation"
REGION = "us-east-1"
ACCOUNT = "123456789012"


_INDEX_KEYS = {
    None: ("pk", "sk"),
    "unread": ("pk", "unread"),
    "owed": ("owedBucket", "owedSince"),
    "robbers": ("robberShard", "robberPlace"),
    "about": ("aboutPlayer", "createdAt"),
}
_KEY_CONDITION = re.compile(r"(\w+) = (:\w+)(?: AND (\w+) (<=?|>) (:\w+))?")
_COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt}
_FILTER = "attribute_not_exists(expiresAt) OR expiresAt > :now"


class MotoEngine:
    """A table of its own, emptied by `reset`."""

    def __init__(self) -> None:
        self.changed: Changed = lambda *_: None
        self.committed: Callable[[], None] = lambda: None
        self._definition = table_definition()
        self._tokens: set[str] = set()
        self._copy: dict[tuple[str, str], Wire] = {}

    def reset(self) -> None:
        self._backend = dynamodb_backends[ACCOUNT][REGION]  # another one since moto was started
        self._backend.tables.clear()
        self._tokens.clear()
        self._copy.clear()
        definition = self._definition
        self._backend.create_table(
            TABLE,
            schema=definition["KeySchema"],
            throughput=None,
            attr=definition["AttributeDefinitions"],
            global_indexes=definition["GlobalSecondaryIndexes"],
            indexes=definition["LocalSecondaryIndexes"],
            streams=None,
            billing_mode=definition["BillingMode"],
            sse_specification=None,
            tags=[],
            deletion_protection_enabled=None,
            warm_throughput=None,
        )

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Carry out a request, once per ClientRequestToken (which moto does not look at)."""
        body = body_of(request)
        match _operation(request):
            case "GetItem":
                item = self.item(body["Key"])
                return reply(request, 200, {} if item is None else {"Item": item})
            case "BatchGetItem":
                ((table, wanted),) = body["RequestItems"].items()
                found = [self.item(key) for key in wanted["Keys"]]
                return reply(
                    request,
                    200,
                    {"Responses": {table: [item for item in found if item]}, "UnprocessedKeys": {}},
                )
            case "Query":
                return reply(request, 200, self._query(body))
        token = body.get("ClientRequestToken")
        if token in self._tokens:
            return reply(request, 200, {})
        keys = _written_keys(body)
        before = [self.item(key) for key in keys]
        moto_models.copy = _Copies(  # type: ignore[attr-defined, assignment]
            [self._entry(key) for key in keys]
        )
        try:
            response = self._carry_out(request)
        finally:
            moto_models.copy = copy  # type: ignore[attr-defined]
        if response.status_code == 200:
            if token is not None:
                self._tokens.add(token)
            self._copy_again(keys)
            for key, old in zip(keys, before, strict=True):
                self.changed(key, old, self.item(key))
            self.committed()
        return response

    def operator_puts(self, item: Mapping[str, object]) -> None:
        """Written by hand, past the product."""
        wire = {name: _plain.serialize(value) for name, value in item.items()}
        self._backend.put_item(TABLE, wire)
        self._copy_again([wire])

    def item(self, key: Wire) -> Wire | None:
        return self._copy.get((key["pk"]["S"], key["sk"]["S"]))

    def items(self) -> list[Wire]:
        """Everything in the table."""
        return list(self._copy.values())

    def _copy_again(self, keys: Sequence[Wire]) -> None:
        for key in keys:
            self._copy[key["pk"]["S"], key["sk"]["S"]] = self._entry(key).to_json()["Attributes"]

    def _query(self, body: Wire) -> Wire:
        hash_key, range_key = _INDEX_KEYS[body.get("IndexName")]
        condition = _KEY_CONDITION.fullmatch(body["KeyConditionExpression"])
        if condition is None or body.get("FilterExpression", _FILTER) != _FILTER:
            raise AssertionError(f"a query that this engine does not know: {body}")
        values = {
            name: next(iter(value.values()))
            for name, value in body["ExpressionAttributeValues"].items()
        }
        name, value, compared, comparison, bound = condition.groups()
        if name != hash_key or compared not in (None, range_key):
            raise AssertionError(f"a query by other attributes than the index has: {body}")
        found = [
            item
            for item in self._copy.values()
            if item.get(hash_key, {}).get("S") == values[value]
            and range_key in item
            and (bound is None or _COMPARED[comparison](item[range_key]["S"], values[bound]))
        ]
        found.sort(
            key=lambda item: str(item[range_key]["S"]),
            reverse=not body.get("ScanIndexForward", True),
        )
        if "ExclusiveStartKey" in body:
            start = [item["sk"] for item in found].index(body["ExclusiveStartKey"]["sk"])
            found = found[start + 1 :]
        answer: dict[str, Any] = {}
        limit = body.get("Limit", len(found))
        if limit < len(found):
            found = found[:limit]
            answer["LastEvaluatedKey"] = {key: found[-1][key] for key in ("pk", "sk", range_key)}
        if "FilterExpression" in body:
            now = int(values[":now"])
            found = [
                item
                for item in found
                if "expiresAt" not in item or int(item["expiresAt"]["N"]) > now
            ]
        answer["Count"] = len(found)
        if body.get("Select") != "COUNT":
            answer["Items"] = found
        return answer

    @property
    def _table(self) -> Table:
        return self._backend.tables[TABLE]

    def _entry(self, key: Wire) -> Any:
        partition = self._table.items.get(DynamoType(key["pk"]))
        return None if partition is None else partition.get(DynamoType(key["sk"]))

    def _carry_out(self, request: AWSPreparedRequest) -> AWSResponse:
        answer = botocore_stubber.process_request(request)
        if answer is None:
            raise AssertionError(f"moto does not answer {request.url}")
        status, sent, body = answer
        headers = HTTPHeaders()
        for name, value in sent.items():
            headers[name] = str(value)
        raw = Reply(body if isinstance(body, bytes) else body.encode())
        return AWSResponse(request.url, status, headers, raw)


class _Copies:
    """Stands in for `copy` in moto, which copies the whole table before every transaction: only
    the items that the transaction can change are really copied. 20 times faster."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = {id(entry) for entry in entries if entry is not None}

    def copy(self, value: Any) -> Any:
        return copy.copy(value)

    def deepcopy(self, value: Any) -> Any:
        if not isinstance(value, Table):
            return copy.deepcopy(value)
        twin = copy.copy(value)
        twin.items = copy.copy(value.items)
        for hash_key, partition in value.items.items():
            twin.items[hash_key] = {
                range_key: copy.deepcopy(item) if id(item) in self._entries else item
                for range_key, item in partition.items()
            }
        return twin


def _operation(request: AWSPreparedRequest) -> str:
    target = request.headers["X-Amz-Target"]
    return (target.decode() if isinstance(target, bytes) else str(target)).rpartition(".")[2]


def _written_keys(body: Wire) -> list[Wire]:
    actions = (
        [next(iter(action.values())) for action in body["TransactItems"]]
        if "TransactItems" in body
        else [body]
    )
    keys = [action.get("Key") or action["Item"] for action in actions]
    return [{"pk": key["pk"], "sk": key["sk"]} for key in keys]
