"""Events and stream records on their way in: one bad one stops no other, and none is lost."""

import builtins
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heist_core import telemetry
from heist_core.domain import facts
from heist_core.domain.errors import Contention, Malformed, Unavailable
from heist_core.domain.heist import Heist
from heist_core.domain.times import to_iso
from heist_core.event_contracts import Envelope, PointsEarned
from heist_core.events import handle_event
from heist_core.http.api import Request, Response, api_handler
from heist_core.messaging.dead_letters import DeadLetters
from heist_core.storage import items
from heist_core.storage.store import Store
from heist_core.streams import BatchAnswer, Consumer, chains_of, handle_records
from tests.builders import (
    NOW,
    Event,
    api_event,
    bus_event,
    heist,
    sample,
    stream_event,
    stream_record,
)
from tests.embedded_metrics import counted, documents_of
from tests.fakes import FakeQueue, LambdaContext, SameThread, client_error, lines_of

# Events of the bus


class Bus:
    """A handler of points events, and what it was called with."""

    def __init__(self) -> None:
        self.queue = FakeQueue()
        self.seen: list[tuple[PointsEarned, Envelope]] = []
        self.error: Exception | None = None

    def act(self, event: PointsEarned, envelope: Envelope) -> Mapping[str, str | int]:
        if self.error is not None:
            raise self.error
        event.occurred_at(envelope.time)
        self.seen.append((event, envelope))
        return {"player": event.userId}

    def __call__(self, event: Mapping[str, object]) -> None:
        queue = DeadLetters(self.queue.client, "https://queue")
        handle_event(event, "add_points", PointsEarned, self.act, queue, NOW)


def letter_of(event: Mapping[str, object]) -> dict[str, Any]:
    """The one dead letter that a refused event becomes."""
    bus = Bus()
    bus(event)
    assert bus.seen == []
    (letter,) = bus.queue
    return letter


def test_an_event_is_passed_on_with_its_id_and_the_time_it_was_sent() -> None:
    bus = Bus()
    sent = bus_event("add_points")
    bus(sent)
    ((event, envelope),) = bus.seen
    assert (event.points, envelope.time, envelope.id) == (800, NOW, sent["id"])
    assert len(bus.queue) == 0


@pytest.mark.parametrize("time", [..., None, 7, "", "yesterday", "2026-11-22T12:00:00"])
def test_an_event_without_a_proper_time_is_refused(time: object) -> None:
    event = bus_event("add_points")
    if time is ...:
        del event["time"]
    else:
        event["time"] = time
    assert letter_of(event)["event"] == event


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": "evil"}, "source: must be points"),
        ({"source": "users"}, "source: must be points"),
        ({"source": None}, "source: must be a string"),
        ({"detail-type": "UserUpserted"}, "detail-type: must be PointsEarned"),
        ({"time": to_iso(NOW + timedelta(minutes=5, milliseconds=1))}, "5 minutes from now"),
        ({"time": "2099-01-01T00:00:00Z"}, "time: must not be more than 5 minutes from now"),
        ({"time": "1970-01-01T00:00:00Z"}, "time: must not be before 2020"),
    ],
)
def test_an_event_that_nobody_may_send_so_is_refused(
    change: dict[str, object], reason: str
) -> None:
    event: Event = {**bus_event("add_points"), **change}
    letter = letter_of(event)
    assert letter["event"] == event
    assert reason in letter["reason"]


def test_a_date_that_its_event_makes_impossible_is_refused_by_its_name() -> None:
    letter = letter_of(bus_event("add_points", occurredAt="2027-05-01T00:00:00Z"))
    assert letter["reason"] == "occurredAt: must not be more than 5 minutes after the event's time"


def test_an_event_that_no_letter_can_hold_is_kept_short_with_a_note_where_the_whole_lies() -> None:
    sent = bus_event("add_points", points=0, junk="😀" * 70_000, pointEventType="A" * 1001)
    letter = letter_of(sent)
    assert set(letter) == {"event", "reason", "cut"}
    assert letter["event"] == {
        **{name: sent[name] for name in ("id", "source", "detail-type", "time")},
        "detail": {
            name: sent["detail"][name] for name in ("eventId", "userId", "points", "occurredAt")
        },
    }
    assert "points: must be" in letter["reason"]
    assert "sender has the whole" in letter["cut"]


