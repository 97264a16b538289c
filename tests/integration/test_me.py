"""A player's home screen in one call."""

from typing import Any

from tests.builders import api_event, sample
from tests.integration.game import Game


def me(game: Game, caller: str = "alice") -> Any:
    answer = game.request("show_player", api_event("show_player", caller))
    assert answer.status == 200, answer
    return answer.body


NEVER_SEEN = {
    "userId": "alice",
    "name": None,
    "enabled": True,
    "blocked": False,
    "season": {"id": "2026-11", "endsAt": "2026-12-01T00:00:00.000Z"},
    "points": 0,
    "rank": None,
    "tokens": 0,
    "cooldownEndsAt": None,
    "protectionEndsAt": None,
    "passive": False,
    "passiveLockedUntil": None,
    "newcomerUntil": None,
    "losses": {"robberies": 0, "points": 0},
    "unreadCount": 0,
    "rules": {
        "cooldownHours": 24,
        "targetCooldownHours": 48,
        "stealPercentage": 5,
        "maxStealPoints": 100,
        "minTargetPoints": 20,
        "maxRobberiesPerSeason": 0,
        "maxLossPercentage": 100,
        "pairCooldownHours": 0,
        "newcomerHours": 0,
    },
}


def test_a_player_never_seen_gets_zeros_and_nulls(game: Game) -> None:
    assert me(game) == NEVER_SEEN


def test_a_robber_and_a_victim_see_what_a_heist_did(game: Game) -> None:
    game.give("alice", points=100, tokens=2, name="Alice")
    game.give("bob", points=800, name="Bob")
    game.rob("alice", "bob")
    game.sweep()
    robber, victim = me(game), me(game, "bob")
    at = {"exact": True, "asOf": robber["rank"]["asOf"]}
    expected = {
        "name": "Alice",
        "points": 140,
        "tokens": 1,
        "cooldownEndsAt": "2026-11-23T12:00:03.117Z",
        "passiveLockedUntil": "2026-11-23T12:00:03.117Z",
        "rank": {"value": 2, "players": 2, **at},
    }
    assert robber == {**NEVER_SEEN, **expected, "unreadCount": robber["unreadCount"]}
    assert robber["unreadCount"] == len(game.inbox("alice")) > 0
    assert victim["protectionEndsAt"] == "2026-11-24T12:00:03.117Z"
    assert victim["losses"] == {"robberies": 1, "points": 40}
    assert (victim["rank"]["value"], victim["points"]) == (1, 760)


def test_times_that_are_over_are_null(game: Game) -> None:
    game.give("alice", points=100, tokens=1)
    game.give("bob", points=800)
    game.rob("alice", "bob")
    game.time.pass_(hours=24)
    assert me(game)["cooldownEndsAt"] is None
    assert me(game, "bob")["protectionEndsAt"] is not None
    game.time.pass_(hours=24)
    assert me(game, "bob")["protectionEndsAt"] is None


def test_a_rank_is_by_the_points_of_now_on_the_board_of_the_last_minute(game: Game) -> None:
    for name, points in {"alice": 10, "bob": 20, "carol": 30}.items():
        game.give(name, points=points)
    game.call("keep_leaderboard", sample("keep_leaderboard"))
    assert me(game)["rank"]["value"] == 3
    game.give("alice", points=15)
    rank = me(game)["rank"]
    assert rank == {
        "value": 2,
        "players": 3,
        "exact": True,
        "asOf": "2026-11-22T12:00:03.117Z",
    }


def test_whoever_is_blocked_is_told_so_and_has_no_rank(game: Game) -> None:
    game.give("alice", points=10)
    game.block("alice")
    body = me(game)
    assert (body["blocked"], body["rank"], body["points"]) == (True, None, 10)


def test_whoever_was_erased_looks_never_seen(game: Game) -> None:
    game.give("alice", points=10, tokens=1)
    game.freeze("alice")
    assert me(game) == NEVER_SEEN


def test_the_settings_shown_are_those_in_effect(game: Game) -> None:
    game.set_settings(HEIST_STEAL_PERCENTAGE=7, HEIST_ENABLED=False, HEIST_NEWCOMER_HOURS=24)
    game.give("alice", points=10)
    body = me(game)
    assert (body["enabled"], body["rules"]["stealPercentage"]) == (False, 7)
    assert body["newcomerUntil"] == "2026-11-23T12:00:03.117Z"
