"""The inbox: who is notified, in which order, and what counts as read (SPEC sections 2, 5)."""

from typing import Any

from tests.e2e.world import Player, World, eventually, unique


def _notify(world: World, player: Player, *names: str) -> None:
    """Of newcomers by these names, one after the other."""
    known = len(player.notifications(limit=100)["notifications"])
    for number, name in enumerate(names, known + 1):
        world.award(player.id, referredUserName=name)
        eventually(
            lambda: len(player.notifications(limit=100)["notifications"]),
            lambda seen, expected=number: seen == expected,  # type: ignore[misc]
        )


def _names(page: Any) -> list[str]:
    return [one["metadata"]["referredUserName"] for one in page["notifications"]]


def test_both_sides_of_a_heist_are_notified_once_in_their_languages(world: World) -> None:
    robber, robbed = world.robber(name="Robin"), world.player()
    world.profile(robbed.id, name="Marian", locale="de-CH")
    world.earn(robbed.id, 100)
    heist = robber.rob(robbed.id)

    told = robber.inbox(2)[0]
    assert (told["type"], told["messageKey"]) == ("HEIST_SUCCESS", "heist_success")
    assert (told["userId"], told["heistId"]) == (robber.id, heist["heistId"])
    assert told["message"] == "Success! You pulled a heist on Marian and stole 5 points!"
    assert told["params"] == {"victimName": "Marian", "pointsStolen": 5}
    assert told["metadata"] == {"victimName": "Marian", "pointsStolen": 5, "victimId": robbed.id}
    assert (told["read"], told["readAt"]) == (False, None)

    (told,) = robbed.inbox(1)
    assert (told["type"], told["messageKey"]) == ("HEIST_VICTIM", "heist_victim")
    assert (told["userId"], told["heistId"]) == (robbed.id, heist["heistId"])
    assert told["message"] == (
        "Oh nein! Robin hat dich gerade ausgeraubt und 5 deiner Monatspunkte erbeutet!"
    )
    assert told["metadata"] == {"attackerName": "Robin", "pointsLost": 5, "attackerId": robber.id}


def test_a_refused_heist_notifies_nobody(world: World) -> None:
    player, target = world.player(), world.player()
    assert player.execute(target.id, unique("k")).code == "NO_TOKENS"
    assert player.notifications() == {"notifications": [], "unreadCount": 0, "nextCursor": None}
    assert target.notifications()["notifications"] == []


def test_pages_are_newest_first_and_up_to_leaves_what_arrived_later_unread(world: World) -> None:
    player = world.player()
    _notify(world, player, "0", "1", "2")
    first = player.notifications(limit=2)
    assert _names(first) == ["2", "1"]
    _notify(world, player, "late")
    second = player.notifications(limit=2, cursor=first["nextCursor"])
    assert (_names(second), second["nextCursor"], second["unreadCount"]) == (["0"], None, 4)

    marked = player.mark_read({"upTo": first["notifications"][0]["id"]})

    assert marked == {"success": True, "updated": 3, "unreadCount": 1}
    assert _names(player.notifications(unreadOnly="true")) == ["late"]
    assert player.get("/notifications/count").body == {"unreadCount": 1}
    [late] = player.notifications(unreadOnly="true")["notifications"]
    for updated in (1, 0):
        marked = player.mark_read({"notificationIds": [late["id"], late["id"]]})
        assert marked == {"success": True, "updated": updated, "unreadCount": 0}


def test_no_body_marks_everything_and_a_foreign_id_nothing(world: World) -> None:
    owner, other = world.player(), world.player()
    _notify(world, owner, "0")
    _notify(world, other, "0", "1")
    [own] = owner.notifications()["notifications"]
    for foreign in ({"notificationIds": [own["id"]]}, {"upTo": own["id"]}):
        assert other.mark_read(foreign) == {"success": True, "updated": 0, "unreadCount": 2}
    reply = other.call("POST", "/notifications/read")
    assert reply.body == {"success": True, "updated": 2, "unreadCount": 0}
    assert owner.notifications()["unreadCount"] == 1
