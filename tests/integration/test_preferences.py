"""GET and PUT /preferences: what a player chose, and when passive mode may be switched."""

from collections.abc import Mapping
from typing import Any

import pytest

from heist_core.storage import keys
from tests.builders import api_event, bus_event
from tests.integration.game import Answer, Game

EMAIL = {"robbed": "instant", "success": "instant", "reversed": "instant", "token": "off"}
DEFAULTS = {"passive": False, "passiveLockedUntil": None, "hidden": False, "email": EMAIL}
NOON = "2026-11-22T12:00:03.117Z"
IN_A_DAY = "2026-11-23T12:00:03.117Z"


def preferences(game: Game, caller: str = "alice") -> dict[str, Any]:
    event = api_event("manage_preferences", caller)
    event["routeKey"] = "GET /api/heist/preferences"
    answer = game.request("manage_preferences", event)
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.body
    return body


def put(game: Game, caller: str = "alice", /, **body: object) -> Answer:
    return game.request("manage_preferences", api_event("manage_preferences", caller, body=body))


def chosen(game: Game, caller: str = "alice", /, **body: object) -> dict[str, Any]:
    """What the answer of a change and the next look agree on."""
    answer = put(game, caller, **body)
    assert answer.status == 200, answer
    assert answer.body == preferences(game, caller)
    after: dict[str, Any] = answer.body
    return after


def code(game: Game, attacker: str, victim: str) -> str:
    body = game.rob(attacker, victim).body
    return str(body.get("code", "SUCCESS"))


def playing(game: Game) -> None:
    game.give("alice", tokens=2, points=800)
    game.give("bob", tokens=2, points=800)


# What is shown and kept


def test_a_player_never_seen_has_the_defaults_and_stays_unknown(game: Game) -> None:
    assert preferences(game) == DEFAULTS
    assert chosen(game) == DEFAULTS
    assert chosen(game, email={}) == DEFAULTS
    assert game.item(keys.player("alice")) is None


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ({"hidden": True}, {"hidden": True}),
        ({"passive": True}, {"passive": True, "passiveLockedUntil": IN_A_DAY}),
        ({"email": {"token": "daily"}}, {"email": {**EMAIL, "token": "daily"}}),
        ({"hidden": False}, {}),
        ({"email": {"robbed": "instant"}}, {}),
    ],
)
def test_setting_any_makes_a_player_never_seen_exist(
    game: Game, body: Mapping[str, object], after: Mapping[str, object]
) -> None:
    assert chosen(game, **body) == {**DEFAULTS, **after}
    alice = game.player("alice")
    assert alice.exists
    assert alice.first_seen_at == game.time()
    game.give("bob", tokens=1)
    expected = "TARGET_PASSIVE" if "passive" in body else "TARGET_BELOW_MINIMUM"
    assert code(game, "bob", "alice") == expected


def test_what_is_absent_stays_as_it_is(game: Game) -> None:
    chosen(game, hidden=True, email={"robbed": "daily", "token": "instant"})
    after = chosen(game, passive=True, email={"robbed": "off"})
    assert after["hidden"]
    assert after["passive"]
    assert after["email"] == {**EMAIL, "robbed": "off", "token": "instant"}
    assert chosen(game) == after


def test_all_can_be_taken_back(game: Game) -> None:
    game.restart(HEIST_PASSIVE_LOCK_HOURS=0)
    chosen(game, passive=True, hidden=True)
    assert chosen(game, passive=False, hidden=False) == DEFAULTS
    item = game.stored(keys.player("alice"))
    assert not {"passive", "hidden", "emailChoices"} & item.keys()


def test_the_same_again_writes_nothing(game: Game) -> None:
    chosen(game, hidden=True, passive=True, email={"robbed": "off"})
    before = game.item(keys.player("alice"))
    chosen(game, hidden=True, passive=True, email={"robbed": "off"})
    chosen(game)
    assert game.item(keys.player("alice")) == before


def test_a_change_bumps_the_version_and_touches_nothing_else(game: Game) -> None:
    playing(game)
    before = game.stored(keys.player("alice"))
    chosen(game, passive=True)
    after = game.item(keys.player("alice"))
    assert after == {
        **before,
        "passive": True,
        "passiveSwitchedAt": NOON,
        "version": before["version"] + 1,  # type: ignore[operator]
    }


def test_profiles_points_tokens_and_seasons_leave_them_alone(game: Game) -> None:
    before = chosen(game, passive=True, hidden=True, email={"success": "off"})
    game.call("upsert_player", bus_event("upsert_player", userId="alice", name="A", email=None))
    playing(game)
    assert preferences(game) == before
    game.time.pass_(days=40)
    assert preferences(game) == {**before, "passiveLockedUntil": None}


def test_unknown_members_are_ignored_at_the_top(game: Game) -> None:
    assert chosen(game, colour="red", email={}) == DEFAULTS


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"passive": "true"}, ["passive"]),
        ({"passive": None}, ["passive"]),
        ({"passive": 1}, ["passive"]),
        ({"hidden": 0}, ["hidden"]),
        ({"email": None}, ["email"]),
        ({"email": "off"}, ["email"]),
        ({"email": []}, ["email"]),
        ({"email": {"robbed": "weekly"}}, ["email", "robbed"]),
        ({"email": {"robbed": None}}, ["email", "robbed"]),
        ({"email": {"success": True}}, ["email", "success"]),
        ({"email": {"reversed": "OFF"}}, ["email", "reversed"]),
        ({"email": {"tokens": "off"}}, ["email", "tokens"]),
    ],
)
def test_a_wrong_member_is_named_and_nothing_is_applied(
    game: Game, body: dict[str, object], path: list[str]
) -> None:
    answer = put(game, **{"passive": True, "hidden": True, **body})
    assert answer.status == 400
    (issue,) = answer.body["errors"]
    assert issue["path"] == path
    assert issue["message"].startswith(f"{'.'.join(path)}: ")
    assert preferences(game) == DEFAULTS


