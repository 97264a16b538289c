"""The inbox: who is notified, and pages of it through the gateway (SPEC sections 2, 5)."""

from tests.e2e.world import World, unique


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


def test_the_inbox_has_pages_and_no_body_marks_everything(world: World) -> None:
    """Each way of reading is in tests/integration, and pressed in tests/browser."""
    player = world.robber(tokens=3)
    player.inbox(3)
    first = player.notifications(limit=2)
    second = player.notifications(limit=2, cursor=first["nextCursor"])
    places = [one["id"] for page in (first, second) for one in page["notifications"]]
    assert places == sorted(places, reverse=True)
    assert (len(places), second["nextCursor"], second["unreadCount"]) == (3, None, 3)

    reply = player.call("POST", "/notifications/read")

    assert reply.body == {"success": True, "updated": 3, "unreadCount": 0}
    assert player.notifications(unreadOnly="true")["notifications"] == []
    assert player.get("/notifications/count").body == {"unreadCount": 0}