@pytest.mark.parametrize("detail", [None, [], "text", 7, {}, {"points": 5}])
def test_a_detail_of_the_wrong_shape_is_kept_whole_with_the_reason(detail: object) -> None:
    event: Event = {**sample("add_points"), "detail": detail}
    letter = letter_of(event)
    assert set(letter) == {"event", "reason"}
    assert letter["event"] == event
    assert letter["reason"]


def test_a_reason_names_the_field_and_never_the_value() -> None:
    letter = letter_of(bus_event("add_points", points="canary", userId="can#ary"))
    assert "points: must be an integer from 1 to 1000000" in letter["reason"]
    assert "userId: " in letter["reason"]
    assert "ary" not in letter["reason"]


def test_an_event_that_fails_otherwise_is_left_to_lambda_to_repeat() -> None:
    bus = Bus()
    bus.error = Unavailable()
    with pytest.raises(Unavailable):
        bus(bus_event("add_points"))
    assert len(bus.queue) == 0


def test_a_refused_event_that_the_queue_does_not_take_is_an_error() -> None:
    bus = Bus()
    bus.queue.fails(client_error("AccessDenied", 403))
    with pytest.raises(Unavailable):
        bus(bus_event("add_points", points=0))


# Records of the stream


class Stream:
    """A consumer of the stream, and what it was called with."""

    def __init__(self, executor: Executor | None = None) -> None:
        self.queue = FakeQueue()
        self.seen: list[facts.Event] = []
        self.aside: list[dict[str, str]] = []
        self.errors: dict[str, Exception] = {}
        self.executor = executor or SameThread()
        self.before: Callable[[str], None] = lambda heist_id: None

    @property
    def store(self) -> Store:
        return cast("Store", self)

    def set_aside(self, subject: dict[str, str]) -> None:
        self.aside.append(subject)

    def act(self, event: facts.Event, fields: telemetry.Fields) -> None:
        key = items.subject_key(event)["pk"].partition("#")[2]
        self.before(key)
        if key in self.errors:
            raise self.errors[key]
        self.seen.append(event)

    def __call__(self, *records: Event) -> BatchAnswer:
        return self.handle(stream_event(*records))

    def handle(self, event: Mapping[str, object]) -> BatchAnswer:
        queue = DeadLetters(self.queue.client, "https://queue")
        consumer = Consumer("notify_players", self.store, queue)
        return handle_records(event, consumer, self.act, self.executor)


def record(heist_id: str, sequence: int = 1, between: str = "") -> Event:
    """Of a heist that has its players for itself, unless it is told `between` whom it was."""
    attacker, victim = list(between) or [f"{heist_id}-a", f"{heist_id}-b"]
    return stream_record(items.heist_item(heist(attacker, victim, heist_id)), sequence)


LONG = 30
"""Seconds that a test waits for what must come, before it says that it did not."""


def void(_: object) -> None:
    """Drops what a call gives back."""


def seen(stream: Stream) -> list[str]:
    """The heists that were told of, in order."""
    return [event.attempt.id for event in stream.seen if isinstance(event, Heist)]


