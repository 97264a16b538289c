"""`./heist redrive` redoes what the dead-letter queues hold, once, and leaves the rest alone."""

import json
from typing import Any

import pytest

from heist_core.storage import keys
from heist_core.storage.wire import to_wire
from tests.builders import stream_event, stream_record
from tests.desk import Desk
from tests.e2e.world import World, address, bus_event, earned, unique


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


def set_mail_state(world: World, heist_id: str, recipient_id: str, state: str) -> None:
    notice = world.table.get(keys.notice(keys.heist(heist_id), recipient_id))
    assert notice is not None
    world.table.put({"Item": to_wire({**notice, "mailState": state})})


def test_an_event_that_lambda_gave_up_on_is_redone_once(world: World, desk: Desk) -> None:
    player_id = unique("victim")
    letter = {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": bus_event("points", "PointsEarned", earned(player_id, 500)),
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
        world.stack.send("points", "PointsEarned", earned(player_id, 500))
        letter = world.refused_event(player_id)
    assert letter["requestContext"]["condition"] == "RetriesExhausted"
    assert letter["requestPayload"]["detail"]["userId"] == player_id

    assert redo(desk) == []

    assert world.points_of(player_id) == 500


def test_a_damaged_record_is_redone_from_the_table(world: World, desk: Desk) -> None:
    robber, victim = world.robber(), world.victim()
    heist_id = robber.rob(victim)["heistId"]
    robber.inbox(2)
    record = stream_record(
        {**(world.table.get(keys.heist(heist_id)) or {}), "pointsStolen": "five"}
    )
    world.invoke("notify_players", stream_event(record))
    [letter] = world.dead_letters("NotifierDeadLetterQueueUrl", heist_id)
    assert letter["record"] == record
    assert letter["reason"] == "pointsStolen is missing or not of type Decimal"

    assert redo(desk) == []

    assert world.dead_letters("NotifierDeadLetterQueueUrl", heist_id) == []
    assert len(robber.notifications()["notifications"]) == 2


def test_a_refused_mail_is_sent_when_redone_and_a_doubtful_one_when_asked_for(
    world: World, desk: Desk
) -> None:
    robbers = address()
    robber = world.robber(email=robbers)
    heist_id = robber.rob(world.victim())["heistId"]
    world.first_mail_to(robbers)
    letter = {"kind": "mail", "heistId": heist_id, "recipientId": robber.id, "reason": "x"}

    set_mail_state(world, heist_id, robber.id, "FAILED")
    put_letter(world, "NotifierDeadLetterQueueUrl", {**letter, "state": "FAILED"})
    assert redo(desk) == []
    assert len(world.mails_to(robbers)) == 2

    set_mail_state(world, heist_id, robber.id, "PARKED")
    put_letter(world, "NotifierDeadLetterQueueUrl", {**letter, "state": "PARKED"})
    assert redo(desk) == []
    assert len(world.mails_to(robbers)) == 2
    assert redo(desk, "--doubtful") == []
    assert len(world.mails_to(robbers)) == 3
    assert len(robber.notifications()["notifications"]) == 2  # the token's, and one of the heist


def test_a_position_in_the_stream_is_answered_with_a_sweep(world: World, desk: Desk) -> None:
    marker = unique("position")
    put_letter(world, "NotifierDeadLetterQueueUrl", {"DDBStreamBatchInfo": {"shardId": marker}})

    assert redo(desk) == []

    assert world.dead_letters("NotifierDeadLetterQueueUrl", marker) == []
