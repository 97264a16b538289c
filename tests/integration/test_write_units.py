"""What operations cost in capacity units, counted by an engine that reports them with its indexes.

moto reports none for transactions, and DynamoDB Local none per index; so this runs on MiniStack.
"""

from collections.abc import Iterator

import pytest

from benchmarks import assumptions
from benchmarks.capacity import usual_heist
from benchmarks.write_units import Meter, metered
from heist_core import wiring
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import notices_of
from heist_core.storage import items, keys
from tests.builders import (
    api_event,
    award,
    earned,
    heist,
    stream_event,
    stream_record,
)
from tests.integration.game import Game

pytestmark = pytest.mark.parametrize("engine", ["ministack"], indirect=True)

BOARD = 3  # of a robber without points before: a new place, and the victim's old and new one
HEIST = 11  # five items in a transaction are 10, the owed marker's index entry 1
AWARD = 6  # two items in a transaction are 4, the index entries of marker and operators 2
HEIST_COUNTED = 9  # record, day, robber, distribution in a transaction; place among robbers 1
AWARD_COUNTED = 4  # robber and distribution in a transaction
REFUSAL_COUNTED = 5  # record and day in a transaction; the marker's index entry 1
BEGUN = 1  # an inbox, by its first notice
LINE = 1  # of a digest: how far the inbox waits for it
NOTICE = 3  # notice 1, inbox item 1, its entry in the unread index 1


@pytest.fixture
def meter(game: Game) -> Iterator[Meter]:
    with metered(game.client) as meter:
        yield meter


def players(game: Game) -> None:
    game.give("alice", tokens=2, name="Alice", email="alice@example.com")
    game.give("bob", points=800, name="Bob", email="bob@example.com")


def test_all_that_a_usual_heist_causes(game: Game, meter: Meter) -> None:
    """The budget's figure, and that of the cost model."""
    assert usual_heist(game, meter) == assumptions.NOW.heist
    assert sum(meter.reads.values()) <= assumptions.NOW.heist_reads + 2  # settings, read anew


def test_a_heist_an_award_and_points(game: Game, meter: Meter) -> None:
    players(game)
    meter.take()
    assert game.rob("alice", "bob").status == 200
    assert meter.writes == {"TransactWriteItems": HEIST + BOARD, "UpdateItem": 1}  # rate counter
    meter.take()
    assert game.store.commit_award(award("alice", "new-friend"))
    assert meter.take() == (AWARD, 0, 1)
    game.earn(earned("bob", 5, "order-77"))
    assert meter.take() == (assumptions.NOW.points_writes, 2, 2)


def test_refused_and_repeated_attempts_are_cheap(game: Game, meter: Meter) -> None:
    players(game)
    game.rob("alice", "bob", "key")
    meter.take()
    assert game.rob("alice", "bob", "key").replayed
    assert meter.take()[0] <= 1
    assert game.rob("alice", "nobody").status == 400
    assert (
        meter.take()[0] == 4
    )  # the rate counter; the record, with an entry of marker and operators


def test_a_notice_with_its_inbox_item(game: Game, meter: Meter) -> None:
    for event, units in ((heist(), BEGUN + NOTICE), (heist(heist_id="f" * 32), NOTICE)):
        for notice in notices_of(event):
            assert game.store.deliver_notice(event, notice, game.time()).put
            assert meter.take()[0] == units


def test_notifying_both_of_a_heist_and_settling_it(game: Game, meter: Meter) -> None:
    """Two notices; for each mail a result; the marker."""
    players(game)
    game.rob("alice", "bob")
    (item,) = (item for item in game.everything() if item["sk"] == "HEIST")
    meter.take()
    game.call("notify_players", stream_event(stream_record(item)))
    writes, _, calls = meter.take()
    assert writes == 2 * (BEGUN + NOTICE) + 2 + 2  # a wrong guess at being the last costs one
    assert calls == 2 * 4 + 1 + 2 + 2
    game.call("publish_and_count", stream_event(stream_record(item)))
    writes, reads, calls = meter.take()
    assert writes == HEIST_COUNTED + 1  # the marker goes with it; its index entry
    assert (reads, calls) == (4, 3)  # AWS charges for the robber who is not there, too