def poison(record: Event, change: Callable[[Event], object]) -> Event:
    change(record["dynamodb"])
    return record


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.pop("NewImage"),
        lambda image: image.update(NewImage=None),
        lambda image: image["NewImage"].pop("pointsStolen"),
        lambda image: image["NewImage"].update(pointsStolen={"N": "many"}),
        lambda image: image["NewImage"].update(pointsStolen={"S": "40"}),
        lambda image: image["NewImage"].update(createdAt={"S": "yesterday"}),
        lambda image: image["NewImage"].update(sk={"S": "STATE"}),
        lambda image: image["NewImage"].update(status={"S": "PENDING"}),
        lambda image: image["NewImage"].update(status={"S": "FAILED"}),
        lambda image: image.update(NewImage=[]),
        lambda image: image.update(NewImage={"pk": "untyped"}),
    ],
)
def test_poison_is_parked_whole_with_the_reason_and_the_others_are_done(
    change: Callable[[Event], object],
) -> None:
    stream = Stream()
    bad = poison(record("bad", 2), change)
    answer = stream(record("h1", 1), bad, record("h3", 3))

    assert answer == {"batchItemFailures": [], "parked": 1}
    assert [event.attempt.id for event in stream.seen if isinstance(event, Heist)] == ["h1", "h3"]
    (letter,) = stream.queue
    assert (letter["kind"], letter["consumer"], letter["record"]) == (
        "record",
        "notify_players",
        bad,
    )
    assert letter["reason"]
    assert stream.aside == [{"pk": "HEIST#bad", "sk": "HEIST"}]


@pytest.mark.parametrize("broken", [{}, {"dynamodb": None}, {"dynamodb": []}, None, "text", 7])
def test_what_is_no_record_at_all_is_parked_too(broken: Any) -> None:
    stream = Stream()
    answer = stream(broken, record("h2", 2))
    assert answer == {"batchItemFailures": [], "parked": 1}
    assert [letter["record"] for letter in stream.queue] == [broken]
    assert len(stream.seen) == 1
    assert stream.aside == []


@pytest.mark.parametrize(
    "keys", [None, {}, {"pk": {"S": "a"}}, {"pk": {"N": "1"}, "sk": {"S": "b"}}]
)
def test_poison_without_proper_keys_is_parked_without_touching_an_item(keys: object) -> None:
    stream = Stream()
    bad = poison(record("bad"), lambda image: image.update(NewImage=None, Keys=keys))
    assert stream(bad)["parked"] == 1
    assert stream.aside == []


def test_poison_that_no_letter_can_hold_is_parked_by_the_key_of_its_item() -> None:
    stream, bad = Stream(), record("h1")
    bad["dynamodb"]["NewImage"] = {"junk": {"S": "x" * 300_000}}
    assert stream(bad)["parked"] == 1
    (letter,) = stream.queue
    assert letter["key"] == {"pk": "HEIST#h1", "sk": "HEIST"}
    assert "record" not in letter
    assert "item with this key" in letter["cut"]


def test_what_turns_out_malformed_while_at_work_is_parked_too() -> None:
    stream = Stream()
    stream.errors["h1"] = Malformed("mailState is unknown")
    assert stream(record("h1"), record("h2", 2))["parked"] == 1
    assert [letter["reason"] for letter in stream.queue] == ["mailState is unknown"]


@pytest.mark.parametrize("error", [Unavailable(), KeyError("defect"), client_error("X", 400)])
def test_what_fails_is_reported_by_its_sequence_number_and_the_others_are_done(
    error: Exception,
) -> None:
    stream = Stream()
    stream.errors["h2"] = error
    answer = stream(record("h1", 1), record("h2", 2), record("h3", 3))
    assert answer["batchItemFailures"] == [{"itemIdentifier": "000000000000000000002"}]
    assert json.loads(json.dumps(answer)) == answer
    assert len(stream.seen) == 2
    assert len(stream.queue) == 0


def test_poison_that_the_queue_does_not_take_is_reported_and_stays_with_the_sweeper() -> None:
    stream = Stream()
    stream.queue.fails(client_error("AccessDenied", 403))
    bad = poison(record("bad", 5), lambda image: image["NewImage"].pop("season"))
    answer = stream(bad)
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": "000000000000000000005"}],
        "parked": 0,
    }
    assert stream.aside == []


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"Records": None}, {"Records": "x"}])
def test_nothing_to_do_is_nothing_done(event: Event) -> None:
    assert Stream().handle(event) == {"batchItemFailures": [], "parked": 0}


# Records at the same time


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def test_records_of_different_players_are_done_at_the_same_time(
    threads: ThreadPoolExecutor,
) -> None:
    stream = Stream(threads)
    all_there = threading.Barrier(4)
    stream.before = lambda _: void(all_there.wait(LONG))
    answer = stream(*(record(f"h{number}", number) for number in range(4)))
    assert answer == {"batchItemFailures": [], "parked": 0}
    assert len(stream.seen) == 4


