"""What is owed stays visible until it is done, and the sweeper does what the stream did not."""

import itertools
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from heist_core import wiring
from heist_core.domain.errors import Contention, Unavailable
from heist_core.domain.facts import Event, Fact
from heist_core.domain.heist import Heist
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.owed import MAIL_AGAIN, Owed
from heist_core.storage import items, keys, wire
from heist_core.use_cases.sweep_notifications import GRACE
from tests.builders import HOUR, NOW, award, heist, reversal
from tests.fakes import LOST, Crash, client_error
from tests.integration.game import Game

ALL = frozenset(Owed)


OF_EACH_KIND = pytest.mark.parametrize(
    ("fact", "record"),
    [
        pytest.param(heist(), items.heist_item(heist()), id="heist"),
        pytest.param(reversal(), items.reversal_item(reversal()), id="reversal"),
        pytest.param(award(), items.award_item(award()), id="award"),
    ],
)


def owes_again(game: Game, fact: Fact) -> None:
    """As if a mail had been asked for again."""
    key = items.subject_key(fact)
    game.change(key, {**items.owing(key, game.time()), "owed": {"mail#1"}})


@pytest.fixture
def committed(game: Game) -> Heist:
    """A heist of alice on bob, both with addresses, of which nobody has been told."""
    game.give("alice", points=1000, tokens=1, name="Alice", email="alice@example.com")
    game.give("bob", points=800, name="Bob", email="bob@example.com")
    game.sweep()
    game.bridge.published.clear()
    outcome = game.heist(game.rob("alice", "bob").body["heistId"])
    assert isinstance(outcome, Heist)
    assert [owed for _, owed in game.owed()] == [ALL]
    return outcome


# The marker


def test_a_committed_heist_and_an_award_owe_notices_an_event_and_statistics(game: Game) -> None:
    game.give("alice", tokens=1)
    game.give("bob", points=800)
    game.rob("alice", "bob")
    assert [owed for _, owed in game.owed()] == [ALL, ALL]


def test_points_and_profiles_owe_nothing_and_refusals_statistics(game: Game) -> None:
    game.give("alice", points=1, name="Alice")
    assert game.owed() == []
    game.rob("alice", "bob")
    assert [owed for _, owed in game.owed()] == [frozenset({Owed.STATISTICS})]


@pytest.mark.parametrize("order", list(itertools.permutations(Owed)))
def test_the_consumers_in_any_order_leave_no_marker(
    game: Game, committed: Heist, order: tuple[Owed, ...]
) -> None:
    for done, owed in enumerate(order):
        assert [left for _, left in game.owed()] == [frozenset(order[done:])]
        game.store.settle(committed, owed)
    assert game.marked() == []


def test_a_repeated_consumer_settles_only_its_own(game: Game, committed: Heist) -> None:
    for _ in range(3):
        game.store.settle(committed, Owed.EVENT, Owed.STATISTICS)
    assert [owed for _, owed in game.owed()] == [frozenset({Owed.NOTICES})]


@pytest.mark.parametrize("skip", [0, 1])
def test_the_other_consumer_between_any_two_steps_leaves_no_marker(
    game: Game, committed: Heist, skip: int
) -> None:
    def other() -> None:
        game.store.settle(committed, Owed.NOTICES)

    game.once_before("update_item", other, skip=skip)
    game.store.settle(committed, Owed.EVENT, Owed.STATISTICS)
    game.store.settle(committed, Owed.NOTICES)
    assert game.marked() == []


@OF_EACH_KIND
def test_a_debt_that_comes_back_between_the_two_steps_is_not_forgotten(
    game: Game, fact: Fact, record: Mapping[str, object]
) -> None:
    game.put(record)
    game.store.settle(fact, Owed.EVENT, Owed.STATISTICS)
    game.once_before("update_item", lambda: owes_again(game, fact), skip=1)
    game.store.settle(fact, Owed.NOTICES)
    assert [owed for _, owed in game.owed()] == [frozenset({"mail#1"})]


