"""The operator's program on the deployed application: settings and erasure."""

import pytest

from heist_core.storage import keys
from heist_core.storage.audit import audit_table
from tests.desk import Desk
from tests.e2e.world import World, address, unique

WHY = ("--reason", "a test", "--apply")


def test_a_setting_changes_for_fresh_instances_and_back(
    world: World, desk: Desk, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: world.table.delete(keys.SETTINGS))
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


def test_an_erased_player_is_gone_for_everybody_and_the_table_is_sound(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.erase.SETTLING", 2 * (desk.target.now() - desk.target.now()))
    name, theirs = unique("Name"), address()
    robber, friend = world.robber(name=name, email=theirs), world.player()
    victim = world.victim(points=500)
    robber.rob(victim)
    robber.inbox(2)
    world.first_mail_to(theirs)

    desk("erase", robber.id, *WHY)

    world.profile(robber.id, name=name)
    world.award(robber.id)
    assert robber.tokens() == friend.tokens()
    assert robber.notifications()["notifications"] == []
    assert robber.execute(victim).code == "NO_TOKENS"
    assert name not in str(list(world.table.scan(lambda _: None)))
    _, violations = audit_table(world.table, rounds=3)
    assert [each for each in violations if robber.id in each.subject] == []
