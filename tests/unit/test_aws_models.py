"""What AWS would refuse, a test that sends it refuses too."""

import pytest

from tests.aws_models import check_request

KEY = {"pk": {"S": "PLAYER#ann"}, "sk": {"S": "STATE"}}


@pytest.mark.parametrize(
    ("expression", "reserved"),
    [
        ("SET #name = :name REMOVE expiresAt ADD version :one", False),
        ("SET counted = if_not_exists(counted, :zero), metadata.points = :points", False),
        ("SET name = :name", True),
        ("SET metadata.name = :name", True),
    ],
)
def test_a_reserved_word_may_not_stand_bare(expression: str, reserved: bool) -> None:
    request = {"TableName": "table", "Key": KEY, "UpdateExpression": expression}
    if not reserved:
        check_request("dynamodb", "UpdateItem", request)
        return
    with pytest.raises(AssertionError, match="reserved words"):
        check_request("dynamodb", "UpdateItem", request)


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("dynamodb", "PutItem", {"TableName": "table", "Item": {"pk": "PLAYER#ann"}}),
        ("sesv2", "SendEmail", {"Content": {}, "From": "a@example.com"}),
        ("sqs", "SendMessage", {"QueueUrl": "url", "MessageBody": {}}),
    ],
)
def test_a_request_must_be_what_the_whole_model_says(
    service: str, operation: str, request_: dict[str, object]
) -> None:
    with pytest.raises(AssertionError, match=operation):
        check_request(service, operation, request_)
