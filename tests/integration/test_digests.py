"""The daily digest: one mail a day, nothing in it twice, nothing lost, whatever happens."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from heist_core import wiring
from heist_core.domain.digests import Digest, slot
from heist_core.domain.errors import Unavailable
from heist_core.domain.mails import MailState
from heist_core.domain.preferences import email_choices
from heist_core.storage import items, keys
from heist_core.storage.digests import DigestStore
from heist_core.use_cases.notify_players import LEASE
from tests.builders import api_event, award, heist, reversal
from tests.fakes import LOST, Crash, SentMail, client_error
from tests.integration.game import Game
from tests.integration.stream import FAULTS, FaultAt, crash

NIGHT = {"source": "aws.events"}
ALL_DAILY = {"robbed": "daily", "success": "daily", "reversed": "daily", "token": "daily"}
TODAY = date(2026, 11, 22)


def choose(game: Game, player_id: str, **email: str) -> None:
    answer = game.request(
        "manage_preferences", api_event("manage_preferences", player_id, body={"email": email})
    )
    assert answer.status == 200, answer


@pytest.fixture
def bob(game: Game) -> str:
    """Wants to hear of everything once a day. It is noon: today's digests may go."""
    game.give("bob", points=800, name="Bob", email="bob@example.com")
    choose(game, "bob", **ALL_DAILY)
    return "bob"


def robbed(game: Game, number: int = 1, victim: str = "bob") -> None:
    """Somebody without an address robbed them: they are notified."""
    wiring.notify_players()(
        heist("alice", victim, f"{number:032x}", attacker_name=f"Robber {number}", at=game.time())
    )


def send(game: Game) -> Any:
    return game.call("send_digests", NIGHT)


def state(game: Game, player_id: str = "bob") -> Digest:
    return DigestStore(game.gateway).state(player_id)


def lines(mail: SentMail) -> list[str]:
    """Of a digest, what it tells of each notice."""
    return [line for line in mail.text.splitlines() if "Robber" in line]


def told(game: Game, address: str = "bob@example.com") -> list[list[str]]:
    """Which robbers each digest names, newest first."""
    return [
        [line.partition("“")[2].partition("”")[0] for line in lines(mail)]
        for mail in game.ses
        if mail.to == address
    ]


def tomorrow(game: Game, hour: int = 12) -> None:
    game.time.at = (game.time.at + timedelta(days=1)).replace(hour=hour, minute=0)


# What it holds


def test_daily_notices_of_every_kind_come_in_one_mail(game: Game, bob: str) -> None:
    game.give("dora", name="Dora")
    events = (
        heist("alice", "bob", "1" * 32, attacker_name="Alice", stolen=40, at=game.time()),
        heist("bob", "carol", "2" * 32, victim_name="Carol", stolen=7, at=game.time()),
        reversal("alice", "bob", "3" * 32, attacker_name="Alice", at=game.time()),
        award("bob", "dora", "Dora", at=game.time()),
    )
    for event in events:
        assert wiring.notify_players()(event).settled
    assert len(game.ses) == 0
    assert len(game.inbox("bob")) == 4
    assert send(game) == {"sent": 1, "waiting": 0}
    (mail,) = game.ses
    assert (mail.to, mail.subject) == ("bob@example.com", "Your day: 4 messages")
    assert [line for line in mail.text.splitlines()[4:13] if line] == [
        "Robbed: 1 time, -40 points",
        "Heists: 1, +7 points",
        "Heists reversed: 1",
        "Heist Tokens earned: 1",
        "Unread in the app: 4 of 4",
        "2026-11-22 12:00 UTC: You earned a Heist Token! “Dora” joined using your referral code.",
        "2026-11-22 12:00 UTC: A heist on you was reversed: you got 40 points back.",
        "2026-11-22 12:00 UTC: Success! You pulled a heist on “Carol” and stole 7 points!",
    ]
    assert send(game) == {"sent": 0, "waiting": 0}


def test_it_shows_twenty_and_says_how_many_more_and_how_many_are_unread(
    game: Game, bob: str
) -> None:
    for number in range(1, 24):
        robbed(game, number)
    read = [item.id for item in game.inbox("bob")[:3]]
    body = {"notificationIds": read}
    event = api_event("mark_notifications_read", "bob", body=body)
    assert game.request("mark_notifications_read", event).status == 200
    assert send(game)["sent"] == 1
    (mail,) = game.ses
    assert told(game) == [[f"Robber {number}" for number in range(23, 3, -1)]]
    assert "… and 3 more" in mail.text
    assert "Robbed: 23 times, -920 points" in mail.text
    assert "Unread in the app: 20 of 23" in mail.text


