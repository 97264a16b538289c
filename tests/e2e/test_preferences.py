"""Preferences from outside, on a deployed stack; fair play is in tests/integration."""

from datetime import UTC, datetime, timedelta

from tests.e2e.world import World

DEFAULTS = {
    "passive": False,
    "passiveLockedUntil": None,
    "hidden": False,
    "email": {"robbed": "instant", "success": "instant", "reversed": "instant", "token": "off"},
}


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
