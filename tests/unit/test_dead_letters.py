"""Dead letters: whose they are, who may redo them, and that none is ever lost or kept hidden."""

import io
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import boto3
import pytest

from heist_core.messaging.dead_letter_queues import EVENT_FUNCTIONS, DeadLetter, parsed
from ops.target import OperatorError, Target
from tests.builders import NOW
from tests.desk import Desk
from tests.fakes import EVENTS, NOTIFIER, FakeClock, Queues

OUTPUTS = {"EventsDeadLetterQueueUrl": EVENTS, "NotifierDeadLetterQueueUrl": NOTIFIER}
WHY = ("--reason", "told the sender", "--apply")


class Functions:
    """Lambda: every function answers what it is told to, or that all went well."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.answer: Callable[[str, Any], Any] = lambda *_: {"status": "ok", "settled": True}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803
        folder = FunctionName.removeprefix("heist-core-local-").replace("-", "_")
        self.called.append(folder)
        answer = self.answer(folder, json.loads(Payload))
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


class Log:
    """The table, of which only the log of operator actions is written."""

    def __init__(self) -> None:
        self.entries: list[Any] = []

    def image(self, _key: object) -> None:
        return None

    def transact(self, transaction: Sequence[Any]) -> None:
        self.entries += [step.action["Put"]["Item"] for step in transaction]


@pytest.fixture
def queues() -> Queues:
    return Queues()


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def desk(
    queues: Queues, functions: Functions, log: Log, capsys: pytest.CaptureFixture[str]
) -> Desk:
    session = boto3.Session("test", "test", region_name="us-east-1")
    target = Target("local", {"TableName": "heists", **OUTPUTS}, session, "http://localhost")
    time = FakeClock()
    target.__dict__.update(
        sqs=queues, lambdas=functions, table=log, now=time, clock=time.clock, operator="local:olga"
    )
    return Desk(target, capsys)


def points(event_id: str = "order-7", source: str = "points", **detail: Any) -> dict[str, Any]:
    return {
        "id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "source": source,
        "detail-type": "PointsEarned",
        "detail": {"eventId": event_id, "userId": "alice", **detail},
    }


def refused(event: Mapping[str, Any], reason: str = "points: must be an integer") -> dict[str, Any]:
    return {"event": event, "reason": reason}


def given_up(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": event,
        "responsePayload": {"errorType": "Unavailable", "errorMessage": "…"},
    }


RECORD = {
    "kind": "record",
    "consumer": "notify_players",
    "key": {"pk": "HEIST#h1", "sk": "HEIST"},
    "record": {"eventName": "INSERT"},
    "reason": "points is missing",
}
MAIL = {"kind": "mail", "state": "FAILED", "heistId": "h1", "recipientId": "bob", "reason": "x"}
DIGEST = {"kind": "mail", "type": "DIGEST", "recipientId": "bob", "upTo": 7, "state": "FAILED"}
POSITION = {"DDBStreamBatchInfo": {"shardId": "1"}, "requestContext": {"condition": "TooOld"}}


def letter(body: Any, undelivered: str = "") -> DeadLetter:
    return DeadLetter("1", EVENTS, "1", NOW, body, undelivered)


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (
            refused(points()),
            ("refused", "points PointsEarned", "order-7", "alice", "points: must be an integer"),
        ),
        (
            given_up(points()),
            ("event", "points PointsEarned", "order-7", "alice", "RetriesExhausted, Unavailable"),
        ),
        (points(), ("event", "points PointsEarned", "order-7", "alice", "not said")),
        (RECORD, ("record", "notify_players", "HEIST#h1", "", "points is missing")),
        (MAIL, ("failed mail", "failed mail", "h1", "bob", "x")),
        (DIGEST, ("failed mail", "failed mail", "digest 7", "bob", "not said")),
        ({**MAIL, "state": "PARKED"}, ("doubtful mail", "doubtful mail", "h1", "bob", "x")),
        (POSITION, ("position", "position", "", "", "TooOld")),
        ({"what": "ever"}, ("unknown", "unknown", "", "", "not said")),
        (points(source="evil"), ("unknown", "evil PointsEarned", "order-7", "alice", "not said")),
    ],
)
def test_a_letter_says_what_it_is_whose_and_why(body: Any, facts: tuple[str, ...]) -> None:
    found = letter(body)
    assert (found.kind, found.source, found.reference, found.player, found.cause) == facts


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", "9" * 5000, "[" * 100_000, '"\\ud800"'])
def test_a_letter_that_cannot_be_read_is_one_of_nobodys(text: str) -> None:
    found = letter(parsed(text))
    assert (found.kind, found.player, found.cause) == ("unknown", "", "not said")


def test_what_the_bus_could_not_deliver_says_why_in_its_words() -> None:
    assert letter(points(), "NO_PERMISSIONS").cause == "NO_PERMISSIONS"


def test_every_event_of_the_contract_has_its_function() -> None:
    assert set(EVENT_FUNCTIONS.values()) == {
        "award_token",
        "upsert_player",
        "add_points",
        "record_mail_feedback",
    }


def test_letters_are_listed_with_their_causes_and_stay(queues: Queues, desk: Desk) -> None:
    queues.put(refused(points("o\x1b[2J-1")), age=timedelta(days=9))
    queues.put(refused(points("o-2")))
    queues.put(RECORD, NOTIFIER)

    shown = desk.shown("dead-letters")

    assert "00000000  9 d  refused  alice" in shown
    assert "points PointsEarned o�[2J-1: points: must be an integer" in shown
    assert max(map(len, shown.splitlines())) <= 80
    listed = desk("dead-letters")["letters"]
    assert [each["kind"] for each in listed] == ["refused", "refused", "record"]
    assert listed[1] | {"letter": ""} == {
        "letter": "",
        "kind": "refused",
        "source": "points PointsEarned",
        "event": "o-2",
        "player": "alice",
        "cause": "points: must be an integer",
        "ageSeconds": 3 * 3600,
    }
    assert queues.hidden == set()
    assert len(queues.messages) == 3


def test_some_can_be_named_by_id_or_cause(queues: Queues, desk: Desk) -> None:
    first = queues.put(refused(points("o-1")))
    queues.put(refused(points("o-2"), "userId: is required"))

    def named(*arguments: str) -> list[str]:
        return [each["event"] for each in desk("dead-letters", *arguments)["letters"]]

    assert named(first[:8]) == ["o-1"]
    assert named("--cause", "userId") == ["o-2"]
    assert named("--cause", "nothing such") == []
    for start, problem in (
        ("9", "no dead letter whose id begins with 9"),
        ("0", "2 dead letters whose id begins with 0"),
    ):
        with pytest.raises(OperatorError, match=problem):
            named(start)


def test_nothing_is_redone_unless_told_to(queues: Queues, functions: Functions, desk: Desk) -> None:
    queues.put(given_up(points()))
    assert desk("redrive")["redone"] == 0
    assert functions.called == []
    assert queues.hidden == set()


def test_letters_are_redone_by_the_function_that_failed_them(
    queues: Queues, functions: Functions, desk: Desk
) -> None:
    queues.put(given_up(points()))
    queues.put(RECORD, NOTIFIER)
    queues.put(MAIL, NOTIFIER)
    queues.put(POSITION, NOTIFIER)

    assert desk("redrive", "--apply")["redone"] == 4

    assert sorted(functions.called) == [
        *("add_points", "notify_players", "sweep_notifications", "sweep_notifications")
    ]
    assert queues.messages == {}


def test_a_digest_is_redone_by_who_sends_them_and_its_letter_stays_until_it_is(
    queues: Queues, functions: Functions, desk: Desk
) -> None:
    queues.put(DIGEST, NOTIFIER)
    asked: list[object] = []

    def answer(_: str, payload: object) -> object:
        asked.append(payload)
        return {"settled": len(asked) == 2}

    functions.answer = answer
    code, told = desk.run("redrive", "--apply")
    assert (code, told["undone"]) == (1, ["failed mail digest 7: not sent; the dead letter stays"])
    assert desk("redrive", "--apply")["redone"] == 1
    assert functions.called == ["send_digests"] * 2
    assert asked == [{"resend": DIGEST}] * 2
    assert queues.messages == {}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (given_up(points(source="evil")), "not a dead letter of Heist Core"),
        (refused(points(source="evil")), "no function takes such an event of this source"),
        ({**RECORD, "consumer": "get_tokens"}, "must be one of notify_players, publish_and_count"),
        ({**RECORD, "consumer": "notify_players/../x"}, "its consumer must be one of"),
        ("no JSON", "not a dead letter of Heist Core"),
    ],
)
def test_what_no_function_of_ours_failed_invokes_none(
    body: Any, problem: str, queues: Queues, functions: Functions, desk: Desk
) -> None:
    queues.put(body)
    code, told = desk.run("redrive", "--refused", "--apply")
    assert code == 1
    assert problem in told["undone"][0]
    assert functions.called == []
    assert len(queues.messages) == 1
    assert queues.hidden == set()


def test_refused_events_and_doubtful_mails_are_redone_only_when_asked_for(
    queues: Queues, functions: Functions, desk: Desk
) -> None:
    first = queues.put(refused(points("o-1")))
    queues.put(refused(points("o-2")))
    queues.put({**MAIL, "state": "PARKED"}, NOTIFIER)

    assert desk("redrive", "--apply") | {"letters": {}} == {
        "applied": False,
        "redone": 0,
        "undone": [],
        "left": 3,
        "hidden": 0,
        "letters": {},
    }
    assert desk("redrive", first[:8], "--apply")["redone"] == 1
    assert desk("redrive", "--doubtful", "--apply")["redone"] == 1
    assert desk("redrive", "--refused", "--apply")["redone"] == 1
    assert functions.called == ["add_points", "sweep_notifications", "add_points"]


def test_an_interrupted_run_gives_back_what_it_did_not_do(
    queues: Queues, functions: Functions, desk: Desk
) -> None:
    for number in range(30):
        queues.put(given_up(points(f"o-{number}")))
    calls = itertools.count(1)

    def interrupt(_seconds: float) -> None:
        if next(calls) == 5:
            raise KeyboardInterrupt

    desk.target.__dict__["clock"] = FakeClock().clock._replace(sleep=interrupt)
    with pytest.raises(KeyboardInterrupt):
        desk("redrive", "--apply")

    assert queues.hidden == set()
    assert len(queues.messages) == 30 - len(functions.called)
    assert 20 <= len(queues.messages) < 30


def test_what_another_reader_hides_is_not_called_done(queues: Queues, desk: Desk) -> None:
    queues.hidden.add(queues.put(given_up(points("o-1"))))
    queues.put(given_up(points("o-2")))

    code, told = desk.run("redrive", "--apply")

    assert (code, told["redone"], told["hidden"]) == (1, 1, 1)


def test_no_more_are_begun_a_second_than_allowed(queues: Queues, desk: Desk) -> None:
    for number in range(20):
        queues.put(given_up(points(f"o-{number}")))
    clock = FakeClock()
    desk.target.__dict__["clock"] = clock.clock

    desk("redrive", "--rate", "4", "--apply")

    assert clock.at - NOW == timedelta(seconds=5)


def test_an_event_that_is_refused_again_leaves_its_new_letter_only(
    queues: Queues, functions: Functions, desk: Desk
) -> None:
    queues.put(refused(points("o-1")))

    def refuse(_folder: str, event: Any) -> Any:
        queues.put(refused(event))
        return {"status": "refused"}

    functions.answer = refuse
    code, told = desk.run("redrive", "--refused", "--apply")
    assert (code, len(queues.messages), queues.hidden) == (1, 1, set())
    assert "refused again" in told["undone"][0]


def test_discarding_needs_to_be_told_which_and_why(queues: Queues, desk: Desk) -> None:
    queues.put(refused(points()))
    with pytest.raises(OperatorError, match="Name the dead letters"):
        desk("discard", *WHY)
    with pytest.raises(OperatorError, match="--reason"):
        desk("discard", "--cause", "", "--apply")
    assert len(queues.messages) == 1


def test_what_is_discarded_is_on_record_first_and_without_what_the_sender_wrote(
    queues: Queues, log: Log, desk: Desk
) -> None:
    first = queues.put(refused(points("order of bob@example.com")))
    queues.put(refused(points(userId="Bob Smith, 7 High Street")))
    queues.put(refused(points("o-3"), "userId: is required"))

    assert not desk("discard", "--cause", "integer", "--reason", "why")["applied"]
    assert (len(queues.messages), log.entries) == (3, [])
    assert desk("discard", "--cause", "integer", *WHY)["applied"]

    assert len(queues.messages) == 1
    assert queues.hidden == set()
    one, other = log.entries
    assert one["subject"] == {"S": "player alice"}
    assert one["before"]["M"] == {
        "letter": {"S": first},
        "kind": {"S": "refused"},
        "cause": {"S": "points: must be an integer"},
        "event": {"S": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"},
    }
    assert other["subject"]["S"].startswith("letter ")
    assert "example.com" not in str(log.entries)
    assert "Smith" not in str(log.entries)


def test_a_log_that_cannot_be_written_keeps_the_letters(
    queues: Queues, log: Log, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues.put(refused(points()))

    def fail(_transaction: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(log, "transact", fail)
    with pytest.raises(ConnectionError):
        desk("discard", "--cause", "", *WHY)
    assert (len(queues.messages), queues.hidden) == (1, set())
