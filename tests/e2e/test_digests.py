"""One mail a day with all that a player wants daily, on a deployed stack."""

from datetime import UTC, datetime

from heist_core.domain.digests import slot
from tests.e2e.world import Player, World, address, eventually


def player_with_daily_mail(world: World, email: str, name: str | None = None) -> Player:
    """With 900 points, and due by now if the day's digests begin at midnight: in the hour after it
    the first such player."""
    now = datetime.now(UTC)
    players = (world.player() for _ in range(60))
    player = next(player for player in players if slot(player.id, now.date()) < now)
    world.profile(player.id, name=name, email=email)
    world.earn(player.id, 900)
    daily = {"email": {"robbed": "daily", "token": "daily"}}
    assert player.put("/preferences", daily).status == 200
    return player


def test_daily_notices_come_in_one_mail_and_what_comes_later_does_not(world: World) -> None:
    daisys = address()
    player = player_with_daily_mail(world, daisys, name="Daisy")
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