def test_a_crash_between_the_two_steps_is_cleaned_up_by_the_sweeper(
    game: Game, committed: Heist
) -> None:
    game.store.settle(committed, Owed.EVENT, Owed.STATISTICS)

    def crash() -> None:
        raise Crash

    game.once_before("update_item", crash, skip=1)
    with pytest.raises(Crash):
        game.store.settle(committed, Owed.NOTICES)
    game.undisturbed()
    assert [owed for _, owed in game.owed()] == [frozenset()]
    assert game.sweep() == {"settled": 1, "waiting": 0, "parked": 0}
    assert game.marked() == []
    assert len(game.ses) == 0


@OF_EACH_KIND
def test_settling_setting_aside_and_putting_back_create_no_record(
    game: Game, fact: Fact, record: Mapping[str, object]
) -> None:
    game.store.settle(fact, Owed.EVENT)
    game.store.set_aside(keys.key_of(record))
    game.store.put_back(keys.key_of(record), NOW)
    assert game.everything() == []


@pytest.mark.parametrize("event", [heist(), reversal()])
def test_a_mail_is_asked_for_again_together_with_its_marker_or_not_at_all(
    game: Game, event: Event
) -> None:
    seen = MailRecord(MailState.FAILED)
    assert not game.store.ask_mail_again(event, "alice", seen, "mail#1", NOW)
    assert game.everything() == []
    game.put({**keys.notice(items.subject_key(event), "alice"), "mailState": "FAILED"})
    before = game.everything()
    with pytest.raises(Contention):
        game.store.ask_mail_again(event, "alice", seen, "mail#1", NOW)
    assert game.everything() == before
    game.put(items.subject_key(event))
    assert game.store.ask_mail_again(event, "alice", seen, "mail#1", NOW)
    assert [owed for _, owed in game.owed()] == [frozenset({"mail#1"})]


def test_setting_aside_what_is_settled_brings_no_marker_back(game: Game, committed: Heist) -> None:
    for owed in Owed:
        game.store.settle(committed, owed)
    game.store.set_aside(items.subject_key(committed))
    assert game.marked() == []


@OF_EACH_KIND
def test_what_is_put_back_waits_behind_others_and_what_is_set_aside_for_nobody(
    game: Game, fact: Fact, record: Mapping[str, object]
) -> None:
    key = keys.key_of(record)
    game.put(record)
    game.store.put_back(key, NOW + HOUR)
    assert list(game.store.owed_before(NOW + HOUR)) == []
    assert [pk for pk, _ in game.owed()] == [key["pk"]]
    game.store.set_aside(key)
    assert game.owed() == []
    assert [item["owedBucket"] for item in game.marked()] == [keys.SET_ASIDE_BUCKET]
    game.store.settle(fact, *items.owed_of(record))
    assert game.marked() == []


# The sweeper


def test_with_the_stream_cut_off_two_sweeps_settle_everything(game: Game) -> None:
    attackers = [f"attacker-{number}" for number in range(5)]
    for number, attacker in enumerate(attackers):
        game.give(attacker, tokens=1, email=f"{attacker}@example.com")
        game.give(f"victim-{number}", points=100, email=f"victim-{number}@example.com")
        assert game.rob(attacker, f"victim-{number}").status == 200
    for _ in range(2):
        game.sweep()
    assert game.marked() == []
    for number, attacker in enumerate(attackers):
        assert [item.notice.type.value for item in game.inbox(attacker)] in (
            ["HEIST_SUCCESS", "TOKEN_EARNED"],
            ["TOKEN_EARNED", "HEIST_SUCCESS"],
        )
        assert len(game.inbox(f"victim-{number}")) == 1
    assert set(game.ses.by_address.values()) == {1}
    assert len(game.ses) == 10
    kinds = [kind for kind, _ in game.bridge.facts]
    assert sorted(kinds) == ["HeistCommitted"] * 5 + ["TokenAwarded"] * 5


