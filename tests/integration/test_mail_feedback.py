"""Bounces and complaints: whose address gets no more mail, and what becomes of the mail."""

import copy
import json
from collections.abc import Callable, Mapping
from functools import partial
from io import StringIO
from itertools import permutations
from typing import Any

import pytest

from heist_core.domain.times import to_iso
from heist_core.storage import keys
from ops.target import OperatorError
from tests.builders import HOUR, Event, bus_event, sample
from tests.embedded_metrics import counted
from tests.fakes import Crash, client_error, lines_of
from tests.integration.game import Game
from tests.integration.operators import Desk

BOB = "bob@example.com"
OK = {"status": "ok"}


@pytest.fixture
def sent(game: Game) -> Game:
    """Bob was robbed and told so by mail; Alice, of her success."""
    game.set_settings(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    game.settings_are_due()
    game.give("alice", tokens=2, email="alice@example.com")
    game.give("bob", points=800, email=BOB)
    rob(game)
    return game


def rob(game: Game) -> None:
    game.rob("alice", "bob")
    game.sweep()


def told(game: Game, kind: str = "Bounce", /, to: str = BOB, **changes: object) -> Event:
    """What SES tells of the first mail to an address, as its documentation has it; `changes` are of
    the part that the kind has of its own."""
    mail = next(mail for mail in game.ses if mail.to == to)
    event = sample("record_mail_feedback")
    event["detail-type"] = DETAIL_TYPES[kind]
    detail = event["detail"]
    detail["eventType"] = kind
    bounce = detail.pop("bounce")
    part, content = {**PARTS, "Bounce": ("bounce", bounce)}[kind]
    detail[part] = {**copy.deepcopy(content), **changes}
    detail["mail"]["destination"] = [to]
    of_ses = {name: one for name, one in detail["mail"]["tags"].items() if name.startswith("ses:")}
    detail["mail"]["tags"] = of_ses | {name: [value] for name, value in mail.tags.items()}
    return event


DETAIL_TYPES = {
    "Bounce": "Email Bounced",
    "Complaint": "Email Complaint Received",
    "DeliveryDelay": "Email Delivery Delayed",
    "Reject": "Email Rejected",
}
PARTS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "Complaint": (
        "complaint",
        {
            "arrivalDate": "2026-11-22T12:00:11.669Z",
            "complainedRecipients": [{"emailAddress": "recipient@example.com"}],
            "timestamp": "2026-11-22T12:00:12.669Z",
            "feedbackId": "01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000",
            "complaintFeedbackType": "abuse",
            "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_12_3) AppleWebKit/537.36",
        },
    ),
    "DeliveryDelay": (
        "deliveryDelay",
        {
            "timestamp": "2026-11-22T12:00:14.669Z",
            "delayType": "TransientCommunicationFailure",
            "expirationTime": "2026-11-23T02:00:14.669Z",
            "delayedRecipients": [
                {
                    "emailAddress": "recipient@example.com",
                    "status": "4.4.1",
                    "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host",
                }
            ],
        },
    ),
    "Reject": ("reject", {"reason": "Bad content"}),
}


def take(game: Game, event: Event) -> None:
    assert game.call("record_mail_feedback", event) == OK


def mail_state(game: Game, player_id: str = "bob") -> object:
    """Of the mail about a player's only heist."""
    [state] = [one for subject, one in states(game, player_id) if subject.startswith("HEIST")]
    return state


def states(game: Game, player_id: str) -> list[tuple[str, str]]:
    return [
        (str(item["pk"]), str(item["mailState"]))
        for item in game.everything()
        if keys.kind_of(item) is keys.Kind.NOTICE and item["recipientId"] == player_id
    ]


def reason(game: Game, player_id: str = "bob") -> str | None:
    stands = game.player(player_id).profile.suppressed
    return stands and stands.reason


def mails_to(game: Game, address: str = BOB) -> int:
    return game.ses.by_address[address]


def profile(game: Game, **detail: object) -> None:
    game.time.pass_(minutes=1)
    game.call("upsert_player", bus_event("upsert_player", game.time(), **{**ABSENT, **detail}))


ABSENT = dict.fromkeys(("name", "email", "emailOptOut", "updatedAt"), ...)


@pytest.mark.parametrize(
    ("kind", "state", "why"),
    [("Bounce", "BOUNCED", "BOUNCE"), ("Complaint", "COMPLAINED", "COMPLAINT")],
)
def test_after_a_bounce_or_a_complaint_an_address_gets_no_more_mail(
    sent: Game, kind: str, state: str, why: str
) -> None:
    take(sent, told(sent, kind))
    stands = sent.player("bob").profile.suppressed
    assert stands is not None
    assert (mail_state(sent), stands.reason) == (state, why)
    item = sent.stored(keys.player("bob"))
    assert item["suppressed"] == {"reason": why, "at": to_iso(stands.at)}
    assert (mail_state(sent, "alice"), reason(sent, "alice")) == ("SENT", None)

    rob(sent)
    assert (mails_to(sent), mails_to(sent, "alice@example.com")) == (1, 2)
    assert len(sent.inbox("bob")) == 2


