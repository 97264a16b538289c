"""An import, then play: what the old system knew of players holds on the deployed stack."""

import csv
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heist_core.storage import keys
from heist_core.storage.importing import parts
from heist_core.storage.keys import place_of
from heist_core.storage.wire import Item
from ops.target import OperatorError
from tests.desk import Desk
from tests.e2e.world import World, unique


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


def test_an_import_in_parts_goes_on_after_a_run_that_failed_and_ends_once(
    world: World, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run is stopped; parts of the second fail until its function is put right."""
    monkeypatch.setattr(parts, "UNITS_IN_A_PART", 1)
    steps, machine = desk.target.steps, world.resource("ImportMachine")
    ids = [unique("imported") for _ in range(4)]
    old_system(tmp_path, *ids)
    arguments = ("import", str(tmp_path), "--season", f"{datetime.now(UTC):%Y-%m}", *APPLY)

    def started() -> list[str]:
        runs = steps.list_executions(stateMachineArn=machine)["executions"]
        return [run["executionArn"] for run in runs]

    def stop_it(_seconds: float) -> None:
        (run,) = set(started()) - before
        steps.stop_execution(executionArn=run)

    def items() -> dict[str, Item]:
        everything = [item for item in world.table.scan() if any(one in str(item) for one in ids)]
        return {place_of(item): item for item in everything}

    def looking(sleep: Callable[[float], None]) -> None:
        desk.target.__dict__["clock"] = desk.target.clock._replace(sleep=sleep)

    before = set(started())
    with ExitStack() as broken:
        broken.enter_context(world.settings(("import_part",), TABLE_NAME="nowhere"))
        looking(stop_it)
        with pytest.raises(OperatorError, match=r"is ABORTED.*The same command again"):
            desk(*arguments, "--in-parts")
        assert items() == {}

        def mend(seconds: float) -> None:
            time.sleep(seconds)
            broken.close()

        looking(mend)
        report = desk(*arguments, "--in-parts")
    assert report["table"] == report["sums"]
    written = items()
    assert world.client("s3").list_objects_v2(Bucket=world.resource("ImportBucket"))["KeyCount"]

    looking(time.sleep)
    desk(*arguments, "--in-parts")
    desk(*arguments)
    assert items() == written
    assert len(set(started()) - before) == 3
