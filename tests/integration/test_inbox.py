"""The inbox: one item per event and recipient, in order of arrival, paged and marked exactly."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from heist_core.domain.award import Award
from heist_core.domain.errors import Contention, Malformed
from heist_core.domain.facts import Event
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import Notice, NoticeType, notices_of
from heist_core.storage import inbox_items, keys
from heist_core.storage.inbox_items import INBOX_KEPT
from tests.builders import MILLISECOND, NOW, api_event, award, heist
from tests.fakes import LOST, Crash
from tests.integration.game import Game


def friend(number: int) -> Award:
    return award("alice", f"friend-{number}", name=f"Friend {number}")


def deliver(game: Game, *numbers: int) -> None:
    """Notices of alice's friends, in this order."""
    for number in numbers:
        tell_of(game, friend(number))


def tell_of(game: Game, event: Event, mail: MailRecord | None = None) -> None:
    """Everybody whom it concerns."""
    for notice in notices_of(event):
        game.store.deliver_notice(event, notice, game.time(), mail)


def cut_short(game: Game) -> tuple[Award, Notice]:
    """The first of alice's notices, whose writer ended between the two puts."""
    event = friend(1)
    (notice,) = notices_of(event)
    game.once_before("put_item", lambda: _raise(Crash()), skip=2)
    with pytest.raises(Crash):
        game.store.deliver_notice(event, notice, game.time())
    return event, notice


def names(notifications: Sequence[Any]) -> list[str]:
    return [item["metadata"]["referredUserName"].removeprefix("Friend ") for item in notifications]


def listed(game: Game, caller: str = "alice", **query: str) -> Any:
    answer = game.request(
        "list_notifications", api_event("list_notifications", caller, query=query)
    )
    assert answer.status == 200, answer
    return answer.body


def marked(game: Game, body: object = None, caller: str = "alice") -> tuple[int, int]:
    """How many were marked, and how many are unread."""
    event = api_event("mark_notifications_read", caller, body=body)
    answer = game.request("mark_notifications_read", event)
    assert answer.status == 200, answer
    assert answer.body["success"] is True
    return answer.body["updated"], answer.body["unreadCount"]


def positions(game: Game, player: str = "alice") -> list[int]:
    return sorted(
        int(str(item["sk"]))
        for item in game.everything()
        if item["pk"] == keys.inbox(player) and keys.kind_of(item) is keys.Kind.INBOX
    )


# Arrival


def test_an_event_is_one_item_per_recipient_however_often_it_is_delivered(game: Game) -> None:
    for _ in range(5):
        tell_of(game, heist())
    assert len(game.inbox("alice")) == len(game.inbox("bob")) == 1
    assert positions(game) == [1]


def test_a_notice_says_how_to_word_it_and_is_worded_in_its_players_language(game: Game) -> None:
    english, german = notices_of(heist(attacker_name="Alice", victim_name=None))
    game.store.deliver_notice(heist(), english, game.time())  # as before there were languages
    game.store.deliver_notice(heist(), german._replace(locale="de-CH"), game.time())
    (told,) = listed(game)["notifications"]
    assert told["message"] == "Success! You pulled a heist on a player and stole 40 points!"
    assert told["messageKey"] == "heist_success"
    assert told["params"] == {"victimName": None, "pointsStolen": 40}
    (told,) = listed(game, "bob")["notifications"]
    assert told["message"] == (
        "Oh nein! Alice hat dich gerade ausgeraubt und 40 deiner Monatspunkte erbeutet!"
    )
    assert told["messageKey"] == "heist_victim"
    assert told["params"] == {"attackerName": "Alice", "pointsLost": 40}


def test_a_late_notice_arrives_on_top(game: Game) -> None:
    old = award("alice", "old", at=NOW - timedelta(days=9))
    deliver(game, 1)
    game.store.deliver_notice(old, notices_of(old)[0], game.time())
    first = listed(game)["notifications"][0]
    assert first["createdAt"] == "2026-11-13T12:00:03.117Z"