def test_it_gets_mail_again_once_it_is_another(sent: Game) -> None:
    take(sent, told(sent))
    profile(sent, userId="bob", name="Bob")
    profile(sent, userId="bob", email="BOB@example.com")
    assert reason(sent) == "BOUNCE"
    profile(sent, userId="bob", email="new@example.com")
    assert reason(sent) is None
    item = sent.stored(keys.player("bob"))
    assert "suppressed" not in item
    rob(sent)
    assert (mails_to(sent), mails_to(sent, "new@example.com")) == (1, 1)


def test_what_an_old_address_did_says_nothing_of_a_new_one(sent: Game) -> None:
    event = told(sent)
    profile(sent, userId="bob", email="new@example.com")
    take(sent, event)
    assert (mail_state(sent), reason(sent)) == ("BOUNCED", None)


def test_an_older_update_of_the_address_clears_nothing(sent: Game) -> None:
    take(sent, told(sent))
    before = to_iso(sent.time() - HOUR)
    profile(sent, userId="bob", email="older@example.com", updatedAt=before)
    assert reason(sent) == "BOUNCE"


@pytest.mark.parametrize("order", list(permutations(["Bounce", "Complaint", "Bounce"])))
def test_whatever_comes_however_often_and_in_any_order_comes_to_the_same(
    sent: Game, order: tuple[str, ...], log: StringIO
) -> None:
    for kind in order:
        for _ in range(2):
            take(sent, told(sent, kind))
    assert (mail_state(sent), reason(sent)) == ("COMPLAINED", "COMPLAINT")
    metrics = counted(log)
    assert metrics["MailsComplained"] == 1
    assert metrics["MailsBounced"] <= 1


def test_what_was_heard_writes_nothing_a_second_time(sent: Game) -> None:
    take(sent, told(sent))
    before = sent.everything()
    take(sent, told(sent))
    assert sent.everything() == before


@pytest.mark.parametrize(
    ("kind", "changes", "metric"),
    [
        ("Bounce", {"bounceType": "Transient", "bounceSubType": "MailboxFull"}, "BouncedForNow"),
        ("Bounce", {"bounceType": "Undetermined"}, "BouncedForNow"),
        ("DeliveryDelay", {}, "Delayed"),
        ("Reject", {}, "Rejected"),
        ("Complaint", {"complaintFeedbackType": "not-spam"}, None),
    ],
)
def test_what_may_pass_is_counted_and_changes_nothing(
    sent: Game, kind: str, changes: dict[str, Any], metric: str | None, log: StringIO
) -> None:
    before = sent.everything()
    take(sent, told(sent, kind, **changes))
    assert sent.everything() == before
    expected = {} if metric is None else {f"Mails{metric}": 1}
    assert {name: n for name, n in counted(log).items() if name.startswith("Mails")} == expected


def not_ours(game: Game) -> Mapping[str, Callable[[Event], object]]:
    def tag(**changed: str) -> Callable[[Event], object]:
        return lambda event: event["detail"]["mail"]["tags"].update(
            {name: [value] for name, value in changed.items()}
        )

    return {
        "no tags": lambda event: event["detail"]["mail"].pop("tags"),
        "tags of SES only": lambda event: event["detail"]["mail"].update(tags={"ses:x": ["y"]}),
        "two values": lambda event: event["detail"]["mail"]["tags"].update(about=["heist"] * 2),
        "no such heist": tag(subject="bm9uZQ"),
        "no such player": tag(recipient="bm9ib2R5"),
        "another kind": tag(about="settings"),
        "no base64": tag(subject="!"),
        "no id": tag(subject="YSNi"),  # a#b
        "no text": tag(recipient="__8"),
    }


def test_a_mail_that_is_none_of_ours_is_counted_and_changes_nothing(
    sent: Game, log: StringIO
) -> None:
    before = sent.everything()
    changes = not_ours(sent)
    for name, change in changes.items():
        event = told(sent)
        change(event)
        take(sent, event)
        assert sent.everything() == before, name
    assert counted(log)["MailsNotOurs"] == len(changes)
    assert len(sent.events_queue) == 0


def test_a_notice_without_a_mail_is_none_of_ours_either(sent: Game, log: StringIO) -> None:
    """Such as one of a token from before tokens had mails."""
    for item in sent.everything():
        if keys.kind_of(item) is keys.Kind.NOTICE:
            sent.put({name: each for name, each in item.items() if name != "mailState"})
    take(sent, told(sent))
    assert counted(log)["MailsNotOurs"] == 1
    assert reason(sent) is None


def test_an_event_of_another_shape_is_kept_for_a_look(sent: Game) -> None:
    event = told(sent)
    event["detail"]["bounce"].pop("bounceType")
    assert sent.call("record_mail_feedback", event) == {"status": "refused"}
    [letter] = sent.events_queue
    assert letter["reason"].startswith("bounce.bounceType: ")


