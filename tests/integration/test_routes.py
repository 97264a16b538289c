"""The routes as API Gateway calls them, the real wiring, and logs that know no person."""

import importlib
import uuid
from collections.abc import Iterator
from io import StringIO

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from functions.get_tokens import app as get_tokens
from heist_core import wiring
from heist_core.settings import InvalidSettings
from heist_core.storage import items
from tests.builders import (
    Event,
    api_event,
    award,
    bus_event,
    execute_event,
    heist,
    sample,
    stream_event,
    stream_record,
)
from tests.embedded_metrics import counted
from tests.engines import table_definition
from tests.fakes import FakeSecrets, LambdaContext, client_error, lines_of
from tests.integration.game import FUNCTIONS, Game

# can-rob


def check(game: Game, caller: str, target: str) -> Event:
    answer = game.check(caller, target)
    assert answer.status == 200, answer
    body: Event = answer.body
    return body


def test_a_check_says_what_a_heist_would_do_and_does_nothing(game: Game) -> None:
    game.give("alice", points=10, tokens=1)
    game.give("bob", points=800)
    before = [game.player("alice"), game.player("bob")]
    assert check(game, "alice", "bob") == {
        "eligible": True,
        "potentialSteal": 40,
        "targetPoints": 800,
    }
    assert [game.player("alice"), game.player("bob")] == before
    assert game.rob("alice", "bob").body["pointsStolen"] == 40


def test_check_and_execute_refuse_alike_and_the_check_shows_no_number(game: Game) -> None:
    game.give("alice", points=100, tokens=3)
    game.give("bob", points=800, tokens=1)
    game.give("poor", points=19)
    game.give("carol", tokens=1)
    assert game.rob("bob", "alice").status == 200

    def refusals() -> Iterator[tuple[str, str]]:
        yield "dora", "bob"
        yield "bob", "poor"
        yield "carol", "carol"
        yield "carol", "nobody"
        yield "carol", "poor"
        yield "carol", "alice"

    codes = []
    for attacker, victim in refusals():
        told = check(game, attacker, victim)
        refused = game.rob(attacker, victim)
        assert told == {
            "eligible": False,
            "reason": refused.body["message"],
            "code": refused.body["code"],
            "potentialSteal": 0,
            "targetPoints": 0,
            "details": refused.body["details"],
        }
        assert refused.status == 400
        codes.append(told["code"])
    assert codes == [
        *("NO_TOKENS", "NO_TOKENS", "SELF_TARGET"),
        *("TARGET_NOT_FOUND", "TARGET_BELOW_MINIMUM", "TARGET_PROTECTED"),
    ]


def test_the_check_after_three_times_the_limit_is_turned_away(game: Game) -> None:
    game.restart(HEIST_RATE_LIMIT_PER_MINUTE=2)
    statuses = [game.check("alice", "bob").status for _ in range(7)]
    assert statuses == [200] * 6 + [429]
    limited = game.check("alice", "bob")
    assert limited.body["error"] == "RATE_LIMITED"
    assert limited.headers["Retry-After"] == "57"
    assert game.check("carol", "bob").status == 200


# What is refused before anything is looked at


@pytest.mark.parametrize(
    ("function", "event"),
    [
        ("execute_heist", api_event("execute_heist", body="{")),
        ("execute_heist", api_event("execute_heist", body={"targetUserId": 7.5})),
        ("execute_heist", execute_event("alice", "bob", "é")),
        ("execute_heist", execute_event("alice", "bob", "")),
        ("check_target", api_event("check_target", path={"targetUserId": "a%23b"})),
        ("check_target", api_event("check_target", path={"targetUserId": "a%20b"})),
        ("list_notifications", api_event("list_notifications", query={"limit": "0"})),
        ("list_notifications", api_event("list_notifications", query={"cursor": ""})),
        ("mark_notifications_read", api_event("mark_notifications_read", body="[]")),
        ("mark_notifications_read", api_event("mark_notifications_read", body={"upTo": None})),
        ("manage_preferences", api_event("manage_preferences", body={"email": {"x": "off"}})),
    ],
)
def test_a_request_of_the_wrong_shape_is_a_400_that_touches_nothing(
    game: Game, function: str, event: Event
) -> None:
    game.fails(AssertionError("touched"))
    answer = game.request(function, event)
    assert answer.status == 400
    assert set(answer.body) == {"errors"}
    assert all(set(error) == {"code", "path", "message"} for error in answer.body["errors"])


