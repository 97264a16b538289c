"""The operators' reports, from heists over HTTP through the real stream, by API and by tool."""

from typing import Any

from tests.desk import Desk
from tests.e2e.world import Player, World, eventually, unique


def shown(operator: Player, report: str) -> Any:
    reply = operator.get(f"/admin/stats/{report}")
    assert reply.status == 200, reply
    return reply.body


def counted(operator: Player) -> tuple[int, int]:
    """Successes and failures of the days shown."""
    days = shown(operator, "heists-per-day")["days"]
    successes, failures = (
        [day[f"{how}Heists"] for day in days] for how in ("successful", "failed")
    )
    return sum(successes), sum(failures)


def test_heists_and_refusals_reach_the_reports_and_a_rebuild_changes_nothing(
    world: World, desk: Desk
) -> None:
    operator = world.operator()
    before = counted(operator)
    # More heists than any other test makes a player do, so that this one is seen among the ten.
    robber = world.robber(tokens=9, name="Robber of the Month")
    with world.settings(["execute_heist"], HEIST_COOLDOWN_HOURS="0"):
        stolen = [robber.rob(world.victim(points=2000))["pointsStolen"] for _ in range(8)]
        assert robber.execute(unique("nobody"), unique("k")).status == 400
    # Other tests' heists may still be on their way: at least these, and all of them in the end.
    eventually(
        lambda: counted(operator), lambda now: now[0] >= before[0] + 8 and now[1] >= before[1] + 1
    )

    def line(robbers: Any) -> Any:
        return next((each for each in robbers if each["userId"] == robber.id), {})

    seen = eventually(
        lambda: line(shown(operator, "top-robbers")["robbers"]),
        lambda found: found.get("heistCount") == 8,
    )
    assert seen == {
        "userId": robber.id,
        "name": "Robber of the Month",
        "heistCount": 8,
        "totalStolen": sum(stolen),
    }
    assert line(desk("report")["topRobbers"]["robbers"]) == seen
    assert desk("rebuild-stats", "--reason", "test")["applied"] is False
    rebuilt = desk("rebuild-stats", "--reason", "test", "--apply")
    assert (rebuilt["applied"], rebuilt["unreadable"]) == (True, 0)
    assert line(shown(operator, "top-robbers")["robbers"]) == seen
    assert line(desk("report")["topRobbers"]["robbers"]) == seen
