"""The gateway to DynamoDB: nothing goes round it, and what it reads comes page by page."""

import ast
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from heist_core.storage.table import ConditionFailed, Table
from heist_core.storage.writes import Step, put_new, update

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "layers/heist_core/heist_core/storage/table.py"
PRODUCT = ("layers/heist_core/heist_core", "functions", "ops")
OF_ITEMS = {
    *("get_item", "put_item", "update_item", "delete_item", "query", "scan"),
    *("batch_get_item", "batch_write_item", "transact_get_items", "transact_write_items"),
    *("execute_statement", "execute_transaction", "batch_execute_statement", "get_paginator"),
}
"""What a client of DynamoDB can do with items."""
ITEM = {"pk": {"S": "PLAYER#alice"}, "sk": {"S": "STATE"}}


def client_calls(path: Path) -> set[str]:
    """The operations on items that a module has of a client, called or not."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in OF_ITEMS
        and not ast.unparse(node.value).endswith(("table", "_table", "request"))
    }


def test_only_the_gateway_has_to_do_with_a_client_of_dynamodb() -> None:
    modules = [path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py")]
    found = {path: calls for path in modules if (calls := client_calls(path))}
    assert found.pop(GATEWAY) >= {"get_item", "query", "transact_write_items"}
    assert found == {}


@pytest.fixture
def stub() -> Iterator[Stubber]:
    client = boto3.client("dynamodb")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()
    client.close()


def table(stub: Stubber) -> Table:
    return Table(stub.client, "the-table")  # type: ignore[arg-type]


def test_a_scan_goes_on_until_there_is_no_more_and_reports_its_progress(stub: Stubber) -> None:
    asked = {"TableName": "the-table", "ConsistentRead": True, "Limit": 1000}
    stub.add_response(
        "scan",
        {"Items": [ITEM] * 2, "Count": 2, "ScannedCount": 2, "LastEvaluatedKey": ITEM},
        asked,
    )
    stub.add_response(
        "scan",
        {"Items": [ITEM], "Count": 1, "ScannedCount": 1},
        asked | {"ExclusiveStartKey": ITEM},
    )
    read: list[int] = []
    assert len(list(table(stub).scan(read.append))) == 3
    assert read == [2, 3]


def test_a_scan_keeps_what_a_filter_keeps_and_counts_all_that_it_read(stub: Stubber) -> None:
    keeping: dict[str, object] = {
        "FilterExpression": "sk = :heist",
        "ExpressionAttributeValues": {":heist": {"S": "HEIST"}},
    }
    asked = {"TableName": "the-table", "ConsistentRead": True, "Limit": 1000, **keeping}
    stub.add_response("scan", {"Items": [ITEM], "Count": 1, "ScannedCount": 900}, asked)
    read: list[int] = []
    assert len(list(table(stub).scan(read.append, keeping))) == 1
    assert read == [900]


def test_a_partition_is_read_consistently_and_from_where_it_is_asked_for(stub: Stubber) -> None:
    asked = {"TableName": "the-table", "ConsistentRead": True}
    whole = {
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "SETTINGS"}},
    }
    part = {
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :start)",
        "ExpressionAttributeValues": {":pk": {"S": "SETTINGS"}, ":start": {"S": "VERSION#"}},
    }
    for more in (whole, part):
        stub.add_response("query", {"Items": [ITEM], "Count": 1}, asked | more)
    found = {"pk": "PLAYER#alice", "sk": "STATE"}
    assert list(table(stub).partition("SETTINGS")) == [found]
    assert list(table(stub).partition("SETTINGS", "VERSION#")) == [found]


def test_a_count_is_that_of_all_pages(stub: Stubber) -> None:
    stub.add_response("query", {"Count": 3, "LastEvaluatedKey": ITEM})
    stub.add_response("query", {"Count": 4})
    assert table(stub).count_items({"KeyConditionExpression": "pk = :pk"}) == 7


def test_a_write_whose_condition_fails_can_be_asked_about_or_raised(stub: Stubber) -> None:
    for operation in ("put_item", "update_item") * 2:
        stub.add_client_error(operation, "ConditionalCheckFailedException")
    new, change = put_new({"pk": "a", "sk": "b"}), update({"pk": "a", "sk": "b"}, "SET x = y", {})
    assert not table(stub).put_if(new)
    assert not table(stub).update_if(change)
    with pytest.raises(ConditionFailed):
        table(stub).put(new)
    with pytest.raises(ConditionFailed):
        table(stub).update(change)


def test_a_cancelled_transaction_names_the_steps_that_refused(stub: Stubber) -> None:
    reasons = [
        {"Code": "ConditionalCheckFailed", "Item": ITEM},
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed"},
    ]
    stub.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields={"CancellationReasons": reasons},
    )
    steps = [Step(name, {"Put": put_new({"pk": name, "sk": "x"})}) for name in "abc"]
    with pytest.raises(ConditionFailed) as refusal:
        table(stub).transact(steps)
    assert refusal.value.failed == {"a": {"pk": "PLAYER#alice", "sk": "STATE"}, "c": None}


def test_every_step_goes_to_the_table(stub: Stubber) -> None:
    put = put_new({"pk": "a", "sk": "b"})
    stub.add_response(
        "transact_write_items",
        {},
        {"TransactItems": [{"Put": {"TableName": "the-table", **put}}]},
    )
    table(stub).transact([Step("only", {"Put": put})])


def test_a_plain_write_waits_for_a_transaction_on_its_item(stub: Stubber) -> None:
    waited: list[float] = []
    waiting = Table(stub.client, "the-table", waited.append)  # type: ignore[arg-type]
    for _ in range(3):
        stub.add_client_error("update_item", "TransactionConflictException")
    stub.add_response("update_item", {"Attributes": {"left": {"N": "1"}}})
    assert waiting.update(update({"pk": "a", "sk": "b"}, "SET x = y", {})) == {"left": 1}
    assert len(waited) == 3
    assert 0 < sum(waited) <= 0.07
