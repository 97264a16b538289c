"""Notifier and publisher under the stream's contract: repeated, cut short, crashed anywhere."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from heist_core.domain.heist import Heist
from heist_core.domain.mails import MailState
from heist_core.domain.notices import NoticeType
from heist_core.domain.owed import Owed
from heist_core.domain.player import Dated, Player, Profile
from heist_core.storage import items, keys, wire
from heist_core.use_cases.notify_players import LEASE
from tests.builders import NOW, Event, award, heist, reversal, stream_event, stream_record
from tests.fakes import Crash, client_error
from tests.integration.game import Game
from tests.integration.stream import Consumer, FaultAt, Stream

LOST = ReadTimeoutError(endpoint_url="https://aws")
DONE = {"batchItemFailures": [], "parked": 0}


def robberies(game: Game, count: int) -> list[Event]:
    """As many heists between players with addresses, as records of the stream."""
    stream = Stream(game)
    for number in range(count):
        attacker, victim = f"attacker-{number}", f"victim-{number}"
        game.give(attacker, tokens=1, email=f"{attacker}@example.com")
        game.give(victim, points=100, email=f"{victim}@example.com")
        game.time.pass_(milliseconds=1)
        assert game.rob(attacker, victim).status == 200
    return [record for record in stream.poll() if "HEIST#" in str(record["dynamodb"]["Keys"])]


def notifier(game: Game, **options: Any) -> Consumer:
    return Consumer(partial(game.call, "notify_players"), **options)


def publisher(game: Game, **options: Any) -> Consumer:
    return Consumer(partial(game.call, "publish_and_count"), **options)


def assert_all_notified_once(game: Game, count: int) -> None:
    for number in range(count):
        for player_id in (f"attacker-{number}", f"victim-{number}"):
            told = [item for item in game.inbox(player_id) if item.notice.heist_id]
            assert len(told) == 1, player_id
            assert game.ses.by_address[f"{player_id}@example.com"] == 1, player_id


def test_what_the_stream_carries_is_what_was_committed(game: Game) -> None:
    (record,) = robberies(game, 1)
    image = wire.from_wire(record["dynamodb"]["NewImage"])
    event = items.event_from(image)
    assert isinstance(event, Heist)
    assert event == game.heist(event.attempt.id)
    assert items.owed_of(image) == set(Owed)


@pytest.mark.parametrize("deliveries", [1, 2, 5])
def test_however_often_a_batch_is_delivered_everyone_is_notified_once(
    game: Game, deliveries: int
) -> None:
    records = robberies(game, 4)
    consumer = notifier(game, batch_size=3, deliveries=deliveries)
    consumer.deliver(records)
    publisher(game, batch_size=3).deliver(records)
    assert_all_notified_once(game, 4)
    assert consumer.on_failure == []
    assert len(game.bridge.facts) == 4
    game.sweep()
    assert game.marked() == []


def test_a_batch_done_in_parallel_notifies_everyone_once_and_each_player_in_order(
    game: Game, crowd: ThreadPoolExecutor
) -> None:
    game.record_executor = crowd
    records = robberies(game, 4)
    awards = [award("victim-1", f"friend-{number}", name=f"No {number}") for number in range(6)]
    records += [stream_record(items.award_item(one), 100 + n) for n, one in enumerate(awards)]
    consumer = notifier(game, batch_size=20, deliveries=2)
    consumer.deliver(records)
    assert (consumer.invocations, consumer.on_failure) == (2, [])
    assert_all_notified_once(game, 4)
    newest_first = [item.notice.metadata.get("referredUserName") for item in game.inbox("victim-1")]
    assert newest_first == [*(one.referred_name for one in reversed(awards)), None]


def test_events_out_come_at_least_once_and_alike(game: Game) -> None:
    records = robberies(game, 1)
    publisher(game, deliveries=3).deliver(records)
    assert len(game.bridge.facts) == 3
    assert all(event == game.bridge.facts[0] for event in game.bridge.facts)


def test_one_bad_record_among_many_is_parked_and_the_others_are_done(game: Game) -> None:
    good = robberies(game, 3)
    bad = stream_record(items.heist_item(heist(heist_id="bad")), 999)
    bad["dynamodb"]["NewImage"]["pointsStolen"] = {"S": "many"}
    batch = [*good[:2], bad, *good[2:], *[good[0]] * 12]
    consumer = notifier(game, batch_size=20)
    consumer.deliver(batch)
    assert consumer.invocations == 1
    assert consumer.on_failure == []
    assert_all_notified_once(game, 3)
    (letter,) = game.notifier_queue
    assert letter["record"] == bad
    assert letter["reason"]


def test_of_a_hundred_records_one_is_unreadable_and_ninety_nine_are_done(game: Game) -> None:
    awards = [award(f"player-{number}", f"friend-{number}") for number in range(100)]
    records = [
        stream_record(items.award_item(one), number) for number, one in enumerate(awards, start=1)
    ]
    records[57]["dynamodb"]["NewImage"]["createdAt"] = {"S": "yesterday"}
    consumer = notifier(game, batch_size=50)
    consumer.deliver(records)
    assert (consumer.invocations, consumer.on_failure) == (2, [])
    told = [str(item["pk"]) for item in game.everything() if "unread" in item]
    good = [one.referrer_id for one in awards if one is not awards[57]]
    assert sorted(told) == sorted(map(keys.inbox, good))
    assert [letter["record"] for letter in game.notifier_queue] == [records[57]]


def test_a_record_that_fails_for_a_while_is_delivered_again_and_no_other_is_doubled(
    game: Game,
) -> None:
    records = robberies(game, 4)
    failures = iter([True, True])

    def flaky(operation: str, request: Mapping[str, Any]) -> None:
        of_interest = operation == "put_item" and "INBOX#victim-2" in str(request)
        if of_interest and next(failures, False):
            raise LOST

    game.tap.before = flaky
    consumer = notifier(game, batch_size=4)
    consumer.deliver(records)
    assert consumer.on_failure == []
    assert consumer.invocations > 2
    assert_all_notified_once(game, 4)


def test_a_record_that_keeps_failing_delays_no_other_and_is_left_to_the_sweeper(
    game: Game,
) -> None:
    records = robberies(game, 4)

    def broken(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "put_item" and "INBOX#victim-1" in str(request):
            raise LOST

    game.tap.before = broken
    consumer = notifier(game, batch_size=4)
    consumer.deliver(records)
    publisher(game).deliver(records)
    assert consumer.on_failure != []
    for number in (0, 2, 3):
        assert len(game.inbox(f"victim-{number}")) == 1
        assert game.ses.by_address[f"victim-{number}@example.com"] == 1
    assert game.inbox("victim-1") == []

    game.undisturbed()
    game.sweep()
    assert_all_notified_once(game, 4)
    assert game.marked() == []


def test_a_throttled_ses_delays_nothing_else(game: Game) -> None:
    records = robberies(game, 3)
    game.ses.fails(*[client_error("ThrottlingException")] * 6)
    consumer = notifier(game, batch_size=3)
    consumer.deliver(records)
    assert consumer.invocations == 1
    assert all(len(game.inbox(f"victim-{number}")) == 1 for number in range(3))
    game.sweep()
    assert_all_notified_once(game, 3)


def test_a_bus_that_is_down_delays_no_statistics_and_is_left_to_the_sweeper(game: Game) -> None:
    records = robberies(game, 3)
    game.bridge.refused_entries = 1
    consumer = publisher(game, batch_size=3)
    consumer.deliver(records)
    assert (consumer.invocations, consumer.on_failure) == (1, [])
    assert game.bridge.facts == []
    assert [day.succeeded.heists for day in game.statistics_store.days(1, game.time())] == [3]
    game.sweep()
    announced = [detail["heistId"] for kind, detail in game.bridge.facts if "Heist" in kind]
    assert len(set(announced)) == len(announced) == 3
    assert game.marked() == []


def test_statistics_that_cannot_be_kept_delay_no_event_and_are_left_to_the_sweeper(
    game: Game,
) -> None:
    records = robberies(game, 3)

    def broken(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "transact_write_items":
            raise client_error("ValidationException")

    game.tap.before = broken
    consumer = publisher(game, batch_size=3)
    consumer.deliver(records)
    assert (consumer.invocations, consumer.on_failure) == (1, [])
    assert len(game.bridge.facts) == 3
    game.undisturbed()
    game.sweep()
    assert [day.succeeded.heists for day in game.statistics_store.days(1, game.time())] == [3]
    assert game.marked() == []


# A fault at every single call


def crash() -> None:
    raise Crash


def lose() -> None:
    raise LOST


# Ending after a call is ending before the next one.
FAULTS = [("before", crash), ("before", lose), ("after", lose)]


def committed(game: Game) -> Heist:
    """A heist between players with addresses, of which nobody was told."""
    event = heist("a", "b", at=game.time())
    for player_id in ("a", "b"):
        email = Dated(f"{player_id}@example.com", NOW)
        game.store.save_profile(Player(player_id), Profile(email=email), NOW)
    game.put(items.heist_item(event))
    return event


def scenes(
    new_game: Callable[[], Game], moment: str, strike: Callable[[], None]
) -> Iterator[tuple[Game, FaultAt, Heist, Event]]:
    """A game with a heist for each call that telling of it makes; its record, and the fault set."""
    for number in itertools.count(1):
        game = new_game()
        event = committed(game)
        fault = FaultAt(game, number, moment, strike)
        yield game, fault, event, stream_record(items.heist_item(event))
        assert game.marked() == [], fault.operation
        if not fault.operation:
            assert number > 10, "so few calls?"
            return


@pytest.mark.not_on_moto
@pytest.mark.parametrize(("moment", "strike"), FAULTS)
def test_wherever_the_notifier_fails_everyone_is_notified_exactly_once(
    new_game: Callable[[], Game], moment: str, strike: Callable[[], None]
) -> None:
    """One doubtful fault: exactly one inbox item, one or two mails; marker gone in two sweeps."""
    struck = set()
    for game, fault, event, record in scenes(new_game, moment, strike):
        consumer = notifier(game)
        consumer.deliver([record])
        game.undisturbed()
        publisher(game).deliver([record])
        for _ in range(2):
            game.time.at += LEASE
            game.sweep()
        mails = []
        for player_id in (event.attempt.attacker_id, event.attempt.victim_id):
            assert len(game.inbox(player_id)) == 1, fault.operation
            assert game.store.mail_record(event, player_id).state is MailState.SENT
            mails.append(game.ses.by_address[f"{player_id}@example.com"])
        assert sorted(mails) in ([1, 1], [1, 2]), fault.operation
        if fault.operation not in ("send_email", "update_item"):
            assert mails == [1, 1], fault.operation
        assert consumer.on_failure == []
        assert len(game.notifier_queue) == 0
        struck.add(fault.operation)
    assert struck >= {
        "query",
        "put_item",
        "batch_get_item",
        "send_email",
        "update_item",
    }


@pytest.mark.not_on_moto
@pytest.mark.parametrize(("moment", "strike"), FAULTS)
def test_wherever_it_fails_a_heist_and_its_reversal_are_notified_exactly_once_each(
    new_game: Callable[[], Game], moment: str, strike: Callable[[], None]
) -> None:
    """Both in one batch: the second is told beside the first, not instead of it."""
    for game, fault, event, record in scenes(new_game, moment, strike):
        attempt = event.attempt
        undone = reversal(attempt.attacker_id, attempt.victim_id, attempt.id, at=game.time())
        item = items.reversal_item(undone)
        game.undisturbed()
        game.put(item)
        game.tap.before, game.tap.after = fault.before, fault.after
        records = [record, stream_record(item, 2)]
        notifier(game).deliver(records)
        game.undisturbed()
        publisher(game).deliver(records)
        for _ in range(2):
            game.time.at += LEASE
            game.sweep()
        for player_id, first in (
            (attempt.attacker_id, NoticeType.HEIST_SUCCESS),
            (attempt.victim_id, NoticeType.HEIST_VICTIM),
        ):
            told = [item.notice.type for item in game.inbox(player_id)]
            assert sorted(told) == [NoticeType.HEIST_REVERSED, first], fault.operation
            assert 2 <= game.ses.by_address[f"{player_id}@example.com"] <= 3, fault.operation
        published = {kind for kind, detail in game.bridge.facts if detail["heistId"] == attempt.id}
        assert published == {"HeistCommitted", "HeistReversed"}


@pytest.mark.not_on_moto
@pytest.mark.parametrize(("moment", "strike"), FAULTS)
def test_wherever_the_sweeper_fails_the_next_ones_finish(
    new_game: Callable[[], Game], moment: str, strike: Callable[[], None]
) -> None:
    for game, fault, event, _ in scenes(new_game, moment, strike):
        game.time.pass_(minutes=2)
        try:
            game.call("sweep_notifications", {})
        except Exception:  # noqa: BLE001 - what the next sweeps make of it is the question
            pass
        except Crash:
            pass
        game.undisturbed()
        for _ in range(2):
            game.time.at += LEASE
            game.sweep()
        for player_id in (event.attempt.attacker_id, event.attempt.victim_id):
            assert len(game.inbox(player_id)) == 1, fault.operation
            assert 1 <= game.ses.by_address[f"{player_id}@example.com"] <= 2, fault.operation
        published = {detail["heistId"] for _, detail in game.bridge.facts}
        assert published == {event.attempt.id}


def test_two_faults_leave_at_most_two_mails_and_say_so(game: Game) -> None:
    (record,) = robberies(game, 1)
    game.ses.loses_reply(LOST, None, LOST)
    notifier(game, deliveries=3).deliver([record])
    for _ in range(3):
        game.time.at += LEASE
        game.sweep()
    assert sorted(game.ses.by_address.values()) == [1, 2]
    assert [letter["reason"] for letter in game.notifier_queue] == ["MAIL_DOUBTFUL"]


@pytest.mark.not_on_moto
@pytest.mark.parametrize("first", ["notify_players", "sweep_notifications"])
def test_stream_and_sweeper_at_the_same_time_double_nothing(
    new_game: Callable[[], Game], first: str
) -> None:
    """The other one runs as a whole before every single call of the first."""
    (second,) = {"notify_players", "sweep_notifications"} - {first}
    for number in itertools.count(1):
        game = new_game()
        record = stream_record(items.heist_item(committed(game)))
        events: dict[str, Event] = {
            "notify_players": stream_event(record),
            "sweep_notifications": {},
        }
        game.time.pass_(minutes=2)
        calls = itertools.count(1)
        hit: list[str] = []

        def meanwhile(
            operation: str,
            request: Mapping[str, Any],
            game: Game = game,
            calls: "itertools.count[int]" = calls,
            number: int = number,
            hit: list[str] = hit,
            events: dict[str, Event] = events,
        ) -> None:
            if next(calls) == number:
                hit.append(operation)
                game.undisturbed()
                game.call(second, events[second])

        game.tap.before = meanwhile
        game.call(first, events[first])
        game.undisturbed()
        for player_id in ("a", "b"):
            assert len(game.inbox(player_id)) == 1, hit
            assert game.ses.by_address[f"{player_id}@example.com"] == 1, hit
        publisher(game).deliver([record])
        game.sweep()
        assert game.marked() == [], hit
        if not hit:
            assert number > 10
            return
