"""What we tell other systems, read from the bus by a queue of the test's own (SPEC section 6)."""

import json
from datetime import UTC, datetime
from typing import Any

from jsonschema import Draft202012Validator

from local.tools import ROOT
from tests.e2e.conftest import Heard
from tests.e2e.world import World, eventually, referral, unique


def assert_as_published(event: Any) -> None:
    """It is what the schema for other teams says."""
    schema = ROOT / "docs" / "events-out" / f"{event['detail-type']}.schema.json"
    Draft202012Validator(json.loads(schema.read_text("utf-8"))).validate(event)


def test_a_heist_is_announced_with_the_points_and_notices_of_both_sides(
    world: World, heard: Heard
) -> None:
    robber, victim = world.robber(), world.player()
    world.earn(robber.id, 70)
    world.earn(victim.id, 500)
    heist_id = robber.rob(victim.id)["heistId"]

    def told(about: str, detail_type: str, count: int) -> list[Any]:
        """The details of so many events at least, each of which is as the schema says."""

        def probe() -> list[Any]:
            return [event for event in heard(about) if event["detail-type"] == detail_type]

        events = eventually(probe, lambda seen: len(seen) >= count)
        for event in events:
            assert_as_published(event)
        return [event["detail"] for event in events]

    detail = told(heist_id, "HeistCommitted", 1)[0]
    created_at = detail.pop("createdAt")
    assert detail == {
        "heistId": heist_id,
        "attackerId": robber.id,
        "victimId": victim.id,
        "pointsStolen": 25,
        "attackerPointsAfter": 95,
        "victimPointsAfter": 475,
        "season": datetime.now(UTC).strftime("%Y-%m"),
    }
    assert created_at == robber.inbox(2)[0]["createdAt"]

    for player, total, reason in ((robber, 95, "HEIST_GAIN"), (victim, 475, "HEIST_LOSS")):
        changes = told(player.id, "PointsChanged", 2)
        first, *_, last = sorted(changes, key=lambda one: int(one["version"]))
        assert (first["change"], last["reason"]) == (first["points"], reason)
        assert first["points"] + last["change"] == last["points"] == total

    delivered = told(heist_id, "NotificationDelivered", 2)
    ids = {one["userId"]: one["notificationId"] for one in delivered}
    assert ids == {
        who.id: who.notifications()["notifications"][0]["id"] for who in (robber, victim)
    }


def test_an_award_is_announced(world: World, heard: Heard) -> None:
    player, newcomer = world.player(), unique("new")
    world.stack.send("referrals", "ReferralCompleted", referral(player.id, newcomer))
    event = eventually(lambda: heard(newcomer), lambda seen: seen)[0]
    assert_as_published(event)
    assert event["source"] == "heist"
    assert event["detail-type"] == "TokenAwarded"
    assert set(event["detail"]) == {"userId", "referredUserId", "createdAt"}
    assert event["detail"]["userId"] == player.id
    assert event["detail"]["referredUserId"] == newcomer


def test_a_refused_heist_is_not_announced(world: World, heard: Heard) -> None:
    target = unique("never")
    world.player().execute(target, unique("k"))
    later = world.robber().rob(world.victim())
    eventually(lambda: heard(later["heistId"]), bool)
    assert heard(target) == []