API_FUNCTIONS = [
    name for name in FUNCTIONS if "authorizer" in sample(name).get("requestContext", {})
]


@pytest.mark.parametrize("function", API_FUNCTIONS)
def test_no_route_does_anything_for_nobody(
    game: Game, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SAM_LOCAL", raising=False)
    event = sample(function)
    del event["requestContext"]["authorizer"]
    assert game.request(function, event).status == 403
    assert game.everything() == []


@pytest.mark.parametrize("function", API_FUNCTIONS)
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ReadTimeoutError(endpoint_url="https://dynamodb"), 503, "DEPENDENCY"),
        (client_error("ThrottlingException"), 503, "CONTENTION"),
        (client_error("AccessDeniedException"), 503, "DEPENDENCY"),
        (client_error("ValidationException"), 500, None),
    ],
)
def test_every_route_answers_what_storage_does_to_it(
    game: Game, function: str, error: Exception, status: int, code: str | None
) -> None:
    game.fails(error)
    answer = game.request(function, sample(function))
    assert (answer.status, answer.body.get("code")) == (status, code)
    if status == 500:
        assert answer.body == {"error": "Internal server error"}
    else:
        assert int(answer.headers["Retry-After"]) >= 1
    for secret in ("double", "dynamodb", "heist-", "Traceback"):
        assert secret not in answer.text


# Logs

NAME, ADDRESS, IP, TOKEN = "Canary Name", "canary@example.com", "198.51.100.77", "canary-token"


def play_everything(game: Game) -> None:
    """Each function with somebody's name, address, IP and token in its event."""
    person = {"name": NAME, "email": ADDRESS}
    game.call("upsert_player", bus_event("upsert_player", userId="alice", **person))
    game.call("upsert_player", bus_event("upsert_player", userId="bob", **person))
    game.call(
        "award_token",
        bus_event("award_token", referrerUserId="alice", referredUserId="c", referredUserName=NAME),
    )
    game.call("add_points", bus_event("add_points", userId="bob", points=800))
    bearer = {"authorization": f"Bearer {TOKEN}"}
    for function in API_FUNCTIONS:
        event = api_event(
            function,
            "alice",
            body={"targetUserId": "bob", "delta": 1, "reason": "a test"},
            path={"targetUserId": "bob", "userId": "alice"},
            source_ip=IP,
            headers={**bearer, "idempotency-key": function},
        )
        assert game.request(function, event).status == 200
    event = execute_event("alice", NAME, source_ip=IP)
    assert game.request("execute_heist", event).status == 400
    game.call("record_mail_feedback", sample("record_mail_feedback"))
    game.call("send_digests", sample("send_digests"))
    link = sample("unsubscribe")
    link["pathParameters"] = {"token": game.links.to("alice", "token").rpartition("/")[2]}
    assert game.call("unsubscribe", link)["statusCode"] == 200
    records = [
        stream_record(items.heist_item(heist(attacker_name=NAME, victim_name=NAME)), 1),
        stream_record(items.award_item(award(name=NAME)), 2),
    ]
    broken = stream_record(items.heist_item(heist(heist_id="bad", victim_name=NAME)), 3)
    broken["dynamodb"]["NewImage"]["season"] = {"S": ""}
    broken["dynamodb"]["NewImage"]["createdAt"] = {"S": ADDRESS}
    game.call("notify_players", stream_event(*records, broken))
    game.call("publish_and_count", stream_event(*records, broken))
    game.sweep()
    game.call("keep_leaderboard", {"source": "aws.events"})


