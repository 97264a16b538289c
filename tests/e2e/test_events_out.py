"""What we tell other systems, read from the bus by a queue of the test's own (SPEC section 6)."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.world import World, eventually, unique

Heard = Callable[[str], list[Any]]


@pytest.fixture(scope="module")
def heard(world: World) -> Iterator[Heard]:
    """Everything of source `heist` on the bus since now; asked by a text that it holds."""
    sqs, events = world.client("sqs"), world.client("events")
    name, bus = unique("tap"), world.outputs["EventBusName"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    rule = events.put_rule(
        Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["heist"]})
    )["RuleArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
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


def test_a_heist_is_announced_with_both_totals(world: World, heard: Heard) -> None:
    robber, victim = world.robber(), world.victim(points=500)
    world.earn(robber.id, 70)
    heist = robber.rob(victim)

    event = eventually(lambda: heard(heist["heistId"]), lambda seen: seen)[0]

    assert event["source"] == "heist"
    assert event["detail-type"] == "HeistCommitted"
    detail = event["detail"]
    created_at = detail.pop("createdAt")
    assert detail == {
        "heistId": heist["heistId"],
        "attackerId": robber.id,
        "victimId": victim,
        "pointsStolen": 25,
        "attackerPointsAfter": 95,
        "victimPointsAfter": 475,
        "season": datetime.now(UTC).strftime("%Y-%m"),
    }
    assert created_at == robber.inbox(2)[0]["createdAt"]


def test_an_award_is_announced(world: World, heard: Heard) -> None:
    player, newcomer = world.player(), unique("new")
    world.emit(
        "referrals",
        "ReferralCompleted",
        {"referralId": unique("r"), "referrerUserId": player.id, "referredUserId": newcomer},
    )
    event = eventually(lambda: heard(newcomer), lambda seen: seen)[0]
    assert event["source"] == "heist"
    assert event["detail-type"] == "TokenAwarded"
    assert set(event["detail"]) == {"userId", "referredUserId", "createdAt"}
    assert event["detail"]["userId"] == player.id
    assert event["detail"]["referredUserId"] == newcomer


def test_a_refused_heist_is_not_announced(world: World, heard: Heard) -> None:
    player, target = world.player(), unique("never")
    player.execute(target, unique("k"))
    robber = world.robber()
    later = robber.rob(world.victim())
    eventually(lambda: heard(later["heistId"]), lambda seen: seen)
    assert heard(target) == []