def test_a_mail_in_doubt_went_out_if_it_came_back(sent: Game) -> None:
    """Its answer got lost, and the notifier would send it again after its lease."""
    sent.ses.loses_reply(client_error("InternalFailure", 500))
    sent.rob("alice", "bob")
    sent.sweep()
    event = told(sent, to="alice@example.com")
    event["detail"]["mail"]["tags"] |= {
        name: [value] for name, value in [*sent.ses][-2].tags.items()
    }
    take(sent, event)
    sent.time.pass_(minutes=10)
    mails = len(sent.ses)
    sent.sweep()
    assert len(sent.ses) == mails
    assert sent.owed() == []


def test_tokens_and_reversals_have_mails_of_their_own_name(sent: Game) -> None:
    sent.settings_are_due()
    sent.prefer("alice", email={"token": "instant", "success": "off"})
    sent.call("award_token", bus_event("award_token", sent.time(), referrerUserId="alice"))
    sent.sweep()
    mail = [*sent.ses][-1]
    event = told(sent, to="alice@example.com")
    event["detail"]["mail"]["tags"] |= {name: [value] for name, value in mail.tags.items()}
    take(sent, event)
    assert reason(sent, "alice") == "BOUNCE"
    assert [subject for subject, one in states(sent, "alice") if one == "BOUNCED"] == [
        keys.referral(sample("award_token")["detail"]["referredUserId"])["pk"]
    ]


def test_a_change_of_the_player_at_the_same_moment_is_kept(sent: Game) -> None:
    sent.once_before("transact_write_items", lambda: sent.give("bob", points=5))
    take(sent, told(sent))
    assert reason(sent) == "BOUNCE"
    assert sent.points("bob") == 765
    sent.assert_sound()


def test_a_bounce_in_the_midst_of_another_change_is_kept(sent: Game) -> None:
    sent.once_before("update_item", lambda: take(sent, told(sent)))
    profile(sent, userId="bob", name="Bobby")
    assert (reason(sent), sent.player("bob").profile.name.value) == ("BOUNCE", "Bobby")


def test_after_a_crash_the_next_delivery_does_all_of_it(sent: Game) -> None:
    sent.fails(Crash(), "transact_write_items")
    with pytest.raises(Crash):
        sent.call("record_mail_feedback", told(sent))
    sent.undisturbed()
    assert (mail_state(sent), reason(sent)) == ("SENT", None)
    take(sent, told(sent))
    assert (mail_state(sent), reason(sent)) == ("BOUNCED", "BOUNCE")


def test_no_address_is_logged(sent: Game, log: StringIO) -> None:
    for kind in DETAIL_TYPES:
        take(sent, told(sent, kind))
    lines = [line for line in lines_of(log) if line["function"] == "record_mail_feedback"]
    assert [line["report"] for line in lines] == list(DETAIL_TYPES.values())
    assert "example.com" not in json.dumps(lines)


# Operators


def test_an_operator_sees_it_and_undoes_it_and_the_log_says_so(sent: Game, desk: Desk) -> None:
    take(sent, told(sent))
    assert "bob@example.com (suppressed: BOUNCE, 2026-11-22" in desk.shown("player", "bob")
    assert not desk("unsuppress", "bob")["done"]
    assert reason(sent) == "BOUNCE"
    assert desk.actions() == []
    assert desk("unsuppress", "bob", "--reason", "works after all", "--apply")["done"]
    assert reason(sent) is None
    [entry] = desk.actions()
    assert (entry["what"], entry["subject"], entry["why"]) == (
        "unsuppress",
        "player bob",
        "works after all",
    )
    assert entry["before"]["suppressed"]["reason"] == "BOUNCE"
    assert not desk("unsuppress", "bob", "--reason", "again", "--apply")["done"]
    assert len(desk.actions()) == 1
    rob(sent)
    assert mails_to(sent) == 2


def test_two_operators_at_once_undo_it_once(sent: Game, desk: Desk) -> None:
    take(sent, told(sent))
    undo = partial(desk, "unsuppress", "bob", "--reason", "works after all", "--apply")
    sent.once_before("transact_write_items", undo)
    assert not undo()["done"]
    assert len(desk.actions()) == 1


def test_the_same_news_again_does_not_undo_what_an_operator_did(sent: Game, desk: Desk) -> None:
    take(sent, told(sent))
    desk("unsuppress", "bob", "--reason", "works after all", "--apply")
    take(sent, told(sent))
    assert reason(sent) is None


def test_nobody_is_unsuppressed_who_is_not_known(desk: Desk) -> None:
    with pytest.raises(OperatorError, match="nobody"):
        desk.code("unsuppress", "nobody")


def test_an_erasure_takes_it_away_and_an_export_has_it(
    sent: Game, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.erase.SETTLING", sent.time() - sent.time())
    take(sent, told(sent))
    exported: Any = desk("export", "bob")
    assert exported["state"][0]["suppressed"]["reason"] == "BOUNCE"
    assert desk("audit")["violations"] == []
    desk("erase", "bob", "--reason", "asked", "--apply")
    item = sent.stored(keys.player("bob"))
    assert "suppressed" not in item
    take(sent, told(sent, "Complaint"))
    assert sent.item(keys.player("bob")) == item