def play_badly(game: Game) -> None:
    """Refused events, and every function while storage and mail fail."""
    game.call("upsert_player", bus_event("upsert_player", name=7, email=f"{ADDRESS} {NAME}"))
    game.call("award_token", bus_event("award_token", referredUserId=NAME, referredUserName=NAME))
    game.ses.fails(client_error("MessageRejected"), ReadTimeoutError(endpoint_url="x"))
    record = stream_record(items.heist_item(heist(victim_name=NAME)), 1)
    game.call("notify_players", stream_event(record))
    game.fails(ValueError("a defect"))
    for function in API_FUNCTIONS:
        game.request(function, api_event(function, "alice", source_ip=IP))
    game.call("notify_players", stream_event(record))
    game.call("publish_and_count", stream_event(record))
    for function, detail in (
        ("upsert_player", {"name": NAME, "email": ADDRESS}),
        ("award_token", {"referredUserName": NAME}),
    ):
        with pytest.raises(ValueError, match="a defect"):
            game.call(function, bus_event(function, **detail))
    game.undisturbed()


def test_no_name_address_ip_or_token_is_ever_logged_or_a_reason(
    game: Game, log: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    play_everything(game)
    assert ADDRESS in game.ses
    play_badly(game)
    logged = log.getvalue() + capsys.readouterr().out
    assert logged.count("\n") > 20
    letters = [*game.events_queue, *game.notifier_queue]
    reasons = " ".join(str(letter["reason"]) for letter in letters)
    assert len(letters) >= 4
    for canary in (NAME, ADDRESS, "Canary", "canary", IP, TOKEN):
        assert canary not in logged, canary
        assert canary not in reasons, canary


def test_every_function_logs_one_line_of_what_it_did(game: Game, log: StringIO) -> None:
    play_everything(game)
    lines = [line for line in lines_of(log) if line["message"] != "record"]
    by_function = {line["function"]: line for line in lines}
    elsewhere = {"seed_point_types", "audit_table", "import_part"}
    assert set(by_function) == set(FUNCTIONS) - elsewhere
    for line in lines:
        kinds = ("request", "event", "batch", "sweep", "leaderboard", "digests")
        assert line["message"] in kinds
        assert line["ms"] >= 0
    robbed = next(line for line in lines if line.get("points") == 40)
    assert (robbed["caller"], robbed["target"], robbed["status"]) == ("alice", "bob", 200)
    notified = by_function["notify_players"]
    assert (notified["records"], notified["parked"], notified["inbox"]) == (3, 1, 3)
    assert by_function["publish_and_count"]["published"] == 2


def test_heists_and_refusals_are_counted_once_and_refusals_by_their_code(
    game: Game, log: StringIO
) -> None:
    game.give("alice", tokens=1)
    game.give("bob", points=800)
    for target in ("nobody", "bob"):
        for _ in range(2):  # the second is a replay
            game.rob("alice", target, target)
    assert counted(log) == {
        "HeistAttempts": 2,
        "HeistReplays": 2,
        "HeistsSucceeded": 1,
        "PointsStolen": 40,
        "HeistsRefused:TARGET_NOT_FOUND": 1,
    }


# The real wiring


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Nothing exchanged: real clients that reach moto, variables as the template sets them. The
    notifier's dead-letter queue."""
    stack = f"heist-{uuid.uuid4().hex}"
    makers = [made for made in vars(wiring).values() if hasattr(made, "cache_clear")]
    for maker in makers:
        maker.cache_clear()
    with mock_aws():
        boto3.client("dynamodb").create_table(TableName=stack, **table_definition())
        boto3.client("events").create_event_bus(Name=stack)
        boto3.client("sesv2").create_email_identity(EmailIdentity=f"{stack}@example.com")
        queues = [
            boto3.client("sqs").create_queue(QueueName=f"{stack}-{name}")["QueueUrl"]
            for name in ("events", "notifier")
        ]
        secret = boto3.client("secretsmanager").create_secret(
            Name=stack, SecretString=FakeSecrets().secret
        )
        variables = {
            "TABLE_NAME": stack,
            "EVENTS_DLQ_URL": queues[0],
            "NOTIFIER_DLQ_URL": queues[1],
            "EVENT_BUS_NAME": stack,
            "SENDER_EMAIL": f"{stack}@example.com",
            "UNSUBSCRIBE_KEY_ID": secret["ARN"],
            "API_URL": "https://api.example.com",
            "AWS_ENDPOINT_URL": "",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield queues[1]
    for maker in makers:
        maker.cache_clear()


def test_the_functions_work_as_they_are_wired(deployed: str) -> None:
    def call(function: str, event: Event) -> object:
        return importlib.import_module(f"functions.{function}.app").handler(event, LambdaContext())

    def status(function: str, event: Event) -> int:
        answer = call(function, event)
        assert isinstance(answer, dict)
        return int(answer["statusCode"])

    assert call("award_token", sample("award_token")) == {"status": "ok"}
    assert call("upsert_player", sample("upsert_player")) == {"status": "ok"}
    assert call("add_points", sample("add_points")) == {"status": "ok"}
    assert call("add_points", bus_event("add_points", points=0)) == {"status": "refused"}
    assert status("check_target", sample("check_target")) == 200
    assert status("execute_heist", sample("execute_heist")) == 200
    assert status("execute_heist", sample("execute_heist")) == 200
    assert status("get_tokens", sample("get_tokens")) == 200
    done = {"batchItemFailures": [], "parked": 0}
    assert call("notify_players", sample("notify_players")) == done
    assert call("publish_and_count", sample("publish_and_count")) == done
    assert call("notify_players", stream_event({})) == {"batchItemFailures": [], "parked": 1}
    assert call("sweep_notifications", {"graceSeconds": 0}) == {
        "settled": 2,
        "waiting": 0,
        "parked": 0,
    }
    assert status("list_notifications", sample("list_notifications")) == 200
    assert status("count_unread", sample("count_unread")) == 200
    assert status("mark_notifications_read", sample("mark_notifications_read")) == 200
    assert status("manage_preferences", sample("manage_preferences")) == 200
    kept = call("keep_leaderboard", sample("keep_leaderboard"))
    assert isinstance(kept, dict)
    assert kept["players"] is not None
    others = ("list_heists", "show_player", "list_targets", "show_leaderboard", "unsubscribe")
    for name in (*others, "read_admin"):
        assert status(name, sample(name)) == 200
    waiting = {**sample("read_admin"), "routeKey": "GET /api/heist/admin/dead-letters"}
    assert status("read_admin", waiting) == 200
    letters = boto3.client("sqs").get_queue_attributes(
        QueueUrl=deployed, AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert letters["Attributes"]["ApproximateNumberOfMessages"] == "1"


@pytest.mark.usefixtures("deployed")
def test_an_invalid_variable_refuses_the_start_and_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEIST_COOLDOWN_HOURS", "24h")
    with pytest.raises(InvalidSettings, match="HEIST_COOLDOWN_HOURS"):
        wiring.execute_heist()


@pytest.mark.usefixtures("deployed")
def test_without_a_table_name_the_answer_is_a_500_without_details(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TABLE_NAME")
    answer = get_tokens.handler(sample("get_tokens"), LambdaContext())
    assert answer["statusCode"] == 500
    assert answer["body"] == '{"error":"Internal server error"}'


@pytest.mark.usefixtures("deployed")
def test_the_clients_are_the_ones_that_were_decided_on() -> None:
    def options(client: object) -> dict[str, object]:
        config = vars(getattr(client, "meta").config)  # noqa: B009 - the stubs know no Config
        return {
            name: config["_user_provided_options"][name] for name in ("read_timeout", "retries")
        }

    assert options(wiring.store()._table._client) == {
        "read_timeout": 2,
        "retries": {"mode": "standard", "total_max_attempts": 2},
    }
    assert options(wiring.mailer()._client)["retries"] == {
        "mode": "standard",
        "total_max_attempts": 1,
    }
    assert len({wiring.new_id() for _ in range(100)}) == 100
    assert wiring.clock().now().microsecond % 1000 == 0
