"""The operators' reports, from heists over HTTP through the real stream, by API and by tool."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.tools import ROOT
from tests.e2e.world import Player, World, eventually, unique


@pytest.fixture(scope="module")
def operator(world: World) -> Player:
    return world.operator()


def sweep(world: World) -> None:
    """Whatever other tests, with faults of their own, left uncounted."""
    world.client("lambda").invoke(
        FunctionName=world.function("sweep_notifications"), Payload=b'{"graceSeconds": 0}'
    )


def shown(operator: Player, report: str) -> Any:
    reply = operator.get(f"/admin/stats/{report}")
    assert reply.status == 200, reply
    return reply.body


def today(operator: Player) -> tuple[int, int]:
    """Successes and failures of today; of both days around midnight."""
    days = shown(operator, "heists-per-day")["days"]
    return (
        sum(day["successfulHeists"] for day in days),
        sum(day["failedHeists"] for day in days),
    )


def test_heists_refusals_and_tokens_reach_the_reports(world: World, operator: Player) -> None:
    before = today(operator)
    # More heists than any other test makes a player do, so that this one is seen among the ten.
    robber = world.robber(tokens=9, name="Robber of the Month")
    with world.settings(["execute_heist"], HEIST_COOLDOWN_HOURS="0"):
        stolen = [robber.rob(world.victim(points=2000))["pointsStolen"] for _ in range(8)]
        assert robber.execute(unique("nobody"), unique("k")).status == 400
    # Other tests may go on playing meanwhile: at least these, and all of them in the end.
    eventually(
        lambda: today(operator), lambda now: now[0] >= before[0] + 8 and now[1] >= before[1] + 1
    )
    line = eventually(
        lambda: [
            each
            for each in shown(operator, "top-robbers")["robbers"]
            if each["userId"] == robber.id
        ],
        lambda lines: lines and lines[0]["heistCount"] == 8,
    )[0]
    assert line == {
        "userId": robber.id,
        "name": "Robber of the Month",
        "heistCount": 8,
        "totalStolen": sum(stolen),
    }


def test_the_distribution_is_that_of_the_players_in_the_table(
    world: World, operator: Player
) -> None:
    world.award(unique("holder"), 3)

    def both() -> tuple[dict[int, int], dict[int, int]]:
        sweep(world)
        counted: dict[int, int] = {}
        pages = world.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=world.outputs["TableName"], ConsistentRead=True):
            for item in page["Items"]:
                if item["sk"] == {"S": "STATE"} and "tokens" in item:
                    balance = int(item["tokens"]["N"])
                    counted[balance] = counted.get(balance, 0) + 1
        reported = shown(operator, "token-distribution")["balances"]
        return counted, {row["balance"]: row["userCount"] for row in reported}

    eventually(both, lambda pair: pair[0] == pair[1], pause=1.0)


def test_the_tool_prints_the_same_and_a_rebuild_changes_nothing(
    world: World, operator: Player, tmp_path: Path
) -> None:
    robber = world.robber(tokens=7)
    with world.settings(["execute_heist"], HEIST_COOLDOWN_HOURS="0"):
        for _ in range(7):
            robber.rob(world.victim(points=2000))
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(dict(world.outputs)), "utf-8")

    def ops(*arguments: str) -> Any:
        code = (
            "import pathlib, sys; from ops import target; "
            f"target.LOCAL_OUTPUTS = pathlib.Path({str(outputs)!r}); "
            "from ops.__main__ import main; sys.exit(main(sys.argv[1:]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def line(robbers: Any) -> Any:
        return next((each for each in robbers if each["userId"] == robber.id), {})

    seen = eventually(
        lambda: line(shown(operator, "top-robbers")["robbers"]),
        lambda found: found.get("heistCount") == 7,
    )
    assert line(ops("report")["topRobbers"]["robbers"]) == seen
    assert ops("rebuild-stats", "--reason", "test")["applied"] is False
    rebuilt = ops("rebuild-stats", "--reason", "test", "--apply")
    assert (rebuilt["applied"], rebuilt["unreadable"]) == (True, 0)
    assert line(shown(operator, "top-robbers")["robbers"]) == seen
    assert line(ops("report")["topRobbers"]["robbers"]) == seen


def test_players_may_not_see_them(world: World) -> None:
    reply = world.player().get("/admin/stats/top-robbers")
    assert (reply.status, reply.body["error"]) == (403, "FORBIDDEN")


def test_a_report_that_does_not_exist_is_the_gateways_404(operator: Player) -> None:
    assert operator.get("/admin/stats/everything").status == 404


def test_the_window_begins_at_a_whole_hour(operator: Player) -> None:
    since = datetime.fromisoformat(shown(operator, "top-robbers")["since"])
    assert (since.minute, since.second, since.microsecond) == (0, 0, 0)
    assert 30 <= (datetime.now(UTC) - since).total_seconds() / 86400 < 30 + 1 / 24 + 0.01