def test_a_slow_record_holds_up_its_own_players_and_nobody_else(
    threads: ThreadPoolExecutor,
) -> None:
    stream = Stream(threads)
    others_told = threading.Event()

    def before(heist_id: str) -> None:
        if heist_id == "slow":
            assert others_told.wait(LONG)
        if heist_id == "last":
            others_told.set()

    stream.before = before
    answer = stream(
        record("slow", 1, between="ab"),
        record("after", 2, between="cb"),
        *(record(f"h{number}", number) for number in range(3, 20)),
        record("last", 20),
    )
    assert answer == {"batchItemFailures": [], "parked": 0}
    assert seen(stream)[-2:] == ["slow", "after"]


def test_what_names_one_player_is_notified_in_the_order_it_came(
    threads: ThreadPoolExecutor,
) -> None:
    stream = Stream(threads)
    rounds = [f"h{number}" for number in range(60)]
    pairs = ["ab", "cd", "bc", "ef"]
    batch = [
        record(name, number, between=pairs[number % 4]) for number, name in enumerate(rounds, 1)
    ]
    stream(*batch)
    for player in "abcdef":
        named = [number for number in range(1, 61) if player in pairs[number % 4]]
        of_player = [f"h{number - 1}" for number in named]
        assert [name for name in seen(stream) if name in of_player] == of_player


def test_what_follows_a_failed_record_of_the_same_player_waits_for_it_and_is_reported_with_it(
    threads: ThreadPoolExecutor,
) -> None:
    stream = Stream(threads)
    stream.errors["h2"] = Unavailable()
    batch = [
        record("h1", 1, between="ab"),
        record("h2", 2, between="bc"),
        record("h3", 3, between="de"),
        record("h4", 4, between="cf"),
    ]
    answer = stream(*batch)
    reported = [failure["itemIdentifier"][-1] for failure in answer["batchItemFailures"]]
    assert reported == ["2", "4"]
    assert sorted(seen(stream)) == ["h1", "h3"]

    stream.errors.clear()
    assert stream(*batch[1:])["batchItemFailures"] == []
    assert [name for name in seen(stream) if name in ("h2", "h4")] == ["h2", "h4"]


def test_what_is_parked_holds_up_nobody(threads: ThreadPoolExecutor) -> None:
    stream = Stream(threads)
    stream.errors["h1"] = Malformed("mailState is unknown")
    answer = stream(record("h1", 1, between="ab"), record("h2", 2, between="ab"))
    assert answer == {"batchItemFailures": [], "parked": 1}
    assert seen(stream) == ["h2"]


@given(st.lists(st.frozensets(st.sampled_from("abcdefgh"), max_size=2), max_size=12))
def test_chains_hold_every_record_once_in_order_and_no_player_is_in_two(
    players: list[frozenset[str]],
) -> None:
    chains = chains_of(players)
    assert sorted(position for chain in chains for position in chain) == list(range(len(players)))
    assert all(chain == sorted(chain) for chain in chains)
    named = [frozenset().union(*(players[position] for position in chain)) for chain in chains]
    assert sum(map(len, named)) == len(frozenset().union(*named))


def test_records_without_a_common_player_are_in_chains_of_their_own() -> None:
    assert chains_of(["ab", "cd", "", "be", ""]) == [[1], [2], [0, 3], [4]]


def test_metrics_counted_at_the_same_time_add_up(
    log: StringIO, threads: ThreadPoolExecutor
) -> None:
    stream = Stream(threads)
    stream.before = lambda _: telemetry.count("InboxItems")
    stream(*(record(f"h{number}", number) for number in range(80)))
    assert counted(log) == {"InboxItems": 80}


# Telemetry