def test_instant_mails_are_not_in_it_and_daily_ones_not_sent_at_once(game: Game) -> None:
    game.give("bob", points=800, name="Bob", email="bob@example.com")
    choose(game, "bob", success="daily")
    robbed(game)
    wiring.notify_players()(heist("bob", "carol", "2" * 32, at=game.time()))
    assert [mail.subject for mail in game.ses] == ["You were robbed: -40 points"]
    send(game)
    assert [mail.subject for mail in game.ses][1:] == ["Your day: 1 message"]


def test_the_operators_default_makes_mails_daily_but_not_of_tokens(game: Game) -> None:
    game.give("bob", points=800, email="bob@example.com")
    game.restart(HEIST_EMAIL_DEFAULT="daily")
    robbed(game)
    wiring.notify_players()(award("bob", "dora", at=game.time()))
    assert len(game.ses) == 0
    assert send(game)["sent"] == 1
    assert next(iter(game.ses)).subject == "Your day: 1 message"
    assert email_choices({}, game.settings.current)["token"] == "off"


def test_names_of_players_who_are_being_erased_are_left_out(game: Game, bob: str) -> None:
    game.give("alice", name="Alice")
    robbed(game)
    game.change(keys.player("alice"), {"erasedAt": "2026-11-22T12:00:00.000Z"})
    send(game)
    (mail,) = game.ses
    assert "Robber" not in mail.text
    assert "Someone just pulled a heist on you" in mail.text


def test_an_inbox_item_is_the_same_whatever_its_player_chose(game: Game) -> None:
    found = []
    for player_id, choice in (("ann", "instant"), ("ben", "daily"), ("cid", "off")):
        game.give(player_id, email=f"{player_id}@example.com")
        choose(game, player_id, robbed=choice)
        robbed(game, victim=player_id)
        (item,) = (
            item
            for item in game.everything()
            if item["pk"] == f"INBOX#{player_id}" and "unread" in item
        )
        found.append({name: item[name] for name in item.keys() - {"pk", "tag", "recipientId"}})
    assert found[0] == found[1] == found[2]


# When it goes


def test_it_goes_from_the_players_place_in_the_digest_hour_on(game: Game, bob: str) -> None:
    place = slot("bob", TODAY) + timedelta(hours=8)
    assert (
        timedelta(0)
        <= place - datetime.combine(TODAY, datetime.min.time(), place.tzinfo)
        < (timedelta(hours=9))
    )
    game.time.at = place.replace(hour=0, minute=0, second=0)
    robbed(game)
    game.time.at = place - timedelta(seconds=1)
    assert send(game)["sent"] == 0
    game.time.at = place
    assert send(game)["sent"] == 1


def test_places_are_spread_over_an_hour() -> None:
    minutes = [slot(f"player-{number}", TODAY).minute for number in range(6000)]
    counts = [minutes.count(minute) for minute in range(60)]
    assert min(counts) > 60
    assert max(counts) < 140


def test_the_digest_hour_may_be_changed_while_digests_wait(game: Game, bob: str) -> None:
    game.restart(HEIST_DIGEST_HOUR_UTC=20)
    robbed(game)
    assert send(game)["sent"] == 0
    game.set_settings(HEIST_DIGEST_HOUR_UTC=3)
    game.settings_are_due()
    assert send(game)["sent"] == 1


def test_what_comes_after_todays_digest_waits_for_tomorrows(game: Game, bob: str) -> None:
    robbed(game, 1)
    send(game)
    robbed(game, 2)
    game.time.pass_(hours=11)
    robbed(game, 3)
    assert send(game)["sent"] == 0
    tomorrow(game, hour=7)
    assert send(game)["sent"] == 0
    tomorrow(game)
    game.time.pass_(days=-1)
    assert send(game)["sent"] == 1
    assert told(game) == [["Robber 1"], ["Robber 3", "Robber 2"]]
    assert state(game).due_since is None


def test_what_was_due_at_the_end_of_a_day_waits_for_the_hour_of_the_next(
    game: Game, bob: str
) -> None:
    game.time.at = game.time.at.replace(hour=23, minute=59, second=59)
    robbed(game)
    game.time.pass_(seconds=1)
    assert send(game)["sent"] == 0
    game.time.at = game.time.at.replace(hour=12)
    assert send(game)["sent"] == 1
    game.time.pass_(hours=11.9)
    robbed(game, 2)
    assert send(game)["sent"] == 0


# What its player decides meanwhile


def test_what_was_switched_off_meanwhile_is_not_told(game: Game, bob: str) -> None:
    robbed(game)
    choose(game, "bob", robbed="off")
    assert send(game)["sent"] == 0
    assert state(game).mail.state is MailState.SUPPRESSED
    choose(game, "bob", robbed="daily")
    robbed(game, 2)
    send(game)
    assert told(game) == [["Robber 2"]]