def test_a_position_taken_meanwhile_is_not_taken_over(game: Game) -> None:
    deliver(game, 1)
    game.once_before("put_item", lambda: deliver(game, 2), skip=1)
    deliver(game, 3)
    assert positions(game) == [1, 2, 3]
    assert names(listed(game)["notifications"]) == ["3", "2", "1"]


def test_a_delivery_of_the_same_event_meanwhile_is_no_contention(game: Game) -> None:
    game.once_before("put_item", lambda: deliver(game, 1))
    event = friend(1)
    assert not game.store.deliver_notice(event, notices_of(event)[0], game.time()).put
    assert positions(game) == [1]


def test_an_item_that_was_not_put_with_its_notice_comes_on_top_later(game: Game) -> None:
    """The writer ended between the two puts; others took the position that the notice names."""
    event, notice = cut_short(game)
    assert positions(game) == []
    deliver(game, 2, 3)
    for fresh in (True, False):
        assert game.store.deliver_notice(event, notice, game.time()).put is fresh
    assert names(listed(game)["notifications"]) == ["1", "3", "2"]


def test_of_two_writers_of_one_notice_only_one_puts_its_item(game: Game) -> None:
    """Both have read the position that the notice names, and it is taken by then."""
    event, notice = cut_short(game)
    deliver(game, 2)

    def another() -> None:
        assert game.store.deliver_notice(event, notice, game.time()).put
        deliver(game, 3)

    game.once_before("put_item", another, skip=1)
    with pytest.raises(Contention):
        game.store.deliver_notice(event, notice, game.time())
    assert not game.store.deliver_notice(event, notice, game.time()).put
    assert names(listed(game)["notifications"]) == ["3", "1", "2"]


def test_a_notice_of_long_ago_is_not_put_again_when_its_item_is_gone(game: Game) -> None:
    deliver(game, 1)
    game.delete(keys.inbox_item("alice", "0000000001"))
    game.time.pass_(days=181)
    event = friend(1)
    assert not game.store.deliver_notice(event, notices_of(event)[0], game.time()).put
    assert positions(game) == []


def test_a_claim_whose_answer_got_lost_is_still_ones_own(game: Game) -> None:
    event, claim = heist(), MailRecord(MailState.SENDING, 1, "me", NOW)
    other = MailRecord(MailState.SENDING, 1, "you", NOW)
    notice = notices_of(event)[0]
    assert game.store.deliver_notice(event, notice, game.time(), claim) == (True, True, 1)
    assert game.store.deliver_notice(event, notice, game.time(), claim) == (False, True, 1)
    assert game.store.deliver_notice(event, notice, game.time(), other) == (False, False, 1)
    assert positions(game) == [1]


def _raise(error: BaseException) -> None:
    raise error


# Pages


def walk(game: Game, limit: int, **query: str) -> Iterator[list[str]]:
    cursor: str | None = None
    while True:
        more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        page = listed(game, limit=str(limit), **query, **more)
        yield names(page["notifications"])
        cursor = page["nextCursor"]
        if cursor is None:
            return


@pytest.mark.parametrize("unread_only", ["false", "true"])
def test_pages_neither_overlap_nor_skip_while_new_items_arrive(
    game: Game, unread_only: str
) -> None:
    deliver(game, *range(1, 8))
    pages = []
    for number, page in enumerate(walk(game, 3, unreadOnly=unread_only), start=8):
        pages.append(page)
        deliver(game, number)
    assert pages == [["7", "6", "5"], ["4", "3", "2"], ["1"]]


def test_a_full_last_page_has_no_cursor(game: Game) -> None:
    deliver(game, 1, 2)
    assert list(walk(game, 2)) == [["2", "1"]]
    assert list(walk(game, 1)) == [["2"], ["1"]]
    assert listed(game, "nobody") == {"notifications": [], "unreadCount": 0, "nextCursor": None}


def test_the_count_is_of_all_unread_and_not_of_the_page(game: Game) -> None:
    deliver(game, *range(1, 8))
    assert listed(game, limit="2")["unreadCount"] == 7
    marked(game, {"notificationIds": [listed(game)["notifications"][0]["id"]]})
    assert listed(game, limit="2")["unreadCount"] == 6
    assert names(listed(game, unreadOnly="true", limit="2")["notifications"]) == ["6", "5"]