def test_an_invocation_is_one_line_with_what_it_did(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with telemetry.invocation("request", "get_tokens") as fields:
        fields["status"] = 200
        telemetry.add(fields, "inbox", 1)
        telemetry.add(fields, "inbox", 2)
    (line,) = caplog.records
    assert line.getMessage() == "request"
    assert vars(line)["function"] == "get_tokens"
    assert vars(line)["status"] == 200
    assert vars(line)["inbox"] == 3
    assert vars(line)["ms"] >= 0


def test_an_invocation_that_fails_is_logged_with_its_trace_and_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(KeyError), telemetry.invocation("event", "award_token"):
        raise KeyError("defect")
    (line,) = caplog.records
    assert line.levelname == "ERROR"
    assert line.exc_info is not None


def test_metrics_are_written_once_at_the_end_of_their_invocation(log: StringIO) -> None:
    with telemetry.invocation("event", "award_token"):
        telemetry.count("TokensAwarded")
        telemetry.count("TokensAwarded", 2)
        telemetry.count("Nothing", 0)
        assert not log.getvalue()
    assert counted(log) == {"TokensAwarded": 3}
    with telemetry.invocation("event", "award_token"):
        pass
    assert counted(log) == {"TokensAwarded": 3}


def test_metrics_are_in_cloudwatchs_embedded_format_by_service_or_by_one_thing_more(
    log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with telemetry.invocation("request", "execute_heist"):
        telemetry.count("HeistAttempts")
        telemetry.count("HeistsRefused", code="NO_TOKENS")
    by_code, by_service = documents_of(log)
    for document, name, dimensions in (
        (by_service, "HeistAttempts", {"service"}),
        (by_code, "HeistsRefused", {"service", "code"}),
    ):
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "HeistCore"
        assert [set(names) for names in directive["Dimensions"]] == [dimensions]
        assert directive["Metrics"] == [{"Name": name, "Unit": "Count"}]
        assert document[name] == [1]
        written = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC)
        assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert by_code["code"] == "NO_TOKENS"


def test_metrics_are_written_whatever_the_log_level(
    log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = telemetry.logger().log_level
    telemetry.logger().setLevel("CRITICAL")
    try:
        with telemetry.invocation("event", "award_token"):
            telemetry.count("EventsRefused")
    finally:
        telemetry.logger().setLevel(level)
    assert not lines_of(log)
    assert counted(log) == {"EventsRefused": 1}


def test_metrics_of_a_failed_invocation_are_written_after_its_trace(log: StringIO) -> None:
    def fail() -> None:
        with telemetry.invocation("event", "award_token"):
            telemetry.count("EventsRefused")
            raise KeyError("defect")

    with pytest.raises(KeyError):
        fail()
    (line,) = lines_of(log)
    assert line["exception_name"] == "KeyError"
    assert counted(log) == {"EventsRefused": 1}


def test_what_cannot_be_written_fails_no_invocation(
    log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(builtins, "print", fail)
    with telemetry.invocation("event", "award_token") as fields:
        fields["player"] = "alice"
        telemetry.count("EventsRefused")
        telemetry.count("HeistsRefused", code="NO_TOKENS")
    assert [line["player"] for line in lines_of(log)] == ["alice"]


def test_an_id_that_utf8_cannot_hold_is_logged(log: StringIO) -> None:
    with telemetry.invocation("event", "award_token", "id-\ud800"):
        pass
    assert log.getvalue().isascii()
    assert [line["correlation_id"] for line in lines_of(log)] == ["id-\ud800"]


def test_only_the_first_call_of_an_instance_counts_as_a_cold_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry._count_cold_start.cache_clear()
    for _ in range(2):
        with telemetry.invocation("event", "award_token"):
            pass
    written = StringIO(capsys.readouterr().out)
    assert counted(written) == {"ColdStarts:award_token": 1}


def test_requests_that_storage_fails_are_counted_by_what_failed(log: StringIO) -> None:
    @api_handler("get_tokens")
    def route(request: Request) -> Response:
        raise Contention

    route(api_event("get_tokens"), LambdaContext())
    (line,) = lines_of(log)
    assert line["code"] == "CONTENTION"
    assert counted(log) == {"Unavailable:CONTENTION": 1}
