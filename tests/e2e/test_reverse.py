"""Reversing a heist on the deployed stack: points, inboxes, mails, bus and log."""

from typing import Any

from heist_core.storage.audit import audit_table
from tests.desk import Desk
from tests.e2e.conftest import Heard
from tests.e2e.world import World, address, eventually

WHY = ("--reason", "a test")


def test_a_heist_is_reversed_once_and_everybody_is_notified(
    world: World, desk: Desk, heard: Heard
) -> None:
    robbers, victims = address(), address()
    robber, victim = world.robber(name="Robin", email=robbers), world.player()
    world.profile(victim.id, name="Marian", email=victims)
    world.earn(robber.id, 100)
    world.earn(victim.id, 500)
    heist_id = robber.rob(victim.id)["heistId"]
    robber.inbox(2)
    victim.inbox(1)

    def reverse(*options: str) -> Any:
        (line,) = desk("reverse", heist_id, *options, *WHY)["heists"]
        return line

    assert reverse("--refund-token")["outcome"] == "to be reversed"
    assert robber.tokens()["balance"] == 0
    done = reverse("--refund-token", "--apply")
    assert done["outcome"] == "reversed"

    tokens = robber.tokens()
    assert (tokens["balance"], tokens["totalEarned"], tokens["totalSpent"]) == (1, 1, 0)
    told_robber, told_victim = robber.inbox(3)[0], victim.inbox(2)[0]
    assert told_robber["type"] == told_victim["type"] == "HEIST_REVERSED"
    assert told_robber["heistId"] == told_victim["heistId"] == heist_id
    assert told_robber["message"] == (
        "Your heist on Marian was reversed: 25 points went back. You have your Heist Token back."
    )
    assert told_victim["message"] == "A heist on you was reversed: you got 25 points back."
    for recipient, subject in (
        (robbers, "Your heist was reversed: -25 points"),
        (victims, "A heist on you was reversed: +25 points"),
    ):
        mails = eventually(lambda to=recipient: world.mails_to(to), lambda seen: len(seen) == 2)  # type: ignore[misc]
        assert mails[1]["Subject"] == subject

    def announced() -> list[Any]:
        return [e["detail"] for e in heard(heist_id) if e["detail-type"] == "HeistReversed"]

    detail = eventually(announced, bool)[0]
    assert detail.pop("createdAt") == told_victim["createdAt"]
    assert detail == {
        "heistId": heist_id,
        "attackerId": robber.id,
        "victimId": victim.id,
        "pointsReturned": 25,
        "shortfall": 0,
        "tokenRefunded": True,
        "attackerPointsAfter": 100,
        "victimPointsAfter": 500,
        "season": done["season"],
    }

    assert reverse("--apply")["outcome"] == "already reversed"
    assert robber.rob(world.victim(points=200))["attackerPointsAfter"] == 110
    _, violations = audit_table(desk.target.table, rounds=5)
    ours = (robber.id, victim.id, heist_id, "season")
    assert [v for v in violations if any(mark in v.subject for mark in ours)] == []
    (entry,) = [one for one in desk.actions() if one["subject"] == f"heist {heist_id}"]
    assert (entry["what"], entry["why"]) == ("reverse", "a test")