def test_counting_a_refused_heist_and_a_robbers_second(game: Game, meter: Meter) -> None:
    players(game)
    game.rob("alice", "bob")
    game.sweep()
    assert game.rob("alice", "bob").status == 400
    (item,) = (item for item in game.everything() if item.get("status") == "FAILED")
    meter.take()
    game.call("publish_and_count", stream_event(stream_record(item)))
    assert meter.take()[0] == REFUSAL_COUNTED
    again = heist(heist_id="f" * 32, at=game.time())
    game.put({**items.heist_item(again), "owed": {"statistics"}})
    meter.take()
    wiring.keep_statistics()([again])
    assert (
        meter.take()[0] == HEIST_COUNTED + 1 - 2 + 1
    )  # the place moves, no tokens did; the marker goes


def test_a_daily_notice_and_its_digest(game: Game, meter: Meter) -> None:
    """One write a notice, as an instant mail's result is; the first is put into the index."""
    game.give("bob", points=800, name="Bob", email="bob@example.com")
    body = {"email": {"robbed": "daily"}}
    game.request("manage_preferences", api_event("manage_preferences", "bob", body=body))
    game.store.await_digest("bob", 1, game.time())
    meter.take()
    for number, units in ((1, 0), (2, LINE), (3, LINE)):
        event = heist("alice", "bob", f"{number:032x}", at=game.time())
        notice = notices_of(event)[1]
        daily = MailRecord(MailState.DAILY)
        assert game.store.deliver_notice(event, notice, game.time(), daily).put
        meter.take()
        if units:
            game.store.await_digest("bob", number, game.time())
            assert meter.take()[0] == units
    assert game.call("send_digests", {"source": "aws.events"})["sent"] == 1
    writes, reads, _ = meter.take()
    assert writes == assumptions.DIGEST_WRITES - 1
    assert reads <= assumptions.DIGEST_READS
    game.store.await_digest("bob", 4, game.time())
    assert meter.take()[0] == LINE + 1 + 1  # the guess that today's did not go; into the index
    game.store.await_digest("bob", 5, game.time())
    assert meter.take()[0] == LINE


def test_a_page_of_the_inbox_costs_what_it_shows(game: Game, meter: Meter) -> None:
    for number in range(30):
        event = award("alice", f"friend-{number}")
        game.store.deliver_notice(event, notices_of(event)[0], game.time())
    meter.take()
    game.request("list_notifications", api_event("list_notifications", query={"limit": "10"}))
    _, reads, calls = meter.take()
    assert calls == 2
    assert reads <= 4


def test_the_badge_and_a_mark_cost_the_same_whatever_is_unread(game: Game, meter: Meter) -> None:
    for number in range(30):
        event = award("alice", f"friend-{number}")
        game.store.deliver_notice(event, notices_of(event)[0], game.time())
    game.request("count_unread", api_event("count_unread"))
    meter.take()
    game.request("count_unread", api_event("count_unread"))
    assert meter.take() == (0, assumptions.NOW.poll_reads, 1)
    newest = game.inbox("alice")[0].id
    meter.take()
    body = {"notificationIds": [newest]}
    game.request("mark_notifications_read", api_event("mark_notifications_read", body=body))
    writes, reads, _ = meter.take()
    assert (writes, reads) == (assumptions.NOW.mark_writes, assumptions.NOW.mark_reads - 1)


@pytest.mark.parametrize("notified_first", [True, False])
def test_notifying_and_counting_an_award(game: Game, meter: Meter, notified_first: bool) -> None:
    """Whoever comes first takes off the marker what is done; the other takes it and its entry."""
    players(game)
    new = award("alice", "new-friend")
    assert game.store.commit_award(new)
    record = stream_event(stream_record(items.award_item(new)))
    units = {"notify_players": BEGUN + NOTICE, "publish_and_count": AWARD_COUNTED}
    meter.take()
    for consumer, marker in zip(sorted(units, reverse=not notified_first), (1, 2), strict=True):
        game.call(consumer, record)
        assert meter.take()[0] == units[consumer] + marker
    assert "owedBucket" not in game.stored(keys.referral("new-friend"))