def test_the_sweeper_gives_the_stream_a_minute(game: Game, committed: Heist) -> None:
    game.time.at += GRACE
    assert game.call("sweep_notifications", {})["settled"] == 0
    game.time.pass_(milliseconds=1)
    assert game.call("sweep_notifications", {})["settled"] == 1


def test_an_operator_may_sweep_without_grace(game: Game, committed: Heist) -> None:
    game.time.pass_(milliseconds=1)
    assert game.call("sweep_notifications", {"graceSeconds": 0})["settled"] == 1


def test_the_sweeper_stops_in_time_and_goes_on_next_time(game: Game) -> None:
    game.give("alice", tokens=5)
    game.time.pass_(minutes=2)
    turns = iter([False, False, True])
    swept = wiring.sweep_notifications()(lambda: next(turns))
    assert (swept.settled, len(game.owed())) == (2, 3)
    assert game.sweep()["settled"] == 3


def test_one_record_that_fails_stops_no_other(game: Game) -> None:
    game.give("alice", tokens=3)
    game.bridge.fails(client_error("InternalException", 500))
    assert game.sweep() == {"settled": 2, "waiting": 1, "parked": 0}
    assert game.sweep() == {"settled": 1, "waiting": 0, "parked": 0}
    assert len(game.inbox("alice")) == 3


def test_the_last_to_settle_takes_the_marker_away_in_one_write(
    game: Game, committed: Heist
) -> None:
    game.store.settle(committed, Owed.EVENT, Owed.STATISTICS)
    sent: list[str] = []
    game.tap.before = lambda operation, request: sent.append(operation)
    game.store.settle(committed, Owed.NOTICES, last=True)
    assert sent == ["update_item"]
    assert game.marked() == []


def test_who_wrongly_believes_to_be_the_last_leaves_the_rest_owed(
    game: Game, committed: Heist
) -> None:
    game.store.settle(committed, Owed.NOTICES, last=True)
    assert [owed for _, owed in game.owed()] == [{Owed.EVENT, Owed.STATISTICS}]


def test_a_mail_asked_for_again_while_a_heist_is_counted_stays_owed(
    game: Game, committed: Heist
) -> None:
    game.store.settle(committed, Owed.NOTICES)

    def ask() -> None:
        key = wire.to_wire(keys.heist(committed.heist_id))
        game.client.update_item(
            TableName=game.table,
            Key=key,
            UpdateExpression="ADD owed :again",
            ExpressionAttributeValues={":again": {"SS": ["mail#1"]}},
        )

    game.once_before("transact_write_items", ask)
    counted = wiring.keep_statistics()([committed], published={committed.heist_id})
    assert counted == {committed.heist_id}
    assert [owed for _, owed in game.owed()] == [{"mail#1"}]


def test_a_defect_in_one_record_is_loud_and_stops_no_other(game: Game) -> None:
    for number in range(20):
        game.store.commit_award(award("alice", f"friend-{number}", at=game.time()))

    game.fails(client_error("ValidationException"), "put_item", "REFERRAL#friend-7")
    with pytest.raises(ClientError):
        game.sweep()
    assert [key for key, _ in game.owed()] == ["REFERRAL#friend-7"]
    game.undisturbed()
    assert game.sweep()["settled"] == 1


def test_players_are_notified_though_the_bus_is_down(game: Game, committed: Heist) -> None:
    game.bridge.fails(client_error("InternalException", 500))
    assert game.sweep()["waiting"] == 1
    assert len(game.inbox("alice")) == 2
    assert game.sweep()["settled"] == 1
    assert [kind for kind, _ in game.bridge.facts] == ["HeistCommitted"]