@pytest.mark.parametrize("body", ["", "[]", "{", "null", '{"hidden": true, "hidden": true}'])
def test_a_body_that_is_no_object_is_a_400(game: Game, body: str) -> None:
    assert game.request(
        "manage_preferences", api_event("manage_preferences", body=body)
    ).status == (400)


# Passive mode


def test_whoever_is_passive_neither_robs_nor_is_robbed(game: Game) -> None:
    playing(game)
    chosen(game, passive=True)
    assert code(game, "alice", "bob") == "ATTACKER_PASSIVE"
    assert code(game, "bob", "alice") == "TARGET_PASSIVE"
    game.time.pass_(hours=24)
    chosen(game, passive=False)
    assert code(game, "bob", "alice") == "SUCCESS"
    assert code(game, "alice", "bob") == "SUCCESS"


def test_a_hidden_player_can_be_robbed(game: Game) -> None:
    playing(game)
    chosen(game, hidden=True)
    assert code(game, "bob", "alice") == "SUCCESS"


@pytest.mark.parametrize("switch", [True, False])
def test_a_switch_is_locked_until_its_end_and_a_409_applies_nothing(
    game: Game, switch: bool
) -> None:
    if not switch:
        chosen(game, passive=True)
        game.time.pass_(hours=24)
    locked = chosen(game, passive=switch)["passiveLockedUntil"]
    game.time.pass_(hours=23)
    before = game.item(keys.player("alice"))
    answer = put(game, passive=not switch, hidden=True, email={"robbed": "off"})
    assert answer.status == 409
    assert answer.body == {
        "success": False,
        "error": "PASSIVE_LOCKED",
        "message": "You can switch passive mode in 1 hour",
        "details": {"lockedUntil": locked},
    }
    assert game.item(keys.player("alice")) == before
    assert chosen(game, passive=switch, hidden=True)["hidden"]
    game.time.pass_(hours=1)
    assert chosen(game, passive=not switch)["passive"] is not switch


def test_a_400_comes_before_a_409(game: Game) -> None:
    chosen(game, passive=True)
    assert put(game, passive=False, email={"x": "off"}).status == 400


def test_a_heist_locks_switching_on_also_once_it_is_reversed(game: Game) -> None:
    playing(game)
    heist_id = game.rob("alice", "bob").body["heistId"]
    assert preferences(game)["passiveLockedUntil"] == IN_A_DAY
    assert preferences(game, "bob")["passiveLockedUntil"] is None
    game.reverse(heist_id, refund=True)
    assert put(game, passive=True).body["details"] == {"lockedUntil": IN_A_DAY}
    assert chosen(game, passive=False, hidden=True)["passiveLockedUntil"] == IN_A_DAY
    game.time.pass_(hours=24)
    assert chosen(game, passive=True)["passive"]


def test_the_lock_follows_todays_setting(game: Game) -> None:
    chosen(game, passive=True)
    game.time.pass_(hours=1)
    game.set_settings(HEIST_PASSIVE_LOCK_HOURS=2)
    assert preferences(game)["passiveLockedUntil"] == "2026-11-22T14:00:03.117Z"
    game.set_settings(HEIST_PASSIVE_LOCK_HOURS=1)
    game.settings_are_due()
    assert preferences(game)["passiveLockedUntil"] is None
    assert not chosen(game, passive=False)["passive"]


# Who is blocked or erased


def test_a_blocked_player_may_choose(game: Game) -> None:
    playing(game)
    state = game.stored(keys.player("alice"))
    game.put({**state, "blockedAt": NOON})
    assert chosen(game, passive=True)["passive"]


def test_of_an_erased_player_nothing_is_shown_or_kept(game: Game) -> None:
    playing(game)
    chosen(game, passive=True, hidden=True)
    game.change(keys.player("alice"), {"erasedAt": NOON})
    before = game.item(keys.player("alice"))
    assert chosen(game, hidden=True, passive=True, email={"robbed": "off"}) == DEFAULTS
    assert game.item(keys.player("alice")) == before


# Races


def test_a_heist_that_comes_first_locks_the_switch(game: Game) -> None:
    """Read before the heist, written after it."""
    playing(game)
    game.once_before("update_item", lambda: game.rob("alice", "bob"))
    answer = put(game, passive=True)
    assert (answer.status, answer.body["error"]) == (409, "PASSIVE_LOCKED")
    assert not game.player("alice").preferences.passive


@pytest.mark.parametrize(("who", "expected"), [("alice", "ATTACKER"), ("bob", "TARGET")])
def test_a_switch_that_comes_first_stops_the_heist(game: Game, who: str, expected: str) -> None:
    playing(game)
    game.once_before("transact_write_items", lambda: chosen(game, who, passive=True))
    assert code(game, "alice", "bob") == f"{expected}_PASSIVE"


def test_of_two_switches_at_once_one_is_locked_or_the_same(game: Game) -> None:
    chosen(game, hidden=True)
    game.once_before("update_item", lambda: put(game, passive=True))
    before = put(game, hidden=False)
    assert before.status == 200
    assert before.body["passive"]
    assert not before.body["hidden"]