def test_items_read_while_paging_through_the_unread_neither_repeat_nor_hide_others(
    game: Game,
) -> None:
    deliver(game, *range(1, 7))
    pages = walk(game, 2, unreadOnly="true")
    assert next(pages) == ["6", "5"]
    marked(game)
    deliver(game, 7)
    assert list(pages) == [[]]


def test_an_item_is_shown_as_the_specification_has_it(game: Game) -> None:
    event = heist(attacker_name=None)
    tell_of(game, event)
    (item,) = listed(game, "bob")["notifications"]
    assert item == {
        "id": item["id"],
        "userId": "bob",
        "heistId": event.attempt.id,
        "type": "HEIST_VICTIM",
        "message": (
            "Oh no! Someone just pulled a heist on you and stole 40 of your monthly points!"
        ),
        "messageKey": "heist_victim",
        "params": {"attackerName": None, "pointsLost": 40},
        "metadata": {"attackerName": None, "pointsLost": 40, "attackerId": "alice"},
        "read": False,
        "readAt": None,
        "createdAt": "2026-11-22T12:00:03.117Z",
    }


def test_ids_of_two_players_differ_though_their_positions_are_the_same(game: Game) -> None:
    tell_of(game, heist())
    assert game.inbox("alice")[0].id != game.inbox("bob")[0].id


def test_what_was_read_goes_after_180_days_and_what_was_not_waits(game: Game) -> None:
    deliver(game, 1, 2)
    assert marked(game, {"upTo": listed(game)["notifications"][1]["id"]}) == (1, 1)
    game.time.at += INBOX_KEPT + timedelta(seconds=1)
    deliver(game, 3)
    page = listed(game)
    assert (names(page["notifications"]), page["unreadCount"]) == (["3", "2"], 2)
    assert names(listed(game, unreadOnly="true")["notifications"]) == ["3", "2"]
    assert list(walk(game, 1)) == [["3"], ["2"]]
    assert marked(game) == (2, 0)


# The count of the unread


def count(game: Game, caller: str = "alice") -> int:
    answer = game.request("count_unread", api_event("count_unread", caller))
    assert (answer.status, list(answer.body)) == (200, ["unreadCount"])
    return int(answer.body["unreadCount"])


def expire(game: Game, *numbers: int) -> None:
    """What DynamoDB deletes once its time is over."""
    for number in numbers:
        key = keys.inbox_item("alice", f"{number:010d}")
        assert "expiresAt" in (game.item(key) or {})
        game.delete(key)


def before_there_were_counts(game: Game, *numbers: int, expires_at: int) -> None:
    for number in numbers:
        notice = notices_of(friend(number))[0]
        item = inbox_items.inbox_item(number, f"{number:08x}", notice)
        game.put({**item, "expiresAt": expires_at})


def test_the_badge_says_what_the_list_says(game: Game) -> None:
    assert count(game) == 0
    deliver(game, 1, 2, 3)
    assert count(game) == listed(game)["unreadCount"] == 3
    marked(game, {"notificationIds": [listed(game)["notifications"][1]["id"]]})
    assert count(game) == listed(game)["unreadCount"] == 2
    assert count(game, "bob") == 0


def test_the_count_holds_when_items_that_were_read_have_gone(game: Game) -> None:
    deliver(game, 1, 2, 3)
    marked(game)
    expire(game, 1, 2, 3)
    assert count(game) == 0
    deliver(game, 4)
    assert (positions(game), count(game)) == ([4], 1)
    marked(game)
    deliver(game, 5)
    expire(game, 4)
    assert (positions(game), count(game), listed(game)["unreadCount"]) == ([5], 1, 1)


def test_a_mark_is_counted_with_its_item_or_not_at_all(game: Game) -> None:
    deliver(game, 1, 2)
    game.tap.after = lambda operation: _raise(LOST) if operation == "transact_write_items" else None
    answer = game.request("mark_notifications_read", api_event("mark_notifications_read", body={}))
    assert answer.status == 503
    game.undisturbed()
    assert count(game) == listed(game)["unreadCount"] == 0


