"""What the functions tell an operator: one id from the request to the mail, and every metric."""

import json
from io import StringIO
from typing import Any

from botocore.exceptions import ReadTimeoutError

from heist_core.storage import keys
from tests.builders import bus_event, execute_event, stream_event, stream_record
from tests.fakes import client_error
from tests.integration.game import Game

ALICE, BOB = "alice@example.com", "bob@example.com"


def lines_of(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def heist_requested(game: Game, request_id: str) -> dict[str, Any]:
    """The stream's record of a heist of alice on bob, both with addresses."""
    game.give("alice", points=1000, tokens=1, name="Alice", email=ALICE)
    game.give("bob", points=800, name="Bob", email=BOB)
    game.sweep()
    event = execute_event()
    event["requestContext"]["requestId"] = request_id
    heist_id = game.request("execute_heist", event).body["heistId"]
    item = game.item(keys.heist(heist_id))
    assert item is not None
    return stream_record(item)


def test_the_requests_id_is_in_every_line_about_its_heist_and_in_both_mails(
    game: Game, log: StringIO
) -> None:
    record = heist_requested(game, "JKJaXmPLvHcESHA=")
    for consumer in ("notify_players", "publish_events"):
        game.call(consumer, stream_event(record))

    about = [line for line in lines_of(log) if line.get("correlation_id") == "JKJaXmPLvHcESHA="]

    assert [line["function"] for line in about] == [
        "execute_heist",
        "notify_players",
        "publish_events",
    ]
    request, told, published = about
    assert told["subject"] == published["subject"] == f"HEIST#{request['heist_id']}"
    assert (told["inbox"], told["mails"], published["published"]) == (2, 2, 1)
    sent = [mail.headers["X-Correlation-Id"] for mail in game.ses.mails]
    assert sent == ["JKJaXmPLvHcESHA="] * 2


def test_the_sweepers_line_has_the_id_too(game: Game, log: StringIO) -> None:
    heist_requested(game, "request-2")
    game.sweep()
    swept = [line for line in lines_of(log) if line["function"] == "sweep_notifications"]
    (line,) = [line for line in swept if line.get("correlation_id") == "request-2"]
    assert (line["message"], line["outcome"]) == ("record", "settled")


def test_the_line_of_a_record_that_fails_has_the_id_too(game: Game, log: StringIO) -> None:
    record = heist_requested(game, "request-3")
    game.bridge.fails(client_error("InternalFailure", 500), client_error("InternalFailure", 500))
    game.call("publish_events", stream_event(record))
    (line,) = [line for line in lines_of(log) if line["message"] == "record failed"]
    assert (line["function"], line["correlation_id"]) == ("publish_events", "request-3")


def test_an_awards_lines_have_the_id_of_the_event_that_brought_it(
    game: Game, log: StringIO
) -> None:
    event = bus_event("award_token", referrerUserId="alice", referredUserId="carol")
    game.call("award_token", event)
    item = game.item(keys.referral("carol"))
    assert item is not None
    game.call("notify_players", stream_event(stream_record(item)))
    about = [line for line in lines_of(log) if line.get("correlation_id") == event["id"]]
    assert [line["message"] for line in about] == ["event", "record"]
    assert about[1]["subject"] == "REFERRAL#carol"


def test_a_mail_that_ends_otherwise_than_sent_is_in_the_line_of_its_record(
    game: Game, log: StringIO
) -> None:
    record = heist_requested(game, "request-4")
    game.ses.fails(client_error("MessageRejected"), ReadTimeoutError(endpoint_url="x"))
    game.call("notify_players", stream_event(record))
    (line,) = [line for line in lines_of(log) if line.get("subject", "").startswith("HEIST#")]
    assert (line["mails"], line["mails_failed"]) == (0, 1)
