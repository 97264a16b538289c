"""Preferences and fair play from outside, on a deployed stack."""

from datetime import UTC, datetime, timedelta

from tests.e2e.world import Player, World

RULES = ("execute_heist", "check_target")
DEFAULTS = {
    "passive": False,
    "passiveLockedUntil": None,
    "hidden": False,
    "email": {"robbed": "instant", "success": "instant", "reversed": "instant", "token": "off"},
}


def refused(robber: Player, target: str) -> tuple[str, dict[str, str]]:
    """The code and the details, which both routes give."""
    reply, asked = robber.execute(target), robber.can_rob(target).body
    assert reply.status == 400, reply
    assert (asked["code"], asked["reason"]) == (reply.code, reply.body["message"])
    assert asked["details"] == reply.body["details"]
    return str(reply.code), reply.body["details"]


def hours_from_now(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime.now(UTC)) / timedelta(hours=1)


def test_preferences_are_kept_and_a_switch_locks_the_next(world: World) -> None:
    player = world.player()
    assert player.get("/preferences").body == DEFAULTS
    after = player.put("/preferences", {"hidden": True, "email": {"token": "daily"}, "x": 1})
    email = {**DEFAULTS["email"], "token": "daily"}  # type: ignore[dict-item]
    assert (after.status, after.body) == (200, {**DEFAULTS, "hidden": True, "email": email})

    on = player.put("/preferences", {"passive": True})
    until = on.body["passiveLockedUntil"]
    assert 23.9 < hours_from_now(until) <= 24
    off = player.put("/preferences", {"passive": False, "hidden": False})
    assert (off.status, off.body["error"]) == (409, "PASSIVE_LOCKED")
    assert off.body["details"] == {"lockedUntil": until}
    wrong = player.put("/preferences", {"email": {"x": "off"}})
    assert (wrong.status, wrong.body["errors"][0]["path"]) == (400, ["email", "x"])
    assert player.get("/preferences").body == on.body


def test_whoever_is_passive_neither_robs_nor_is_robbed(world: World) -> None:
    robber, target = world.robber(), world.player()
    target.put("/preferences", {"passive": True, "hidden": True})
    world.earn(target.id, 100)
    assert refused(robber, target.id) == ("TARGET_PASSIVE", {})
    assert refused(target, robber.id)[0] == "ATTACKER_PASSIVE"


def test_limits_of_pairs_and_newcomers_are_settings(world: World) -> None:
    robber, victim = world.robber(tokens=2), world.victim(points=1000)
    free = {"HEIST_COOLDOWN_HOURS": "0", "HEIST_TARGET_COOLDOWN_HOURS": "0"}
    with world.settings(RULES, **free, HEIST_PAIR_COOLDOWN_HOURS="5"):
        robber.rob(victim)
        code, details = refused(robber, victim)
        assert (code, [*details]) == ("PAIR_COOLDOWN", ["pairEndsAt"])
    with world.settings(RULES, **free, HEIST_NEWCOMER_HOURS="5"):
        code, details = refused(robber, victim)
        assert (code, [*details]) == ("ATTACKER_NEW", ["newcomerUntil"])
        assert 4.9 < hours_from_now(details["newcomerUntil"]) <= 5