def test_of_marks_and_arrivals_at_once_none_is_counted_twice(
    game: Game, crowd: ThreadPoolExecutor
) -> None:
    deliver(game, *range(1, 9))
    ids = [item["id"] for item in listed(game)["notifications"]]

    def act(number: int) -> int:
        if number % 3 == 0:
            deliver(game, 100 + number)
            return 0
        with suppress(AssertionError):  # 503: nothing, or all of it
            return marked(game, {"notificationIds": ids[number % 4 : number % 4 + 3]})[0]
        return 0

    assert sum(crowd.map(act, range(12))) <= 6
    unread = sum("unread" in item for item in game.everything())
    assert count(game) == listed(game)["unreadCount"] == unread


def test_an_inbox_from_before_there_were_counts_is_counted_from_its_first_mark_on(
    game: Game,
) -> None:
    soon, over = int(game.time().timestamp()) + 60, int(game.time().timestamp()) - 60
    before_there_were_counts(game, 1, expires_at=over)
    before_there_were_counts(game, 2, 3, 4, expires_at=soon)
    assert count(game) == listed(game)["unreadCount"] == 3
    assert marked(game, {"notificationIds": ["0000000003-00000003"]}) == (1, 2)
    deliver(game, 5)
    game.time.pass_(minutes=2)
    assert count(game) == listed(game)["unreadCount"] == 3
    assert names(listed(game)["notifications"]) == ["5", "4", "3", "2"]
    assert marked(game, {"notificationIds": ["0000000001-00000001"]})[0] == 0
    assert marked(game) == (3, 0)


def test_half_an_erased_inbox_is_counted_by_what_is_left(game: Game) -> None:
    deliver(game, 1, 2, 3)
    marked(game, {"upTo": listed(game)["notifications"][2]["id"]})
    game.delete(keys.read_count("alice"))
    game.delete(keys.inbox_item("alice", "0000000003"))
    assert count(game) == 1


# Marking


def test_no_body_and_an_empty_object_mark_everything_once(game: Game) -> None:
    deliver(game, 1, 2, 3)
    assert marked(game) == (3, 0)
    assert marked(game, {}) == (0, 0)
    deliver(game, 4)
    assert marked(game, {}) == (1, 0)


def test_an_empty_list_marks_nothing(game: Game) -> None:
    deliver(game, 1, 2, 3)
    assert marked(game, {"notificationIds": []}) == (0, 3)


def test_ids_mark_those_and_the_moment_stays_the_first(game: Game) -> None:
    deliver(game, 1, 2, 3)
    ids = [item["id"] for item in listed(game)["notifications"]]
    assert marked(game, {"notificationIds": [ids[0], ids[2], ids[0]]}) == (2, 1)
    game.time.pass_(hours=1)
    assert marked(game, {"notificationIds": [ids[0], ids[1]]}) == (1, 0)
    assert [(item["read"], item["readAt"]) for item in listed(game)["notifications"]] == [
        (True, "2026-11-22T12:00:03.117Z"),
        (True, "2026-11-22T13:00:03.117Z"),
        (True, "2026-11-22T12:00:03.117Z"),
    ]


def test_up_to_marks_that_one_and_what_is_older_and_leaves_what_came_after(game: Game) -> None:
    deliver(game, 1, 2, 3)
    drawn = listed(game)["notifications"]
    deliver(game, 4)
    assert marked(game, {"upTo": drawn[1]["id"]}) == (2, 2)
    assert names(listed(game, unreadOnly="true")["notifications"]) == ["4", "3"]
    assert marked(game, {"upTo": drawn[0]["id"]}) == (1, 1)


def test_up_to_a_read_one_still_marks_what_is_older(game: Game) -> None:
    deliver(game, 1, 2, 3)
    newest = listed(game)["notifications"][0]["id"]
    marked(game, {"notificationIds": [newest]})
    assert marked(game, {"upTo": newest}) == (2, 0)


@pytest.mark.parametrize("member", ["notificationIds", "upTo"])
def test_foreign_and_unknown_ids_change_nothing_and_answer_alike(game: Game, member: str) -> None:
    tell_of(game, heist())
    foreign = game.inbox("bob")[0].id
    before = game.everything()
    for unknown in (foreign, foreign[:10] + "-00000000", "0000000099-00000000", "x", ""):
        body = {member: [unknown] if member == "notificationIds" else unknown}
        assert marked(game, body) == (0, 1)
    assert sorted(map(str, game.everything())) == sorted(map(str, before))


