"""Notifier and publisher under the stream's contract: repeated, cut short, crashed anywhere."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from heist_core import wiring
from heist_core.domain.heist import Heist
from heist_core.domain.mails import MailState
from heist_core.domain.notices import NoticeType
from heist_core.domain.owed import Owed
from heist_core.domain.player import Dated, Player, Profile
from heist_core.domain.reversal import Reversal
from heist_core.storage import items, keys, wire
from heist_core.use_cases.notify_players import LEASE
from tests.builders import NOW, Event, award, heist, reversal, stream_event, stream_record
from tests.fakes import LOST, Crash, client_error
from tests.integration.game import Game
from tests.integration.stream import FAULTS, Consumer, FaultAt, Stream, crash, lose

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
    game: Game, crowd: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "record_executor", lambda: crowd)
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
    game.fails(LOST, "put_item", "INBOX#victim-1")
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
    game.fails(client_error("ValidationException"), "transact_write_items")
    consumer = publisher(game, batch_size=3)
    consumer.deliver(records)
    assert (consumer.invocations, consumer.on_failure) == (1, [])
    assert len(game.bridge.facts) == 3
    game.undisturbed()
    game.sweep()
    assert [day.succeeded.heists for day in game.statistics_store.days(1, game.time())] == [3]
    assert game.marked() == []


# A fault at every single call


def committed(game: Game, number: int) -> tuple[Heist, Reversal]:
    """A heist and its reversal between two players with addresses, of whom nobody was told."""
    parties = f"a{number}", f"b{number}"
    for player_id in parties:
        email = Dated(f"{player_id}@example.com", NOW)
        game.store.save_profile(Player(player_id), Profile(email=email), NOW)
    heist_id = f"{number:032x}"
    robbed = heist(*parties, heist_id, at=game.time())
    return robbed, reversal(*parties, heist_id, at=game.time())


def faults(game: Game, moment: str, strike: Callable[[], None]) -> Iterator[tuple[int, FaultAt]]:
    """One for each call that a test makes meanwhile, which has to leave nothing owed."""
    for number in itertools.count(1):
        fault = FaultAt(game, number, moment, strike)
        game.undisturbed()
        yield number, fault
        assert game.marked() == [], fault.operation
        if not fault.operation:
            assert number > 10, "so few calls?"
            return


def inbox_and_mails(game: Game, fact: Heist) -> Iterator[tuple[list[NoticeType], int]]:
    """Of both players."""
    for player_id in (fact.attempt.attacker_id, fact.attempt.victim_id):
        notices = [item.notice.type for item in game.inbox(player_id)]
        yield sorted(notices), game.ses.by_address[f"{player_id}@example.com"]


def sweep_past_leases(game: Game) -> None:
    game.undisturbed()
    for _ in range(2):
        if game.marked():
            game.time.at += LEASE
            game.sweep()


@pytest.mark.not_on_moto
@pytest.mark.parametrize(("moment", "strike"), FAULTS)
def test_wherever_the_notifier_fails_a_heist_and_its_reversal_are_notified_exactly_once_each(
    game: Game, moment: str, strike: Callable[[], None]
) -> None:
    """Both in one batch. Of one doubtful fault comes one mail more; no marker is left."""
    struck = set()
    for number, fault in faults(game, moment, strike):
        robbed, undone = committed(game, number)
        told = [items.heist_item(robbed), items.reversal_item(undone)]
        for item in told:
            game.put(item)
        records = [stream_record(item, place) for place, item in enumerate(told, 1)]
        consumer = notifier(game)
        fault.set()
        consumer.deliver(records)
        game.undisturbed()
        publisher(game).deliver(records)
        sweep_past_leases(game)
        (attacker, mails), (victim, others) = inbox_and_mails(game, robbed)
        assert attacker == [NoticeType.HEIST_REVERSED, NoticeType.HEIST_SUCCESS], fault.operation
        assert victim == [NoticeType.HEIST_REVERSED, NoticeType.HEIST_VICTIM], fault.operation
        doubtful = fault.operation in ("send_email", "update_item")
        assert mails + others in ((4, 5) if doubtful else (4,)), fault.operation
        for party in (f"a{number}", f"b{number}"):
            assert game.store.mail_record(robbed, party).state is MailState.SENT
            assert game.store.mail_record(undone, party).state is MailState.SENT
        assert consumer.on_failure == []
        struck.add(fault.operation)
    assert {"HeistCommitted", "HeistReversed"} == {kind for kind, _ in game.bridge.facts}
    assert len({(kind, detail["heistId"]) for kind, detail in game.bridge.facts}) == 2 * number
    assert len(game.notifier_queue) == 0
    assert struck >= {"query", "put_item", "batch_get_item", "send_email", "update_item"}


@pytest.mark.not_on_moto
@pytest.mark.parametrize(("moment", "strike"), [("before", crash), ("after", lose)])
def test_wherever_the_sweeper_fails_the_next_ones_finish(
    game: Game, moment: str, strike: Callable[[], None]
) -> None:
    for number, fault in faults(game, moment, strike):
        robbed, _ = committed(game, number)
        game.put(items.heist_item(robbed))
        game.time.pass_(minutes=2)
        fault.set()
        with suppress(Exception, Crash):  # what the next sweeps make of it is the question
            game.call("sweep_notifications", {})
        sweep_past_leases(game)
        for notices, mails in inbox_and_mails(game, robbed):
            assert len(notices) == 1, fault.operation
            assert mails in (1, 2), fault.operation
    assert len({detail["heistId"] for _, detail in game.bridge.facts}) == number


@pytest.mark.not_on_moto
@pytest.mark.parametrize("first", ["notify_players", "sweep_notifications"])
def test_stream_and_sweeper_at_the_same_time_double_nothing(game: Game, first: str) -> None:
    """The other one runs as a whole before every single call of the first."""
    (second,) = {"notify_players", "sweep_notifications"} - {first}
    events: dict[str, Event] = {"sweep_notifications": {}}

    def meanwhile() -> None:
        game.undisturbed()
        game.call(second, events[second])

    for number, fault in faults(game, "before", meanwhile):
        robbed, _ = committed(game, number)
        game.put(items.heist_item(robbed))
        record = stream_record(items.heist_item(robbed))
        events["notify_players"] = stream_event(record)
        game.time.pass_(minutes=2)
        fault.set()
        game.call(first, events[first])
        game.undisturbed()
        for notices, mails in inbox_and_mails(game, robbed):
            assert (len(notices), mails) == (1, 1), fault.operation
        publisher(game).deliver([record])
        game.sweep()
