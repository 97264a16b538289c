"""The operator's program on the deployed application: settings, blocks, erasure."""

from collections.abc import Iterator

import pytest

from heist_core.storage.audit import audit_table
from heist_core.storage.table import Table
from tests.desk import Desk
from tests.e2e.world import World, eventually, unique

WHY = ("--reason", "a test", "--apply")


@pytest.fixture(autouse=True)
def settings_as_before(world: World) -> Iterator[None]:
    yield
    world.client("dynamodb").delete_item(
        TableName=world.outputs["TableName"], Key={"pk": {"S": "SETTINGS"}, "sk": {"S": "HEIST"}}
    )


def test_a_setting_changes_for_fresh_instances_and_back(world: World, desk: Desk) -> None:
    robber, victim = world.robber(tokens=2), world.victim(points=1000)
    before = desk("config")
    written = desk(
        "config", "--set", "HEIST_STEAL_PERCENTAGE=1", "--set", "HEIST_COOLDOWN_HOURS=0", *WHY
    )
    with world.settings(("execute_heist",)):  # which leaves fresh instances behind
        assert robber.rob(victim)["pointsStolen"] == 10

        desk("config", "--back", "0", *WHY)
    assert desk("config")["settings"] == before["settings"]
    assert written["version"] in [
        each["version"] for each in desk("config", "--history")["versions"]
    ]


def test_a_referral_while_awards_are_off_earns_its_token_when_they_are_on(
    world: World, desk: Desk
) -> None:
    player = world.player()
    sweep = {"FunctionName": world.function("sweep_notifications"), "Payload": b"{}"}
    desk("config", "--set", "HEIST_AWARDS_ENABLED=false", *WHY)
    with world.settings(("award_token", "sweep_notifications")):
        world.award(player.id)
        world.client("lambda").invoke(**sweep)
        assert player.tokens()["balance"] == 0

        desk("config", "--back", "0", *WHY)

    def balance_after_a_sweep() -> int:
        """An instance that the schedule keeps warm may have read the settings up to 30 s ago."""
        assert "FunctionError" not in world.client("lambda").invoke(**sweep)
        return int(player.tokens()["balance"])

    assert eventually(balance_after_a_sweep, bool) == 1
    player.inbox(1)


def test_a_blocked_player_is_kept_out_until_unblocked(world: World, desk: Desk) -> None:
    robber, victim = world.robber(), world.victim()
    desk("block", robber.id, *WHY)
    reply = robber.execute(victim)
    assert (reply.code, reply.body["message"]) == (
        "ATTACKER_BLOCKED",
        "You cannot take part in heists",
    )
    assert robber.can_rob(victim).body["code"] == "ATTACKER_BLOCKED"
    desk("unblock", robber.id, *WHY)
    desk("block", victim, *WHY)
    assert robber.execute(victim).code == "TARGET_NOT_FOUND"
    desk("unblock", victim, *WHY)
    robber.rob(victim)

    story = desk("player", robber.id)
    actions = [entry["what"] for entry in story["timeline"] if entry["kind"] == "action"]
    assert actions == ["unblock", "block"]
    heists = [entry["status"] for entry in story["timeline"] if entry["kind"] == "heist"]
    assert heists == ["SUCCESS", "FAILED", "FAILED"]


def test_an_erased_player_is_gone_for_everybody_and_the_table_is_sound(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.erase.SETTLING", 2 * (desk.target.now() - desk.target.now()))
    name, address = unique("Name"), f"{unique('mail')}@example.com"
    robber, friend = world.robber(name=name, email=address), world.player()
    victim = world.victim(points=500)
    robber.rob(victim)
    robber.inbox(2)
    eventually(lambda: world.mails_to(address), lambda mails: len(mails) == 1)

    desk("erase", robber.id, *WHY)

    world.profile(robber.id, name=name)
    world.award(robber.id)
    assert robber.tokens() == friend.tokens()
    assert robber.notifications()["notifications"] == []
    assert robber.execute(victim).code == "NO_TOKENS"
    client = world.client("dynamodb")
    table = Table(client, world.outputs["TableName"])
    assert name not in str(list(table.scan(lambda _: None)))
    _, violations = audit_table(table, rounds=3)
    assert [each for each in violations if robber.id in each.subject] == []
