"""One mail a day with all that a player wants daily, on a deployed stack."""

from datetime import UTC, datetime

from heist_core.domain.digests import slot
from tests.e2e.world import Player, World, address, eventually


def player_who_is_due(world: World) -> Player:
    """From their place in the day's first hour on; almost always the first."""
    now = datetime.now(UTC)
    players = (world.player() for _ in range(60))
    return next(player for player in players if slot(player.id, now.date()) < now)


def test_daily_notices_come_in_one_mail_and_what_comes_later_does_not(world: World) -> None:
    player, daisys = player_who_is_due(world), address()
    world.profile(player.id, name="Daisy", email=daisys)
    world.earn(player.id, 900)
    daily = {"email": {"robbed": "daily", "token": "daily"}}
    assert player.put("/preferences", daily).status == 200
    world.robber(name="Robin").rob(player.id)
    world.award(player.id)
    player.inbox(2)
    assert world.mails_to(daisys) == []

    with world.settings(("send_digests",), HEIST_DIGEST_HOUR_UTC="0"):

        def sent() -> bool:
            world.invoke("send_digests", {})
            return bool(world.mails_to(daisys))

        eventually(sent, bool)
        world.award(player.id)
        player.inbox(3)
        for _ in range(3):
            world.invoke("send_digests", {})

    (mail,) = world.mails_to(daisys)
    assert mail["Subject"].startswith("Your day: ")
    for part in ("BodyText", "BodyHtml"):
        text = mail[part]
        assert all(one in text for one in ("“Daisy”", "Robbed: 1 time, -45 points")), text
        assert "“Robin” just pulled a heist on you" in text
        assert "/unsubscribe/" in text