@pytest.mark.parametrize(
    "damage",
    [
        {"status": "PENDING"},
        {"pointsStolen": "forty"},
        {"createdAt": "yesterday"},
        {"owed": {"money"}},
        {"attackerId": None},
    ],
)
def test_a_record_that_cannot_be_read_is_set_aside_as_a_letter_for_each_consumer(
    game: Game, committed: Heist, damage: Mapping[str, object]
) -> None:
    key = items.subject_key(committed)
    item = game.stored(key)
    game.put({**item, **damage})
    game.give("carol", tokens=1)
    assert game.sweep() == {"settled": 1, "waiting": 0, "parked": 1}
    assert [(letter["consumer"], letter["key"]) for letter in game.notifier_queue] == [
        ("notify_players", key),
        ("publish_and_count", key),
    ]
    assert all(letter["reason"] for letter in game.notifier_queue)
    assert game.sweep() == {"settled": 0, "waiting": 0, "parked": 0}
    assert len(game.notifier_queue) == 2


def test_what_cannot_be_parked_stays_where_it_is(game: Game, committed: Heist) -> None:
    game.change(items.subject_key(committed), {"status": "PENDING"})
    game.notifier_queue.fails(client_error("AccessDenied", 403))
    assert game.sweep()["parked"] == 0
    assert game.sweep()["parked"] == 1


def test_a_doubtful_mail_is_sent_again_once_and_then_parked_with_a_letter(
    game: Game, committed: Heist
) -> None:
    game.ses.loses_reply(LOST, None, LOST)
    game.sweep()
    game.time.pass_(minutes=15)
    game.sweep()
    game.time.pass_(minutes=15)
    assert game.sweep()["settled"] == 1
    assert game.ses.by_address == {"alice@example.com": 2, "bob@example.com": 1}
    assert game.store.mail_record(committed, "alice").state is MailState.PARKED
    assert [letter["reason"] for letter in game.notifier_queue] == ["MAIL_DOUBTFUL"]
    assert game.marked() == []


def test_records_that_wait_starve_no_other(game: Game) -> None:
    """SES is down, so mails wait; a notice that the stream lost is not behind them."""
    for number in range(8):
        game.give(f"attacker-{number}", tokens=1, email=f"attacker-{number}@example.com")
        game.give(f"victim-{number}", points=100)
        assert game.rob(f"attacker-{number}", f"victim-{number}").status == 200
    game.ses.fails(*[client_error("SendingPausedException")] * 100)
    assert game.sweep()["waiting"] == 8
    friends = (f"friend-{number}" for number in range(1000))
    last = (one for one in friends if keys.owed_bucket(keys.referral(one)) == keys.OWED_BUCKETS[-1])
    game.store.commit_award(award("alice", next(last), at=game.time()))
    for _ in range(3):
        game.time.pass_(minutes=5)
        turns = iter([False] * 4 + [True])
        wiring.sweep_notifications()(turns.__next__)
    assert len(game.inbox("alice")) == 1
    assert len(game.owed()) == 8


# A mail again, because an operator asked for it


def resend(game: Game, heist_id: str, recipient_id: str, kind: str = "HEIST_SUCCESS") -> Any:
    event = {"resend": {"heistId": heist_id, "recipientId": recipient_id, "type": kind}}
    return game.call("sweep_notifications", event)


def test_a_mail_that_failed_is_sent_when_asked_for(game: Game, committed: Heist) -> None:
    game.ses.fails(client_error("MessageRejected"))
    game.sweep()
    assert game.store.mail_record(committed, "alice").state is MailState.FAILED
    assert resend(game, committed.attempt.id, "alice") == {"settled": True}
    assert game.ses.by_address == {"alice@example.com": 1, "bob@example.com": 1}
    assert game.marked() == []
    assert len(game.inbox("alice")) == 2