def test_a_mark_of_what_is_not_there_creates_nothing(game: Game) -> None:
    unknown = [("0000000001", "00000000")]
    assert marked(game, {"notificationIds": ["0000000001-00000000"]}) == (0, 0)
    assert game.everything() == []
    deliver(game, 1)
    assert game.store.mark_read("alice", unknown, NOW) == 0
    assert listed(game)["unreadCount"] == 1


def test_of_two_marks_at_the_same_moment_one_counts(game: Game) -> None:
    deliver(game, 1)
    game.once_before("transact_write_items", lambda: marked(game))
    game.time.pass_(hours=1)
    assert marked(game) == (0, 0)


def test_ids_that_were_made_up_or_marked_before_cost_no_write(game: Game) -> None:
    deliver(game, 1, 2, 3)
    real = [item["id"] for item in listed(game)["notifications"]]
    made_up = [f"{number:010d}-{number:08x}" for number in range(90)]
    swapped = [real[0][:10] + real[1][10:], real[1][:10] + "-00000000"]
    sent: list[str] = []

    def before(operation: str, request: object) -> None:
        sent.append(operation)

    game.tap.before = before
    assert marked(game, {"notificationIds": made_up + swapped}) == (0, 3)
    assert "transact_write_items" not in sent
    assert marked(game, {"notificationIds": made_up + real[:2]}) == (2, 1)
    assert sent.count("transact_write_items") == 1
    assert marked(game, {"notificationIds": real[:2]}) == (0, 1)
    assert sent.count("transact_write_items") == 1


def test_many_ids_are_marked_at_once(game: Game) -> None:
    deliver(game, *range(30))
    ids = [item["id"] for item in listed(game, limit="100")["notifications"]]
    assert marked(game, {"notificationIds": ids}) == (30, 0)


# Mail records


def test_a_heists_notice_begins_with_the_claim_of_its_mail_and_an_awards_has_none(
    game: Game,
) -> None:
    claim = MailRecord(MailState.SENDING, 1, "me", NOW)
    tell_of(game, heist(), claim)
    tell_of(game, friend(1))
    assert game.store.mail_record(heist(), "alice") == claim
    notice_of_award = game.stored(keys.notice(keys.referral("friend-1"), "alice"))
    assert notice_of_award["type"] == NoticeType.TOKEN_EARNED
    assert "mailState" not in notice_of_award


def test_a_mail_of_no_notice_is_malformed(game: Game) -> None:
    with pytest.raises(Malformed, match="no notice"):
        game.store.mail_record(heist(), "alice")


def test_a_mail_moves_only_from_the_state_or_owner_seen(game: Game) -> None:
    event, store = heist(), game.store
    store.deliver_notice(event, notices_of(event)[0], game.time(), MailRecord(MailState.PENDING))
    pending = MailRecord(MailState.PENDING)
    mine = MailRecord(MailState.SENDING, 1, "me", NOW)
    yours = MailRecord(MailState.SENDING, 1, "you", NOW + MILLISECOND)
    sent = MailRecord(MailState.SENT, 1)

    assert store.move_mail(event, "alice", pending, mine)
    assert not store.move_mail(event, "alice", pending, yours)
    for to in (sent, mine):
        assert not store.move_mail(event, "alice", yours, to)
    assert store.mail_record(event, "alice") == mine
    assert store.move_mail(event, "alice", mine, sent)
    assert not store.move_mail(event, "alice", mine, pending)
    assert store.mail_record(event, "alice") == sent
    notice = game.stored(keys.notice(keys.heist(event.attempt.id), "alice"))
    assert "mailOwner" not in notice
    assert "mailLeaseUntil" not in notice


def test_moving_the_mail_of_no_notice_creates_nothing(game: Game) -> None:
    assert not game.store.move_mail(
        heist(), "alice", MailRecord(MailState.PENDING), MailRecord(MailState.SENT)
    )
    assert game.everything() == []
