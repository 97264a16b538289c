"""The link of a mail, from the mailbox to the next heist, on the deployed stack."""

from tests.desk import Desk
from tests.e2e.world import World, address, eventually, link_in

CLICK = b"List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_one_click_ends_a_kind_of_mail_and_no_other(world: World) -> None:
    ours, other = address(), address()
    player = world.robber(email=ours)
    victim = world.victim(email=other)
    player.rob(victim)
    path = link_in(world.first_mail_to(ours))
    unseen = player.get("/preferences").body

    page = world.call("GET", path)
    assert page.status == 200
    assert f"{ours[0]}…@example.com gets mails about your own heists." in page.content.decode()
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert player.get("/preferences").body == unseen

    for _ in range(2):
        done = world.call("POST", path, CLICK, FORM)
        assert (done.status, done.headers.get("location")) == (200, None)
    email = unseen["email"]
    assert player.get("/preferences").body["email"] == {**email, "success": "off"}

    world.earn(player.id, 1000)
    world.robber().rob(player.id)  # they are still told of being robbed
    world.robber().rob(world.victim(email=other))
    mails = eventually(lambda: world.mails_to(ours), lambda seen: len(seen) == 2)
    assert "robbed" in mails[1]["Subject"]

    assert world.call("POST", f"{path}?all=1", b"\xff{", {}).status == 200
    assert set(player.get("/preferences").body["email"].values()) == {"off"}


def test_a_key_is_rotated_without_breaking_the_links_that_are_out(world: World, desk: Desk) -> None:
    before, after = address(), address()
    world.robber().rob(world.victim(email=before))
    old = link_in(world.first_mail_to(before))
    desk("rotate-key", "--reason", "a test", "--apply")
    with world.settings(("notify_players",)):  # a fresh instance, that reads the key
        world.robber().rob(world.victim(email=after))
        new = link_in(world.first_mail_to(after))
        assert world.call("POST", old).status == 200
        eventually(  # an instance that has just read the key looks again after 10 seconds
            lambda: world.call("POST", new).status, lambda status: status == 200
        )