def test_who_opts_out_gets_no_digest(game: Game, bob: str) -> None:
    robbed(game)
    seen = game.player("bob")
    opted_out = seen.profile.email_opt_out.updated(True, game.time())
    profile = replace(seen.profile, email_opt_out=opted_out)
    game.store.save_profile(seen, profile, game.time())
    assert send(game)["sent"] == 0
    assert len(game.ses) == 0
    assert state(game).due_since is None


def test_what_waits_is_told_also_to_who_wants_mails_at_once_by_now(game: Game, bob: str) -> None:
    robbed(game)
    choose(game, "bob", robbed="instant")
    assert send(game)["sent"] == 1


def test_without_mails_nothing_waits(game: Game, bob: str) -> None:
    game.restart(HEIST_EMAIL_ENABLED="false")
    robbed(game)
    assert state(game).due_since is None
    game.restart()
    robbed(game, 2)
    game.restart(HEIST_EMAIL_ENABLED="false")
    assert send(game)["sent"] == 0
    assert state(game).due_since is None


def test_of_an_erased_player_nothing_is_left_to_do(game: Game, bob: str) -> None:
    robbed(game)
    game.change(keys.player("bob"), {"erasedAt": "2026-11-22T12:00:00.000Z"})
    game.delete(keys.inbox_item("bob", "0000000001"))
    assert send(game)["sent"] == 0
    assert state(game).due_since is None


# Faults


def test_two_runs_at_once_send_one(game: Game, bob: str) -> None:
    for skip in range(12):
        robbed(game, skip + 1)
        sent_before = len(game.ses)
        game.once_before("update_item", lambda: send(game), skip=skip % 2)
        send(game)
        game.undisturbed()
        send(game)
        assert len(game.ses) == sent_before + 1
        tomorrow(game)
    assert list(itertools.chain(*told(game))) == [f"Robber {n}" for n in range(1, 13)]


@pytest.mark.not_on_moto
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_notice_in_the_midst_of_a_digest_comes_with_the_next(
    game: Game, bob: str, moment: str
) -> None:
    for call in itertools.count(1):
        robbed(game, 1)
        late = FaultAt(game, call, moment, lambda: robbed(game, 2))
        send(game)
        game.undisturbed()
        send(game)
        if not late.operation:
            break
        assert len(told(game)) == 1, late.operation
        tomorrow(game)
        send(game)
        named = list(itertools.chain(*told(game)))
        assert sorted(named) == ["Robber 1", "Robber 2"], late.operation
        forget(game)
    assert call > 7


def forget(game: Game) -> None:
    """As if there had been neither notices nor digests."""
    for item in game.everything():
        if str(item["pk"]).startswith(("INBOX#", "HEIST#", "DIGEST#")):
            game.delete(keys.key_of(item))
    game.ses.mails.clear()
    game.notifier_queue.letters.clear()


@pytest.mark.not_on_moto
@pytest.mark.parametrize(("moment", "strike"), FAULTS)
def test_a_fault_at_any_call_loses_nothing_and_sends_one_a_day(
    game: Game, bob: str, moment: str, strike: Callable[[], None]
) -> None:
    for call in itertools.count(1):
        robbed(game, 1)
        robbed(game, 2)
        struck = FaultAt(game, call, moment, strike)
        days = []
        for _ in range(3):
            for _ in range(2):
                with suppress(Crash, Unavailable):
                    send(game)
                if struck.operation:
                    game.undisturbed()
                game.time.at += LEASE
            days.append(len(game.ses))
            tomorrow(game)
        game.undisturbed()
        if not struck.operation:
            break
        each_day = [after - before for before, after in itertools.pairwise([0, *days])]
        assert max(each_day) <= 1, struck.operation
        doubtful = struck.operation == "send_email" or (
            struck.operation == "update_item" and days[0] == 1
        )
        assert 1 <= sum(each_day) <= 1 + doubtful, (struck.operation, call)
        assert all(names == ["Robber 2", "Robber 1"] for names in told(game))
        assert len(game.notifier_queue) == 0
        assert state(game).due_since is None
        forget(game)
    assert call > 7


def test_a_crash_in_the_notifier_loses_no_line(game: Game, bob: str) -> None:
    for call in itertools.count(1):
        event = heist("alice", "bob", "1" * 32, attacker_name="Robber 1", at=game.time())
        game.put(items.heist_item(event))

        struck = FaultAt(game, call, "after", crash)
        with suppress(Crash):
            wiring.notify_players()(event)
        game.undisturbed()
        for _ in range(2):
            game.time.at += LEASE
            wiring.notify_players()(event)
        send(game)
        tomorrow(game)
        send(game)
        assert told(game) == [["Robber 1"]], struck.operation
        forget(game)
        if not struck.operation:
            break
    assert call > 5


