"""A restore drill leaves no copy behind, whatever happens to it."""

import boto3
import pytest
from botocore.stub import Stubber
from mypy_boto3_dynamodb import DynamoDBClient

from ops import drill
from ops.output import Output

OUT = Output(as_json=False)


@pytest.fixture
def client() -> DynamoDBClient:
    return boto3.client("dynamodb", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


@pytest.fixture
def aws(client: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Stubber:
    monkeypatch.setattr(drill, "SECONDS_BETWEEN_LOOKS", 0)
    stubber = Stubber(client)
    stubber.add_response("restore_table_to_point_in_time", {})
    stubber.activate()
    return stubber


def test_a_copy_that_is_not_found_yet_is_waited_for(aws: Stubber, client: DynamoDBClient) -> None:
    aws.add_client_error("describe_table", "ResourceNotFoundException")
    aws.add_response("describe_table", {"Table": {"TableStatus": "CREATING"}})
    aws.add_response("describe_table", {"Table": {"TableStatus": "ACTIVE"}})
    aws.add_response("scan", {"Items": [], "Count": 0, "ScannedCount": 0})
    aws.add_response("delete_table", {})

    assert drill.drill(client, "heists", OUT, keep=False) == 0
    aws.assert_no_pending_responses()


def test_a_copy_that_cannot_be_audited_is_deleted_all_the_same(
    aws: Stubber, client: DynamoDBClient
) -> None:
    aws.add_response("describe_table", {"Table": {"TableStatus": "ACTIVE"}})
    aws.add_client_error("scan", "ValidationException")
    aws.add_response("delete_table", {})

    with pytest.raises(client.exceptions.ClientError):
        drill.drill(client, "heists", OUT, keep=False)
    aws.assert_no_pending_responses()