def test_a_mail_of_a_reversal_is_sent_again_as_such(game: Game, committed: Heist) -> None:
    game.sweep()
    undone = game.reverse(committed.attempt.id).reversal
    assert resend(game, committed.attempt.id, "bob", "HEIST_VICTIM") == {"settled": True}
    assert len(game.ses) == 2
    game.ses.fails(None, client_error("MessageRejected"))
    game.sweep()
    (letter,) = game.notifier_queue
    assert game.store.mail_record(undone, "bob").state is MailState.FAILED
    assert resend(game, letter["heistId"], letter["recipientId"], letter["type"]) == {
        "settled": True
    }
    assert [mail.subject for mail in game.ses if mail.to == "bob@example.com"] == [
        "You were robbed: -40 points",
        "A heist on you was reversed: +40 points",
    ]
    assert resend(game, "nothing", "bob", "HEIST_REVERSED") == {"settled": False}
    assert game.marked() == []


def test_a_mail_that_was_sent_is_not_sent_again_though_asked_for(
    game: Game, committed: Heist
) -> None:
    game.sweep()
    assert resend(game, committed.attempt.id, "alice") == {"settled": True}
    assert game.ses.by_address == {"alice@example.com": 1, "bob@example.com": 1}


def test_a_mail_asked_for_that_fails_again_stays_owed_for_the_sweeper(
    game: Game, committed: Heist
) -> None:
    game.ses.fails(client_error("MessageRejected"), None, client_error("ThrottlingException"))
    game.sweep()
    assert resend(game, committed.attempt.id, "alice") == {"settled": False}
    (entry,) = game.owed()[0][1]
    assert entry.startswith(MAIL_AGAIN)
    assert game.sweep()["settled"] == 1
    assert game.ses.by_address["alice@example.com"] == 1


@pytest.mark.parametrize("meanwhile", ["the stream's notifier", "a sweep"])
def test_a_mail_asked_for_while_others_settle_the_heist_stays_owed(
    game: Game, committed: Heist, meanwhile: str
) -> None:
    """They saw the mail as failed; what they settle is what they saw, not what was asked since."""
    game.ses.fails(client_error("MessageRejected"))
    game.sweep()
    owes_again(game, committed)
    game.ses.fails(*[client_error("ThrottlingException")] * 2)
    answers = []

    def ask() -> None:
        game.undisturbed()
        answers.append(resend(game, committed.attempt.id, "alice"))

    game.once_before("update_item", ask)
    if meanwhile == "a sweep":
        game.sweep()
    else:
        wiring.notify_players()(committed)
    assert answers == [{"settled": False}]
    assert game.store.mail_record(committed, "alice").state is MailState.PENDING
    for _ in range(2):
        game.sweep()
    assert game.ses.by_address == {"alice@example.com": 1, "bob@example.com": 1}
    assert game.marked() == []


@pytest.mark.parametrize("heist_id", ["nothing", ""])
def test_a_mail_of_no_heist_is_not_settled(game: Game, heist_id: str) -> None:
    assert resend(game, heist_id, "alice") == {"settled": False}


def test_a_mail_of_a_refused_heist_is_not_settled(game: Game) -> None:
    game.rob("alice", "bob", "key-1")
    refused = next(item for item in game.everything() if item["sk"] == "HEIST")
    assert resend(game, str(refused["heistId"]), "alice") == {"settled": False}


# Where the store fails


@pytest.mark.parametrize(
    "call",
    [
        lambda game: game.sweep(),
        lambda game: resend(game, "h1", "alice"),
    ],
)
def test_a_sweep_without_storage_fails_loudly(game: Game, call: Callable[[Game], object]) -> None:
    game.fails(LOST)
    with pytest.raises(Unavailable):
        call(game)


def test_records_owed_in_every_bucket_are_found(game: Game) -> None:
    for number in range(40):
        game.store.commit_award(award("alice", f"friend-{number}"))
    found = game.store.owed_before(NOW + timedelta(seconds=1))
    buckets = {str(record.item["owedBucket"]) for record in found}
    assert buckets == set(keys.OWED_BUCKETS)
