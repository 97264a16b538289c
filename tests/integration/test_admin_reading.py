"""What operators and support see by the API: a player, a heist, the log, settings, letters."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from heist_core.domain.action import Action
from heist_core.http.cursors import cursor_of
from heist_core.storage import keys, operator
from tests.builders import NOW, Event, api_event, sample
from tests.fakes import NOTIFIER
from tests.integration.game import Answer, Game
from tests.integration.operators import Desk

ROUTES = (
    *("players/{userId}", "heists/{heistId}", "actions", "settings"),
    *("dead-letters", "audit"),
)
WHY = ("--reason", "chargeback", "--apply")


def asked(route: str, groups: object = "[operators]", caller: str = "olga", **event: Any) -> Event:
    made = api_event("read_admin", caller, **event)
    made["routeKey"] = f"GET /api/heist/admin/{route}"
    made["requestContext"]["authorizer"]["jwt"]["claims"]["cognito:groups"] = groups
    return made


def show(game: Game, route: str, **event: Any) -> Answer:
    return game.request("read_admin", asked(route, **event))


def player(game: Game, player_id: str, **query: str) -> Any:
    answer = show(game, "players/{userId}", path={"userId": player_id}, query=query)
    assert answer.status == 200, answer
    return answer.body


def pages(game: Game, player_id: str, limit: int) -> Iterator[list[Any]]:
    query = {"limit": str(limit)}
    while True:
        page = player(game, player_id, **query)
        yield page["timeline"]
        if page["nextCursor"] is None:
            return
        query["cursor"] = page["nextCursor"]


@pytest.fixture
def played(game: Game, desk: Desk) -> Game:
    """alice robbed bob, was refused then, brought eve, and had her heist reversed."""
    game.give("alice", points=1000, tokens=1, name="Alice", email="alice@example.com")
    game.give("bob", points=800, name="<script>Bob", email="bob@example.com")
    game.time.pass_(minutes=1)
    robbed = game.rob("alice", "bob", "key-1").body["heistId"]
    game.time.pass_(minutes=1)
    assert game.rob("alice", "bob", "key-2").body["code"] == "NO_TOKENS"
    game.sweep()
    desk("reverse", robbed, *WHY)
    game.sweep()
    desk("block", "bob", *WHY)
    game.heist_id = robbed  # type: ignore[attr-defined]
    return game


def heist_of(game: Game) -> str:
    found: str = game.heist_id  # type: ignore[attr-defined]
    return found


def test_a_players_whole_timeline_is_in_one_answer(played: Game) -> None:
    shown = player(played, "alice")

    assert shown["player"] | {"version": 0} == {
        "userId": "alice",
        "name": "Alice",
        "email": "alice@example.com",
        "locale": None,
        "suppressed": None,
        "emailOptOut": False,
        "blocked": False,
        "blockedAt": None,
        "erasedAt": None,
        "firstSeenAt": "2026-11-22T12:00:03.117Z",
        "tokens": 0,
        "totalEarned": 1,
        "totalSpent": 1,
        "tokensGranted": 0,
        "lastEarnedAt": "2026-11-22T12:00:03.117Z",
        "lastSpentAt": "2026-11-22T12:01:03.117Z",
        "points": {"2026-11": 1000},
        "losses": {},
        "lastHeistAt": "2026-11-22T12:01:03.117Z",
        "lastRobbedAt": None,
        "passive": False,
        "hidden": False,
        "emailChoices": {},
        "version": 0,
        "broughtBy": None,
    }
    kinds = [
        (entry["kind"], entry.get("status", entry.get("state"))) for entry in shown["timeline"]
    ]
    assert sorted(kinds, key=str) == [
        ("action", None),
        ("award", None),
        ("heist", "FAILED"),
        ("heist", "REVERSED"),
        ("inbox", None),
        ("inbox", None),
        ("inbox", None),
        ("ledger", None),
        ("ledger", None),
        ("ledger", None),
        ("mail", "SENT"),
        ("mail", "SENT"),
        ("mail", "SUPPRESSED"),
    ]
    times = [entry["at"] for entry in shown["timeline"]]
    assert times == sorted(times, reverse=True)
    refused = next(one for one in shown["timeline"] if one.get("status") == "FAILED")
    assert (refused["code"], refused["otherUserId"]) == ("NO_TOKENS", "bob")
    reversed_by = next(one for one in shown["timeline"] if one["kind"] == "action")
    assert (reversed_by["what"], reversed_by["why"]) == ("reverse", "chargeback")
    assert "203.0.113" not in str(shown)


def test_the_other_side_has_its_own_view(played: Game) -> None:
    shown = player(played, "bob")

    assert shown["player"]["blocked"]
    assert shown["player"]["name"] == "<script>Bob"
    robbed = next(one for one in shown["timeline"] if one["kind"] == "heist")
    assert (robbed["role"], robbed["points"], robbed["pointsReturned"]) == ("victim", -40, 40)
    assert not [one for one in shown["timeline"] if one.get("status") == "FAILED"]
    assert {one["what"] for one in shown["timeline"] if one["kind"] == "action"} == {
        "block",
        "reverse",
    }


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_together_are_the_timeline_and_none_repeats(played: Game, limit: int) -> None:
    whole = player(played, "alice", limit="100")["timeline"]

    assert list(itertools.chain.from_iterable(pages(played, "alice", limit))) == whole


def test_what_happens_between_two_pages_moves_nothing(played: Game) -> None:
    whole = player(played, "alice", limit="100")["timeline"]
    first = player(played, "alice", limit="5")
    played.time.pass_(minutes=1)
    played.give("alice", points=5)

    rest = player(played, "alice", limit="100", cursor=first["nextCursor"])

    assert first["timeline"] + rest["timeline"] == whole


def test_a_cursor_is_good_for_one_caller_and_one_player(played: Game) -> None:
    cursor = player(played, "alice", limit="2")["nextCursor"]
    path = {"userId": "bob"}

    for event in (
        {"path": path, "query": {"cursor": cursor}},
        {"path": {"userId": "alice"}, "query": {"cursor": cursor}, "caller": "otto"},
        {"path": path, "query": {"cursor": "made-up"}},
        {"path": path, "query": {"limit": "0"}},
        {"path": path, "query": {"limit": "101"}},
        {"path": {"userId": "a b"}},
    ):
        answer = show(played, "players/{userId}", **event)
        assert answer.status == 400, event
        assert answer.body["errors"][0]["path"][0] in ("cursor", "limit", "userId")
    moved = show(played, "actions", query={"cursor": cursor})
    assert moved.status == 400


def test_a_cursor_that_somebody_made_up_with_its_seal_is_refused(game: Game) -> None:
    route = "GET /api/heist/admin/actions"
    for position in (("all",), ("all", "yesterday", "x"), ("all", "1", "2", "3"), ("bob", "", "")):
        cursor = cursor_of("olga", route, *position)
        assert show(game, "actions", query={"cursor": cursor}).status == 400
    late = cursor_of("olga", route, "all", "9999-12-31T00:00:00.000Z", "x")
    assert show(game, "actions", query={"cursor": late}).status == 200


def test_what_is_not_there_is_a_404(game: Game) -> None:
    for route, path in (
        ("players/{userId}", {"userId": "nobody"}),
        ("heists/{heistId}", {"heistId": "none"}),
        ("heists/{heistId}", {"heistId": "x" * 3000}),
        ("heists/{heistId}", {"heistId": "a#b"}),
    ):
        answer = show(game, route, path=path)
        assert (answer.status, answer.body["error"]) == (404, "NOT_FOUND")


def test_a_heist_is_shown_with_all_that_followed(played: Game) -> None:
    heist_id = heist_of(played)

    found = show(played, "heists/{heistId}", path={"heistId": heist_id}).body

    assert found["heist"]["status"] == "REVERSED"
    assert found["heist"]["pointsStolen"] == found["reversal"]["pointsReturned"] == 40
    assert sorted((one["userId"], one["points"]) for one in found["ledger"]) == [
        ("alice", -40),
        ("alice", 40),
        ("bob", -40),
        ("bob", 40),
    ]
    assert len(found["notifications"]) == 4
    assert {one["mail"]["state"] for one in found["notifications"]} == {"SENT"}
    assert all(one["inbox"]["message"] for one in found["notifications"])
    assert [one["what"] for one in found["actions"]] == ["reverse"]
    assert found["owed"] == ["event", "statistics"] or found["owed"] == []
    assert "203.0.113" not in str(found)


def test_a_refused_attempt_is_shown_with_its_code(played: Game) -> None:
    refused = next(
        one for one in player(played, "alice")["timeline"] if one.get("status") == "FAILED"
    )

    found = show(played, "heists/{heistId}", path={"heistId": refused["heistId"]}).body

    assert (found["heist"]["status"], found["heist"]["code"]) == ("FAILED", "NO_TOKENS")
    assert found["ledger"] == found["notifications"] == []


def test_the_log_is_paged_through_months_newest_first(game: Game) -> None:
    for number, days in enumerate((0, 40, 70, 200)):
        at = NOW - timedelta(days=days)
        done = Action(f"id-{number}", at, "olga", "block", f"player {number}", "x", {}, {"n": 3})
        game.put(operator.action_item(done))
    found, query = [], {"limit": "1"}
    while True:
        page = show(game, "actions", query=query).body
        found += page["actions"]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert [one["subject"] for one in found] == ["player 0", "player 1", "player 2", "player 3"]
    assert found[0]["after"] == {"n": 3}


def test_settings_are_shown_with_source_and_versions(
    game: Game, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIST_COOLDOWN_HOURS", "12")
    before = show(game, "settings").body
    desk("config", "--set", "HEIST_STEAL_PERCENTAGE=7", *WHY)
    after = show(game, "settings").body

    assert (before["version"], before["versions"]) == (0, [])
    sources = {one["name"]: (one["value"], one["source"]) for one in after["settings"]}
    assert sources["HEIST_COOLDOWN_HOURS"] == (12, "variable")
    assert sources["HEIST_STEAL_PERCENTAGE"] == (7, "settings item")
    assert sources["HEIST_ENABLED"] == (True, "default")
    assert after["version"] == 1
    assert after["versions"][0]["changes"] == {"HEIST_STEAL_PERCENTAGE": 7}
    assert after["versions"][0]["reason"] == "chargeback"


def test_settings_that_are_not_valid_are_said_to_be(game: Game) -> None:
    game.set_settings(HEIST_STEAL_PERCENTAGE="lots")

    shown = show(game, "settings").body

    assert "HEIST_STEAL_PERCENTAGE: must be a whole number" in shown["problem"]
    assert {"name": "HEIST_STEAL_PERCENTAGE", "value": 5, "source": "default"} in shown["settings"]


def test_dead_letters_are_counted_and_stay_where_they_are(game: Game) -> None:
    event = {"source": "points", "detail-type": "PointsEarned", "detail": {"secret": "x" * 999}}
    game.queues.put({"event": event, "reason": "points: is required"})
    game.queues.put({"kind": "mail", "state": "FAILED", "heistId": "h1", "reason": "x"}, NOTIFIER)

    shown = show(game, "dead-letters").body

    assert (shown["waiting"], shown["inOtherHands"], shown["nextCursor"]) == (2, 0, None)
    assert {one["cause"]: one["letters"] for one in shown["causes"]} == {
        "points: is required": 1,
        "x": 1,
    }
    assert "secret" not in str(shown)
    assert game.queues.hidden == set()


def test_the_last_audit_is_null_before_the_first_and_then_what_it_found(game: Game) -> None:
    assert show(game, "audit").text == "null"
    game.give("alice", points=10)
    game.call("audit_table", sample("audit_table"))
    sound = show(game, "audit").body
    game.change(keys.player("alice"), {"tokens": 99})
    game.call("audit_table", sample("audit_table"))
    unsound = show(game, "audit").body

    assert (sound["violationCount"], sound["violations"], sound["players"]) == (0, [], 1)
    assert sound["pointsEarned"] == {"2026-11": 10}
    assert unsound["violationCount"] == len(unsound["violations"]) > 0
    assert unsound["violations"][0]["subject"].endswith("alice")


def test_the_command_shows_what_the_route_does(played: Game, desk: Desk) -> None:
    assert desk("player", "alice")["player"] == player(played, "alice")["player"]
    assert desk("player", "alice")["timeline"] == player(played, "alice")["timeline"]
    heist_id = heist_of(played)
    route = show(played, "heists/{heistId}", path={"heistId": heist_id}).body
    assert desk("heist", heist_id) == route
    assert desk("actions")["actions"][::-1] == show(played, "actions").body["actions"]
    assert desk("audit", "--last")["audit"] is None
    assert "no nightly audit yet" in desk.shown("audit", "--last")
    played.call("audit_table", sample("audit_table"))
    assert "0 violations" in desk.shown("audit", "--last")


def test_whoever_is_neither_operator_nor_support_sees_nothing(played: Game) -> None:
    path = {"userId": "alice", "heistId": heist_of(played)}
    for route in ROUTES:
        for group in ("[operators]", "[support]"):
            assert show(played, route, groups=group, path=path).status == 200, (route, group)
        for groups in (None, "[players]", 7):
            answer = show(played, route, groups=groups, path=path)
            assert (answer.status, answer.body["error"]) == (403, "FORBIDDEN"), (route, groups)
