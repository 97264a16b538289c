"""What the functions tell an operator: one id from the request to the mail, and every metric."""

import re
from collections import Counter
from io import StringIO
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from functions.audit_table import app as audit_app
from heist_core import telemetry, wiring
from heist_core.domain.errors import Unavailable
from heist_core.storage import keys
from tests.builders import bus_event, execute_event, sample, stream_event, stream_record
from tests.embedded_metrics import counted
from tests.fakes import LambdaContext, client_error, lines_of
from tests.integration.game import Game
from tests.template.test_template import RESOURCES

ALICE, BOB = "alice@example.com", "bob@example.com"


def heist_requested(game: Game, request_id: str) -> dict[str, Any]:
    """The stream's record of a heist of alice on bob, both with addresses."""
    game.give("alice", points=1000, tokens=1, name="Alice", email=ALICE)
    game.give("bob", points=800, name="Bob", email=BOB)
    game.sweep()
    event = execute_event()
    event["requestContext"]["requestId"] = request_id
    heist_id = game.request("execute_heist", event).body["heistId"]
    item = game.stored(keys.heist(heist_id))
    return stream_record(item)


def test_the_requests_id_is_in_every_line_about_its_heist_and_in_both_mails(
    game: Game, log: StringIO
) -> None:
    record = heist_requested(game, "JKJaXmPLvHcESHA=")
    for consumer in ("notify_players", "publish_and_count"):
        game.call(consumer, stream_event(record))

    about = [line for line in lines_of(log) if line.get("correlation_id") == "JKJaXmPLvHcESHA="]

    assert [line["function"] for line in about] == [
        "execute_heist",
        "notify_players",
        "publish_and_count",
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


def test_the_line_of_an_event_that_the_bus_did_not_take_has_the_id_too(
    game: Game, log: StringIO
) -> None:
    record = heist_requested(game, "request-3")
    game.bridge.fails(client_error("InternalFailure", 500), client_error("InternalFailure", 500))
    game.call("publish_and_count", stream_event(record))
    (line,) = [line for line in lines_of(log) if line.get("published") == 0 and "subject" in line]
    assert (line["function"], line["correlation_id"]) == ("publish_and_count", "request-3")


def test_an_awards_lines_have_the_id_of_the_event_that_brought_it(
    game: Game, log: StringIO
) -> None:
    event = bus_event("award_token", referrerUserId="alice", referredUserId="carol")
    game.call("award_token", event)
    item = game.stored(keys.referral("carol"))
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


def test_why_mails_wait_is_in_the_lines_of_the_notifier_and_of_the_sweeper(
    game: Game, log: StringIO
) -> None:
    """What an operator has to put right: the account's suspension, an identity, a right."""
    record = heist_requested(game, "request-12")
    game.ses.fails(*[client_error("AccountSuspendedException")] * 4)
    game.call("notify_players", stream_event(record))
    game.time.pass_(minutes=6)
    game.sweep()
    lines = [line for line in lines_of(log) if "mails_deferred" in line]
    assert [line["message"] for line in lines] == ["record", "batch", "sweep"]
    assert {line["mails_deferred"] for line in lines} == {"AccountSuspendedException"}
    game.time.pass_(minutes=6)
    game.sweep()
    assert len(game.ses.mails) == 2


# Metrics: each name that template.yaml shows is held against the code in tests/template


def totals(log: StringIO) -> Counter[str]:
    """What the metrics written since the last look add up to."""
    added = counted(log)
    log.seek(0)
    log.truncate()
    return added


def test_a_heist_and_what_it_led_to_are_counted(game: Game, log: StringIO) -> None:
    record = heist_requested(game, "request-6")
    game.call("notify_players", stream_event(record))
    assert totals(log) == {
        "HeistAttempts": 1,
        "HeistsSucceeded": 1,
        "PointsStolen": 40,
        "OwedSettledBySweeper": 1,
        "OwedAfterSweep": 0,
        "InboxItems": 2,
        "MailsSent": 2,
        "MailsSuppressed": 1,  # of the token, of which nobody wants to hear by default
    }


def test_rounds_lost_to_others_are_counted(game: Game, log: StringIO) -> None:
    game.give("alice", tokens=1)
    game.give("bob", points=800)
    game.once_before("transact_write_items", lambda: game.give("bob", points=1))
    assert game.rob("alice", "bob").status == 200
    assert totals(log)["ContentionRounds"] == 1


def test_mails_that_wait_for_an_operator_are_counted_as_undelivered_too(
    game: Game, log: StringIO
) -> None:
    record = heist_requested(game, "request-7")
    game.ses.fails(client_error("MessageRejected"))
    totals(log)
    game.call("notify_players", stream_event(record))
    assert totals(log) == {
        "InboxItems": 2,
        "MailsFailed": 1,
        "MailsUndelivered": 1,
        "MailsSent": 1,
    }


def test_events_refused_and_records_that_fail_or_cannot_be_read_are_counted(
    game: Game, log: StringIO
) -> None:
    record = heist_requested(game, "request-8")
    totals(log)
    game.call("upsert_player", bus_event("upsert_player", name=7))
    game.bridge.fails(client_error("InternalFailure", 500))
    game.call("publish_and_count", stream_event(record))
    record["dynamodb"]["NewImage"].pop("season")
    game.call("publish_and_count", stream_event(record))
    assert totals(log) == {"EventsRefused": 1, "LeftToSweeper": 1, "RecordsParked": 1}


def test_a_sweep_tells_what_it_did_and_what_is_left_nothing_too(game: Game, log: StringIO) -> None:
    """Or an alarm could not tell a stream that works from a sweeper that says nothing."""
    swept = ("OwedSettledBySweeper", "OwedAfterSweep")
    game.sweep()
    told = totals(log)
    assert [(name in told, told[name]) for name in swept] == [(True, 0), (True, 0)]

    heist_requested(game, "request-11")
    totals(log)
    game.time.pass_(minutes=2)
    game.bridge.fails(client_error("InternalFailure", 500))
    game.sweep()
    assert [totals(log)[name] for name in swept[1:]] == [1]


def test_what_lambda_delivers_again_is_counted(game: Game, log: StringIO) -> None:
    """The first record that failed and all behind it; of a batch that fails as a whole, all."""
    first = heist_requested(game, "request-9")
    game.time.pass_(days=3)
    batch = stream_event(first, heist_requested(game, "request-10"))
    totals(log)
    game.fails(client_error("InternalServerError", 500), "put_item")
    assert len(game.call("notify_players", batch)["batchItemFailures"]) == 2
    assert totals(log) == {"RecordsRedelivered": 2}
    game.undisturbed()
    batch["Records"][1]["dynamodb"]["NewImage"].pop("season")
    game.notifier_queue.fails(client_error("InternalFailure", 500))
    with pytest.raises(Unavailable):
        game.call("publish_and_count", batch)
    assert totals(log) == {"RecordsRedelivered": 2, "LeftToSweeper": 0}


def test_an_invalid_settings_item_is_counted_by_the_real_wiring(
    log: StringIO,
) -> None:
    settings = wiring.settings.__wrapped__()
    with telemetry.invocation("request", "execute_heist"):
        settings.refresh({"HEIST_STEAL_PERCENTAGE": "half"})
    assert totals(log) == {"SettingsInvalid": 1}


# Ready-made queries

WORDS = frozenset(
    [
        "filter",
        "fields",
        "stats",
        "sort",
        "desc",
        "by",
        "and",
        "count",
        "pct",
        "max",
        "sum",
        "bin",
        "5m",
        "50",
        "99",
        "500",
    ]
) | {"@timestamp"}
QUERIES = {
    name: resource["Properties"]["QueryString"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Logs::QueryDefinition"
}


def fields_of(query: str) -> set[str]:
    unquoted = re.sub(r'"[^"]*"', "", query)
    return set(re.findall(r"[@\w]+", unquoted)) - WORDS


def values_of(query: str) -> set[str]:
    """What the query compares message and function with."""
    return set(re.findall(r'(?:message|function) = "(\w+)"', query))


def test_every_ready_made_query_asks_for_fields_and_values_that_log_lines_have(
    game: Game, log: StringIO
) -> None:
    record = heist_requested(game, "request-9")
    game.rob("alice", "bob")
    for consumer in ("notify_players", "publish_and_count"):
        game.call(consumer, stream_event(record))
    game.change(keys.player("alice"), {"tokens": 7})
    game.call("audit_table", sample("audit_table"))
    game.fails(EndpointConnectionError(endpoint_url="https://dynamodb"))
    game.rob("alice", "bob")
    game.call("notify_players", stream_event(record))
    lines = lines_of(log)
    known = {name for line in lines for name in line}
    values = {line[name] for line in lines for name in ("message", "function")}
    assert len(QUERIES) == 6
    for name, query in QUERIES.items():
        assert fields_of(query) <= known, name
        assert values_of(query) <= values, name


# The nightly audit


def test_the_audit_finds_nothing_wrong_with_what_was_played(game: Game, log: StringIO) -> None:
    heist_requested(game, "request-5")
    there = len(game.everything())
    counts = game.call("audit_table", sample("audit_table"))
    assert counts == {"items": there, "violations": 0}
    assert [line["message"] for line in lines_of(log) if line["function"] == "audit_table"] == [
        "audit"
    ]


def test_the_audit_names_and_counts_damage_and_mends_nothing(game: Game, log: StringIO) -> None:
    game.give("alice", points=1000)
    game.change(keys.player("alice"), {"points#2026-11": 1001})

    assert game.call("audit_table", sample("audit_table"))["violations"] == 3

    _board, named, _season = [line for line in lines_of(log) if line["message"] == "violation"]
    assert named["level"] == "ERROR"
    assert named["violation"].startswith("player alice: the ledger adds up to the points")
    assert totals(log) == {"InvariantViolations": 3, "AuditsFinished": 1}
    assert game.points("alice") == 1001


def test_an_audit_that_would_not_end_in_time_fails_and_does_not_count_as_finished(
    game: Game, log: StringIO
) -> None:
    game.give("alice", points=1000)
    with pytest.raises(TimeoutError, match="not finished after"):
        audit_app.handler({}, LambdaContext(milliseconds_left=14_000))
    assert "AuditsFinished" not in log.getvalue()