@pytest.mark.parametrize("error", ["ThrottlingException", "AccountSuspendedException"])
def test_a_deferred_digest_goes_the_same_day_with_what_came_since(
    game: Game, bob: str, error: str
) -> None:
    robbed(game, 1)
    game.ses.fails(client_error(error))
    assert send(game) == {"sent": 0, "waiting": 1}
    assert state(game).mail.state is MailState.PENDING
    robbed(game, 2)
    assert send(game) == {"sent": 1, "waiting": 0}
    assert told(game) == [["Robber 2", "Robber 1"]]


def test_a_doubtful_digest_is_sent_once_more_the_next_day_and_then_parked(
    game: Game, bob: str
) -> None:
    robbed(game, 1)
    game.ses.loses_reply(LOST, LOST)
    assert send(game) == {"sent": 0, "waiting": 1}
    for _ in range(20):
        game.time.at += LEASE
        assert send(game)["sent"] == 0
    assert len(game.ses) == 1
    robbed(game, 2)
    tomorrow(game)
    send(game)
    assert told(game) == [["Robber 1"], ["Robber 2", "Robber 1"]]
    robbed(game, 3)
    tomorrow(game)
    send(game)
    send(game)
    (letter,) = game.notifier_queue
    assert letter == {
        "kind": "mail",
        "type": "DIGEST",
        "recipientId": "bob",
        "upTo": 2,
        "state": "PARKED",
        "reason": "MAIL_DOUBTFUL",
    }
    assert told(game)[2:] == [["Robber 3"]]
    resend = {"resend": {"recipientId": "bob", "upTo": 2}}
    assert game.call("send_digests", resend) == {"settled": True}
    assert game.call("send_digests", resend) == {"settled": True}
    assert told(game)[3:] == [["Robber 2", "Robber 1"]]


def test_a_refused_digest_is_a_dead_letter_that_can_be_sent_again(game: Game, bob: str) -> None:
    robbed(game, 1)
    game.ses.fails(client_error("MessageRejected"))
    send(game)
    (letter,) = game.notifier_queue
    assert (letter["state"], letter["reason"], letter["upTo"]) == ("FAILED", "MessageRejected", 1)
    robbed(game, 2)
    tomorrow(game)
    send(game)
    assert told(game) == [["Robber 2"]]
    resend = {"resend": {"recipientId": "bob", "upTo": 1}}
    game.ses.fails(client_error("MessageRejected"))
    assert game.call("send_digests", resend) == {"settled": False}
    game.ses.fails(client_error("ThrottlingException"))
    assert game.call("send_digests", resend) == {"settled": False}
    game.ses.loses_reply(LOST)
    assert game.call("send_digests", resend) == {"settled": False}
    assert game.call("send_digests", resend) == {"settled": False}
    game.time.at += LEASE
    assert game.call("send_digests", resend) == {"settled": True}
    assert told(game)[1:] == [["Robber 1"]] * 2
    assert len(game.notifier_queue) == 1


@pytest.mark.parametrize(
    "resend",
    [{}, {"recipientId": "bob"}, {"recipientId": "bob", "upTo": 9}, {"upTo": "1"}],
)
def test_there_is_nothing_to_send_again_of_a_digest_that_is_not_kept(
    game: Game, resend: dict[str, object]
) -> None:
    assert game.call("send_digests", {"resend": resend}) == {"settled": False}


def test_a_digest_that_nobody_wants_any_more_is_not_sent_again(game: Game, bob: str) -> None:
    robbed(game)
    game.ses.fails(client_error("MessageRejected"))
    send(game)
    choose(game, "bob", robbed="off")
    resend = {"resend": {"recipientId": "bob", "upTo": 1}}
    for _ in range(2):
        assert game.call("send_digests", resend) == {"settled": True}
    assert len(game.ses) == 0


def test_a_defect_with_one_keeps_no_other_from_its_digest(game: Game) -> None:
    for number in range(4):
        who = f"player-{number}"
        game.give(who, email=f"{who}@example.com")
        choose(game, who, robbed="daily")
        robbed(game, number, who)
    game.change(keys.digest("player-2"), {"day": "yesterday"})
    with pytest.raises(Exception, match="day"):
        send(game)
    assert len(game.ses) == 3


def test_who_waits_longest_is_found_first_in_whichever_bucket(game: Game) -> None:
    players = [f"p{number}" for number in range(100)]
    for who in players:
        game.store.await_digest(who, 1, game.time())
    due = list(DigestStore(game.gateway).due(game.time()))
    assert sorted(due) == sorted(players)
    assert [slot(who, TODAY) for who in due] == sorted(slot(who, TODAY) for who in players)
