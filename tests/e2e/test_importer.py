"""An import, then play: what the old system knew of players holds on the deployed stack."""

import csv
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heist_core.storage import keys
from heist_core.storage.bucket import Bucket
from heist_core.storage.importing import parts
from ops.target import OperatorError
from tests.desk import Desk
from tests.e2e.world import World, eventually, unique


@pytest.fixture
def desk(desk: Desk, world: World) -> Desk:
    """On the stack's table, as one that nothing was imported into."""
    world.table.delete(keys.IMPORT)
    return desk


def ago(**span: float) -> str:
    moment = datetime.now(UTC) - timedelta(**span)
    return moment.replace(tzinfo=None).isoformat(" ", timespec="milliseconds")


def write(folder: Path, table: str, header: str, *rows: tuple[object, ...]) -> None:
    with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(), *rows])


APPLY = ("--reason", "import", "--apply")


def old_system(folder: Path, robber: str, resting: str, victim: str, friend: str) -> None:
    """The export of a system in which two have robbed, and one brought a friend."""
    write(
        folder,
        "User",
        "id name email monthly_points referred_by_user_id updated_at",
        (robber, "Ada", "", 200, "", ago(days=2)),
        (resting, 'Bo "the cat"', "", 140, "", ago(days=2)),
        (victim, "Cy", "", 800, "", ago(days=2)),
        (friend, "Di", "", 60, robber, ago(days=2)),
    )
    write(
        folder,
        "HeistToken",
        "user_id balance total_earned total_spent last_earned_at last_spent_at",
        (robber, 2, 3, 1, ago(days=9), ago(days=5)),
        (resting, 1, 2, 1, ago(days=9), ago(hours=2)),
    )
    write(
        folder,
        "Heist",
        "id attacker_id victim_id points_stolen attacker_points_before attacker_points_after "
        "victim_points_before victim_points_after status created_at",
        (unique("h"), robber, victim, 10, 0, 10, 200, 190, "SUCCESS", ago(days=5)),
        (unique("h"), resting, friend, 3, 137, 140, 63, 60, "SUCCESS", ago(hours=2)),
    )


@pytest.mark.parametrize("how", [(), ("--in-parts",)], ids=["in one process", "in parts"])
def test_imported_players_play_on_where_they_were(
    world: World, desk: Desk, tmp_path: Path, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "UNITS_IN_A_PART", 2)
    robber, resting, victim, friend = (world.player() for _ in range(4))
    old_system(tmp_path, robber.id, resting.id, victim.id, friend.id)
    season = f"{datetime.now(UTC):%Y-%m}"
    desk("import", str(tmp_path), "--season", season, *how, *APPLY)
    desk("rebuild-stats", *APPLY)  # no stream told of them: docs/operations.md, "Reports"

    assert robber.tokens()["balance"] == 2
    assert resting.tokens()["totalSpent"] == 1
    refusal = resting.execute(victim.id)
    assert (refusal.status, refusal.code) == (400, "COOLDOWN_ACTIVE")
    check = robber.can_rob(friend.id).body
    assert (check["eligible"], check["code"]) == (False, "TARGET_PROTECTED")
    assert robber.rob(victim.id)["pointsStolen"] == 40
    [told] = victim.inbox(1)
    assert told["message"].startswith("Oh no! Ada just pulled a heist on you and stole 40 ")
    referral = {"referrerUserId": robber.id, "referredUserId": friend.id, "referralId": "again"}
    world.deliver("award_token", "referrals", "ReferralCompleted", referral)
    assert robber.tokens()["balance"] == 1
    assert friend.notifications()["notifications"] == []


def test_an_import_in_parts_goes_on_after_a_run_that_failed_and_is_added_up_once(
    world: World, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run is stopped. The second is left alone by its operator, with parts that fail
    until their function is put right. The third repeats what is done."""
    monkeypatch.setattr(parts, "UNITS_IN_A_PART", 1)
    steps, machine = desk.target.steps, world.resource("ImportMachine")
    ids = [unique("imported") for _ in range(4)]
    old_system(tmp_path, *ids)
    season = f"{datetime.now(UTC):%Y-%m}"
    arguments = ("import", str(tmp_path), "--season", season, *APPLY, "--in-parts")

    def runs() -> dict[str, str]:
        listed = steps.list_executions(stateMachineArn=machine)["executions"]
        return {run["executionArn"]: run["status"] for run in listed}

    def ours() -> list[str]:
        return [status for run, status in runs().items() if run not in before]

    def stop(_seconds: float) -> None:
        (run,) = runs().keys() - before
        steps.stop_execution(executionArn=run)

    def leave(_seconds: float) -> None:
        raise KeyboardInterrupt

    def looking(sleep: Callable[[float], None]) -> None:
        desk.target.__dict__["clock"] = desk.target.clock._replace(sleep=sleep)

    def items() -> list[str]:
        return sorted(
            repr(item) for item in world.table.scan() if any(x in repr(item) for x in ids)
        )

    before = runs().keys()
    with world.settings(("import_part",), TABLE_NAME="nowhere"):
        looking(stop)
        with pytest.raises(OperatorError, match=r"is ABORTED.*The same command again"):
            desk(*arguments)
        looking(leave)
        with pytest.raises(KeyboardInterrupt):
            desk(*arguments)
    assert sorted(eventually(ours, lambda seen: "RUNNING" not in seen)) == ["ABORTED", "SUCCEEDED"]

    looking(time.sleep)
    report = desk(*arguments)
    assert report["table"] == report["sums"]
    assert len(ours()) == 2
    export, written = report["export"].replace(" of ", "-"), items()
    keys_left = Bucket(world.client("s3"), world.resource("ImportBucket")).keys(f"{export}-")
    assert {key.partition("/")[0] for key in keys_left} == {f"{export}-1"}

    desk(*arguments)
    assert len(ours()) == 3
    assert items() == written
