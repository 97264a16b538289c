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


def test_a_heist_is_announced_with_both_totals(world: World, heard: Heard) -> None:
    robber, victim = world.robber(), world.victim(points=500)
    world.earn(robber.id, 70)
    heist = robber.rob(victim)

    event = eventually(lambda: heard(heist["heistId"]), lambda seen: seen)[0]

    assert_as_published(event)
    assert event["source"] == "heist"
    assert event["detail-type"] == "HeistCommitted"
    detail = event["detail"]
    created_at = detail.pop("createdAt")
    assert detail == {
        "heistId": heist["heistId"],
        "attackerId": robber.id,
        "victimId": victim,
        "pointsStolen": 25,
        "attackerPointsAfter": 95,
        "victimPointsAfter": 475,
        "season": datetime.now(UTC).strftime("%Y-%m"),
    }
    assert created_at == robber.inbox(2)[0]["createdAt"]


def test_every_change_of_points_is_announced_in_an_order_of_its_own(
    world: World, heard: Heard
) -> None:
    robber, victim = world.robber(), world.victim(points=500)
    world.earn(robber.id, 70)
    robber.rob(victim)

    def changes(player: str) -> list[Any]:
        return [event for event in heard(player) if event["detail-type"] == "PointsChanged"]

    for player, total, reason in ((robber.id, 95, "HEIST_GAIN"), (victim, 475, "HEIST_LOSS")):
        events = eventually(lambda who=player: changes(who), lambda seen: len(seen) == 2)  # type: ignore[misc]
        for event in events:
            assert_as_published(event)
        first, last = sorted((e["detail"] for e in events), key=lambda one: one["version"])
        assert (first["change"], last["reason"]) == (first["points"], reason)
        assert first["points"] + last["change"] == last["points"] == total


def test_what_comes_into_an_inbox_is_announced(world: World, heard: Heard) -> None:
    robber, victim = world.robber(), world.player()
    world.earn(victim.id, 500)
    heist_id = robber.rob(victim.id)["heistId"]

    def deliveries() -> list[Any]:
        found = [one for one in heard(heist_id) if one["detail-type"] == "NotificationDelivered"]
        return sorted(found, key=lambda one: str(one["detail"]["type"]))

    success, loss = eventually(deliveries, lambda seen: len(seen) >= 2)[:2]
    for event in (success, loss):
        assert_as_published(event)
    assert (success["detail"]["userId"], loss["detail"]["userId"]) == (robber.id, victim.id)
    assert loss["detail"]["notificationId"] == victim.inbox(1)[0]["id"]


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
    player, target = world.player(), unique("never")
    player.execute(target, unique("k"))
    robber = world.robber()
    later = robber.rob(world.victim())
    eventually(lambda: heard(later["heistId"]), lambda seen: seen)
    assert heard(target) == []
