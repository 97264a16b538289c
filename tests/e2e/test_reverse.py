"""Reversing a heist on the deployed stack: points, inboxes, mails, bus and log."""

from heist_core.storage.audit import audit_table
from tests.desk import Desk
from tests.e2e.conftest import Heard
from tests.e2e.world import World, eventually, unique

WHY = ("--reason", "a test")


def test_a_heist_is_reversed_once_and_everybody_is_notified(
    world: World, desk: Desk, heard: Heard
) -> None:
    robbers_address, victims_address = (f"{unique('mail')}@example.com" for _ in range(2))
    robber, victim = world.robber(name="Robin", email=robbers_address), world.player()
    world.profile(victim.id, name="Marian", email=victims_address)
    world.earn(robber.id, 100)
    world.earn(victim.id, 500)
    heist = robber.rob(victim.id)
    robber.inbox(2)
    victim.inbox(1)

    previewed = desk("reverse", heist["heistId"], "--refund-token", *WHY)
    assert previewed["heists"][0]["outcome"] == "to be reversed"
    assert robber.tokens()["balance"] == 0
    done = desk("reverse", heist["heistId"], "--refund-token", "--apply", *WHY)
    assert done["heists"][0]["outcome"] == "reversed"

    assert robber.tokens() | {"lastEarnedAt": None, "lastSpentAt": None} == {
        "balance": 1,
        "totalEarned": 1,
        "totalSpent": 0,
        "lastEarnedAt": None,
        "lastSpentAt": None,
    }
    told_robber, told_victim = robber.inbox(3)[0], victim.inbox(2)[0]
    assert told_robber["type"] == told_victim["type"] == "HEIST_REVERSED"
    assert told_robber["heistId"] == told_victim["heistId"] == heist["heistId"]
    assert told_robber["message"] == (
        "Your heist on Marian was reversed: 25 points went back. You have your Heist Token back."
    )
    assert told_victim["message"] == "A heist on you was reversed: you got 25 points back."
    for address, subject in (
        (robbers_address, "Your heist was reversed: -25 points"),
        (victims_address, "A heist on you was reversed: +25 points"),
    ):
        mails = eventually(lambda to=address: world.mails_to(to), lambda seen: len(seen) == 2)  # type: ignore[misc]
        assert mails[1]["Subject"] == subject

    announced = eventually(lambda: heard(heist["heistId"]), lambda seen: len(seen) >= 2)
    (detail,) = [e["detail"] for e in announced if e["detail-type"] == "HeistReversed"]
    assert detail.pop("createdAt") == told_victim["createdAt"]
    assert detail == {
        "heistId": heist["heistId"],
        "attackerId": robber.id,
        "victimId": victim.id,
        "pointsReturned": 25,
        "shortfall": 0,
        "tokenRefunded": True,
        "attackerPointsAfter": 100,
        "victimPointsAfter": 500,
        "season": done["heists"][0]["season"],
    }

    again = desk("reverse", heist["heistId"], "--apply", *WHY)
    assert again["heists"][0]["outcome"] == "already reversed"
    assert robber.rob(world.victim(points=200))["attackerPointsAfter"] == 110
    _, violations = audit_table(desk.target.table, rounds=5)
    ours = (robber.id, victim.id, heist["heistId"], "season")
    assert [v for v in violations if any(mark in v.subject for mark in ours)] == []
    (entry,) = [
        entry
        for entry in desk.target.table.partition(f"ACTIONS#{detail['season']}")
        if entry["subject"] == f"heist {heist['heistId']}"
    ]
    assert (entry["what"], entry["why"]) == ("reverse", "a test")
