"""The deployed application that the end-to-end tests talk to, one for the whole run."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.deployment import session
from ops.target import Target
from tests.desk import Desk
from tests.e2e.world import World, unique

Heard = Callable[[str], list[Any]]


@pytest.fixture
def target(world: World) -> Target:
    """The stack as its operators' program sees it."""
    return Target("local", dict(world.outputs), session(), world.outputs["Endpoint"])


@pytest.fixture
def desk(target: Target, capsys: pytest.CaptureFixture[str]) -> Desk:
    """That program."""
    return Desk(target, capsys)


@pytest.fixture(scope="module")
def heard(world: World) -> Iterator[Heard]:
    """Everything of source `heist` on the bus since now; asked by a text that it holds."""
    sqs, events = world.client("sqs"), world.client("events")
    name, bus = unique("tap"), world.outputs["EventBusName"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    arn, ours = attributes["QueueArn"], json.dumps({"source": ["heist"]})
    rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=ours)["RuleArn"]
    may_send = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "tap", "Arn": arn}])
    received: list[Any] = []

    def holding(text: str) -> list[Any]:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        for message in answer.get("Messages", []):
            received.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in received if text in json.dumps(event)]

    yield holding
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["tap"])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=queue)
