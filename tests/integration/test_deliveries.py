"""Every item that comes into an inbox is announced on the bus, for whoever pushes messages."""

from typing import Any

from tests.builders import Event, stream_event, stream_record
from tests.integration.game import Game

POISON = {"eventName": "INSERT", "dynamodb": {"Keys": {}, "SequenceNumber": "9"}}


def inbox_records(game: Game) -> list[Event]:
    """What the filter of template.yaml lets through of every inbox item."""
    found = [item for item in game.everything() if "unread" in item]
    return [stream_record(item, number) for number, item in enumerate(found, start=1)]


def announced(game: Game) -> list[dict[str, Any]]:
    return [detail for kind, detail in game.bridge.published if kind == "NotificationDelivered"]


def told(game: Game) -> list[Event]:
    game.give("alice", tokens=1, name="Alice")
    game.give("bob", points=800, name="Bob")
    assert game.rob("alice", "bob").status == 200
    game.sweep()
    return inbox_records(game)


def test_each_item_is_announced_without_names_or_text(game: Game) -> None:
    records = told(game)
    answer = game.call("publish_and_count", stream_event(*records))
    assert answer == {"batchItemFailures": [], "parked": 0}
    items = {item.id: item.notice for who in ("alice", "bob") for item in game.inbox(who)}
    assert {one["notificationId"]: one["type"] for one in announced(game)} == {
        each: notice.type.value for each, notice in items.items()
    }
    victims = next(one for one in announced(game) if one["type"] == "HEIST_VICTIM")
    assert victims == {
        "notificationId": game.inbox("bob")[0].id,
        "userId": "bob",
        "type": "HEIST_VICTIM",
        "heistId": game.inbox("bob")[0].notice.heist_id,
        "createdAt": "2026-11-22T12:00:03.117Z",
    }


def test_more_than_the_bus_takes_at_once_go_in_several_calls(game: Game) -> None:
    (record, *_) = told(game)
    game.call("publish_and_count", stream_event(*[record] * 25))
    assert len(announced(game)) == 25


def test_what_the_bus_does_not_take_is_kept_and_redone(game: Game) -> None:
    records = told(game)
    game.bridge.refused_entries = 1
    answer = game.call("publish_and_count", stream_event(*records))
    assert answer == {"batchItemFailures": [], "parked": len(records)}
    assert announced(game) == []
    letters = list(game.notifier_queue)
    assert [letter["reason"] for letter in letters] == ["the bus did not take it"] * len(records)
    for letter in letters:
        game.call(letter["consumer"], stream_event(letter["record"]))
    assert len(announced(game)) == len(records)


def test_an_inbox_item_that_cannot_be_read_is_parked(game: Game) -> None:
    (record, *others) = told(game)
    record["dynamodb"]["NewImage"].pop("createdAt")
    answer = game.call("publish_and_count", stream_event(record, *others, POISON))
    assert answer["parked"] == 2
    assert len(announced(game)) == len(others)
