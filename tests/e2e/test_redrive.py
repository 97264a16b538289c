"""`./heist redrive` redoes what the dead-letter queues hold, once, and leaves the rest alone."""

import json
from typing import Any

import pytest

from tests.desk import Desk
from tests.e2e.world import World, eventually, unique


@pytest.fixture(autouse=True)
def empty_queues(world: World) -> None:
    """Nothing of other tests."""
    for queue in ("EventsDeadLetterQueueUrl", "NotifierDeadLetterQueueUrl"):
        world.client("sqs").purge_queue(QueueUrl=world.outputs[queue])


def redo(desk: Desk, *options: str) -> Any:
    """What stays undone; the exit code says so, too."""
    code, told = desk.run("redrive", "--apply", *options)
    assert code == (1 if told["undone"] else 0)
    return told["undone"]


def put_letter(world: World, queue: str, letter: object) -> None:
    world.client("sqs").send_message(QueueUrl=world.outputs[queue], MessageBody=json.dumps(letter))


def points_event(player_id: str, event_id: str) -> dict[str, Any]:
    return {
        "source": "points",
        "detail-type": "PointsEarned",
        "time": "2026-11-22T10:00:00Z",
        "detail": {
            "eventId": event_id,
            "userId": player_id,
            "points": 500,
            "pointEventType": "QUIZ",
        },
    }


def heist_record(world: World, heist_id: str) -> dict[str, Any]:
    item = world.client("dynamodb").get_item(
        TableName=world.outputs["TableName"],
        Key={"pk": {"S": f"HEIST#{heist_id}"}, "sk": {"S": "HEIST"}},
    )["Item"]
    keys = {"pk": item["pk"], "sk": item["sk"]}
    part = {"Keys": keys, "NewImage": item, "SequenceNumber": "1"}
    return {"eventName": "INSERT", "dynamodb": part}


def set_mail_state(world: World, heist_id: str, recipient_id: str, state: str) -> None:
    world.client("dynamodb").update_item(
        TableName=world.outputs["TableName"],
        Key={"pk": {"S": f"HEIST#{heist_id}"}, "sk": {"S": f"NOTICE#{recipient_id}"}},
        UpdateExpression="SET mailState = :state",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":state": {"S": state}},
    )


def test_an_event_that_lambda_gave_up_on_is_redone_once(world: World, desk: Desk) -> None:
    player_id = unique("victim")
    letter = {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": points_event(player_id, unique("e")),
    }
    put_letter(world, "EventsDeadLetterQueueUrl", letter)
    put_letter(world, "EventsDeadLetterQueueUrl", letter)

    assert redo(desk) == []

    assert world.points_of(player_id) == 500
    assert world.dead_letters("EventsDeadLetterQueueUrl", player_id) == []


def test_an_event_whose_function_fails_is_tried_again_and_then_a_dead_letter(
    world: World, desk: Desk
) -> None:
    player_id = unique("victim")
    with world.settings(("add_points",), TABLE_NAME="no-such-table"):
        world.emit("points", "PointsEarned", points_event(player_id, unique("e"))["detail"])
        letter = world.refused_event(player_id)
    assert letter["requestContext"]["condition"] == "RetriesExhausted"
    assert letter["requestPayload"]["detail"]["userId"] == player_id

    assert redo(desk) == []

    assert world.points_of(player_id) == 500


def test_a_refused_event_stays_unless_asked_for(world: World, desk: Desk) -> None:
    player_id = unique("self")
    world.emit(
        "referrals",
        "ReferralCompleted",
        {"referralId": "r", "referrerUserId": player_id, "referredUserId": player_id},
    )
    world.refused_event(player_id)

    assert redo(desk) == []
    assert len(world.dead_letters("EventsDeadLetterQueueUrl", player_id)) == 1

    assert redo(desk, "--refused")
    assert len(world.dead_letters("EventsDeadLetterQueueUrl", player_id)) == 1


def test_a_damaged_record_is_redone_from_the_table(world: World, desk: Desk) -> None:
    robber, victim = world.robber(), world.victim()
    heist_id = robber.rob(victim)["heistId"]
    robber.inbox(2)
    record = heist_record(world, heist_id)
    record["dynamodb"]["NewImage"]["pointsStolen"] = {"S": "five"}
    world.client("lambda").invoke(
        FunctionName=world.function("notify_players"),
        Payload=json.dumps({"Records": [record]}).encode(),
    )
    [letter] = world.dead_letters("NotifierDeadLetterQueueUrl", heist_id)
    assert letter["record"] == record
    assert letter["reason"] == "pointsStolen is missing or not of type Decimal"

    assert redo(desk) == []

    assert world.dead_letters("NotifierDeadLetterQueueUrl", heist_id) == []
    assert len(robber.notifications()["notifications"]) == 2


def test_what_cannot_be_redone_yet_keeps_its_letter(world: World, desk: Desk) -> None:
    marker = unique("garbage")
    put_letter(world, "NotifierDeadLetterQueueUrl", {"garbage": marker})
    record = {"dynamodb": {"NewImage": {"pk": {"S": marker}}, "SequenceNumber": "1"}}
    put_letter(
        world,
        "NotifierDeadLetterQueueUrl",
        {"kind": "record", "consumer": "notify_players", "record": record, "reason": "x"},
    )

    assert len(redo(desk)) == 2
    assert len(redo(desk)) == 2

    assert len(world.dead_letters("NotifierDeadLetterQueueUrl", marker)) == 2
    world.client("sqs").purge_queue(QueueUrl=world.outputs["NotifierDeadLetterQueueUrl"])


def test_a_refused_mail_is_sent_when_redone_and_a_doubtful_one_when_asked_for(
    world: World, desk: Desk
) -> None:
    address = f"{unique('mail')}@example.com"
    robber = world.robber(email=address)
    heist_id = robber.rob(world.victim())["heistId"]
    eventually(lambda: world.mails_to(address), lambda mails: len(mails) == 1)
    letter = {"kind": "mail", "heistId": heist_id, "recipientId": robber.id, "reason": "x"}

    set_mail_state(world, heist_id, robber.id, "FAILED")
    put_letter(world, "NotifierDeadLetterQueueUrl", {**letter, "state": "FAILED"})
    assert redo(desk) == []
    assert len(world.mails_to(address)) == 2

    set_mail_state(world, heist_id, robber.id, "PARKED")
    put_letter(world, "NotifierDeadLetterQueueUrl", {**letter, "state": "PARKED"})
    assert redo(desk) == []
    assert len(world.mails_to(address)) == 2
    assert redo(desk, "--doubtful") == []
    assert len(world.mails_to(address)) == 3
    assert len(robber.notifications()["notifications"]) == 2  # the token's, and one of the heist


def test_a_position_in_the_stream_is_answered_with_a_sweep(world: World, desk: Desk) -> None:
    marker = unique("position")
    put_letter(world, "NotifierDeadLetterQueueUrl", {"DDBStreamBatchInfo": {"shardId": marker}})

    assert redo(desk) == []

    assert world.dead_letters("NotifierDeadLetterQueueUrl", marker) == []
