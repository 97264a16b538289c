"""The inbox: who is notified, in which order, and what counts as read (SPEC sections 2, 5)."""

from typing import Any

from tests.e2e.world import Player, World, eventually, unique


def _notified(world: World, count: int) -> Player:
    """A player with `count` notifications that arrived one after the other, named by number."""
    player = world.player()
    for number in range(count):
        _notify(world, player, str(number), number + 1)
    return player


def _notify(world: World, player: Player, name: str, total: int) -> None:
    world.deliver(
        "award_token",
        "referrals",
        "ReferralCompleted",
        {
            "referralId": unique("r"),
            "referrerUserId": player.id,
            "referredUserId": unique("new"),
            "referredUserName": name,
        },
    )
    eventually(
        lambda: len(player.notifications(limit=100)["notifications"]), lambda seen: seen == total
    )


def _names(notifications: list[Any]) -> list[str]:
    return [one["metadata"]["referredUserName"] for one in notifications]


def test_both_sides_of_a_heist_are_notified_once(world: World) -> None:
    robber, robbed = world.robber(name="Robin"), world.player()
    world.profile(robbed.id, name="Marian")
    world.earn(robbed.id, 100)
    heist = robber.rob(robbed.id)

    told = robber.inbox(2)[0]
    assert told["type"] == "HEIST_SUCCESS"
    assert told["userId"] == robber.id
    assert told["heistId"] == heist["heistId"]
    assert told["message"] == "Success! You pulled a heist on Marian and stole 5 points!"
    assert told["messageKey"] == "heist_success"
    assert told["params"] == {"victimName": "Marian", "pointsStolen": 5}
    assert told["metadata"] == {"victimName": "Marian", "pointsStolen": 5, "victimId": robbed.id}
    assert (told["read"], told["readAt"]) == (False, None)

    (told,) = robbed.inbox(1)
    assert told["type"] == "HEIST_VICTIM"
    assert told["userId"] == robbed.id
    assert told["heistId"] == heist["heistId"]
    assert (
        told["message"]
        == "Oh no! Robin just pulled a heist on you and stole 5 of your monthly points!"
    )
    assert told["metadata"] == {"attackerName": "Robin", "pointsLost": 5, "attackerId": robber.id}


def test_a_player_is_told_in_their_language(world: World) -> None:
    robber, victim = world.robber(name="Robin"), world.player()
    world.profile(victim.id, locale="de-CH")
    world.earn(victim.id, 100)
    robber.rob(victim.id)
    (told,) = victim.inbox(1)
    assert told["messageKey"] == "heist_victim"
    assert told["message"] == (
        "Oh nein! Robin hat dich gerade ausgeraubt und 5 deiner Monatspunkte erbeutet!"
    )


def test_a_refused_heist_notifies_nobody(world: World) -> None:
    player, target = world.player(), world.player()
    assert player.execute(target.id, unique("k")).code == "NO_TOKENS"
    assert player.notifications() == {"notifications": [], "unreadCount": 0, "nextCursor": None}
    assert target.notifications()["notifications"] == []


def test_pages_are_newest_first_and_neither_overlap_nor_skip_while_more_arrive(
    world: World,
) -> None:
    player = _notified(world, 5)
    first = player.notifications(limit=2)
    assert _names(first["notifications"]) == ["4", "3"]
    assert first["unreadCount"] == 5
    _notify(world, player, "late", 6)
    second = player.notifications(limit=2, cursor=first["nextCursor"])
    assert _names(second["notifications"]) == ["2", "1"]
    assert second["unreadCount"] == 6
    third = player.notifications(limit=2, cursor=second["nextCursor"])
    assert _names(third["notifications"]) == ["0"]
    assert third["nextCursor"] is None
    assert _names(player.notifications()["notifications"]) == ["late", "4", "3", "2", "1", "0"]
    assert player.notifications()["nextCursor"] is None


def test_reading_is_dated_once_and_counted_once(world: World) -> None:
    player = _notified(world, 1)
    (notification,) = player.notifications()["notifications"]
    chosen = {"notificationIds": [notification["id"], notification["id"]]}
    assert player.mark_read(chosen) == {"success": True, "updated": 1, "unreadCount": 0}
    (read,) = player.notifications()["notifications"]
    assert read["read"] is True
    assert read["readAt"] is not None
    assert player.mark_read(chosen) == {"success": True, "updated": 0, "unreadCount": 0}
    assert player.notifications()["notifications"] == [read]


def test_no_body_and_an_empty_object_mark_everything(world: World) -> None:
    for body in (None, b"{}", b'{"other": 1}'):
        player = _notified(world, 2)
        reply = player.call("POST", "/notifications/read", body)
        assert reply.body == {"success": True, "updated": 2, "unreadCount": 0}


def test_up_to_leaves_what_arrived_later_unread(world: World) -> None:
    player = _notified(world, 3)
    drawn = player.notifications()["notifications"]
    _notify(world, player, "late", 4)
    assert player.mark_read({"upTo": drawn[0]["id"]}) == {
        "success": True,
        "updated": 3,
        "unreadCount": 1,
    }
    assert _names(player.notifications(unreadOnly="true")["notifications"]) == ["late"]
    assert player.get("/notifications/count").body == {"unreadCount": 1}
    assert player.mark_read({"upTo": drawn[2]["id"]})["updated"] == 0


def test_foreign_and_unknown_ids_change_nothing(world: World) -> None:
    owner, other = _notified(world, 2), _notified(world, 1)
    ids = [one["id"] for one in owner.notifications()["notifications"]]
    unchanged = {"success": True, "updated": 0, "unreadCount": 1}
    assert (
        other.mark_read({"notificationIds": [*ids, "unknown", "#", "PLAYER#x", "é"]}) == unchanged
    )
    assert other.mark_read({"upTo": ids[0]}) == unchanged
    assert other.mark_read({"upTo": "unknown"}) == unchanged
    assert other.mark_read({"upTo": "~"}) == unchanged
    assert owner.notifications()["unreadCount"] == 2
    own = [one["id"] for one in other.notifications()["notifications"]]
    assert other.mark_read({"notificationIds": [*ids, *own]})["updated"] == 1
