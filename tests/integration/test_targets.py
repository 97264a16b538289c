"""Whom a player could rob: found without a scan, by the rules of now, and spread over many."""

import random
from collections import Counter
from typing import Any

import pytest

from heist_core.storage import keys
from heist_core.use_cases import list_targets
from tests.builders import api_event, sample
from tests.integration.game import Answer, Game


def asked(game: Game, caller: str = "alice", **query: str) -> Answer:
    return game.request("list_targets", api_event("list_targets", caller, query=query))


def targets(game: Game, caller: str = "alice", limit: int = 50) -> list[Any]:
    answer = asked(game, caller, limit=str(limit))
    assert answer.status == 200, answer
    game.time.pass_(seconds=3)  # the limit of questions is a minute's
    found: list[Any] = answer.body["targets"]
    return found


def ids(found: list[Any]) -> set[str]:
    return {target["userId"] for target in found}


def robber(game: Game, points: int = 100, tokens: int = 9) -> None:
    game.restart(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    game.give("alice", points=points, tokens=tokens)


def test_a_target_says_what_a_heist_would_bring(game: Game) -> None:
    robber(game)
    game.give("bob", points=200, name="Bob")
    assert targets(game) == [
        {
            "userId": "bob",
            "name": "Bob",
            "points": 200,
            "potentialSteal": 10,
            "reason": "SUGGESTED",
        }
    ]
    assert game.rob("alice", "bob").body["pointsStolen"] == 10


def test_only_those_whom_the_rules_let_the_caller_rob_are_targets(game: Game) -> None:
    game.restart(HEIST_COOLDOWN_HOURS=0, HEIST_NEWCOMER_HOURS=24)
    game.give("alice", points=100, tokens=2)
    game.give("robbed", points=100)
    game.give("blocked", points=100)
    game.give("erased", points=100)
    for name in ("hidden", "passive"):
        game.give(name, points=100)
        game.prefer(name, **{name: True})
    game.give("bob", points=100)
    game.give("poor", points=19)
    game.time.pass_(days=1)
    game.give("new", points=100)
    game.block("blocked")
    game.freeze("erased")
    assert game.rob("alice", "robbed").status == 200
    assert ids(targets(game)) == {"bob"}


@pytest.mark.parametrize(
    ("tokens", "settings"),
    [(0, {}), (1, {"HEIST_ENABLED": "false"}), (1, {"HEIST_NEWCOMER_HOURS": 1})],
)
def test_whoever_cannot_rob_is_shown_nobody(
    game: Game, tokens: int, settings: dict[str, object]
) -> None:
    game.restart(**settings)
    game.give("alice", points=100, tokens=tokens)
    game.give("bob", points=100)
    assert targets(game) == []


def test_those_with_about_as_many_points_come_first(game: Game) -> None:
    robber(game)
    for name, points in {"near": 50, "far": 400, "nearer": 99, "rich": 401, "poor": 49}.items():
        game.give(name, points=points)
    assert ids(targets(game, limit=3)) == {"near", "far", "nearer"}
    assert ids(targets(game, limit=5)) == {"near", "far", "nearer", "rich", "poor"}


def test_the_reach_is_widened_until_there_is_nobody_left(game: Game) -> None:
    robber(game, points=1)
    for points in (100, 10_000, 1_000_000):
        game.give(f"p{points}", points=points)
    assert [target["points"] for target in targets(game)] == [100, 10_000, 1_000_000]


def test_a_player_without_points_is_shown_targets_too(game: Game) -> None:
    robber(game, points=0)
    game.give("bob", points=100)
    assert ids(targets(game)) == {"bob"}


def test_whoever_robbed_the_caller_lately_comes_first(game: Game) -> None:
    robber(game)
    game.give("mallory", points=5000, tokens=1)
    game.give("bob", points=100)
    heist_id = game.rob("mallory", "alice").body["heistId"]
    first, *others = targets(game)
    assert (first["userId"], first["reason"]) == ("mallory", "REVENGE")
    assert [(one["userId"], one["reason"]) for one in others] == [("bob", "SUGGESTED")]
    assert targets(game, limit=1)[0]["reason"] == "REVENGE"
    game.reverse(heist_id)
    assert {one["reason"] for one in targets(game)} == {"SUGGESTED"}


def test_revenge_is_over_after_a_week(game: Game) -> None:
    robber(game)
    game.give("mallory", points=100, tokens=1)
    game.rob("mallory", "alice")
    game.time.pass_(days=6, hours=23)
    assert targets(game)[0]["reason"] == "REVENGE"
    game.time.pass_(hours=2)
    game.give("mallory", points=1)
    assert {one["reason"] for one in targets(game)} <= {"SUGGESTED"}


def test_revenge_lasts_beyond_the_end_of_a_month(game: Game) -> None:
    robber(game)
    game.give("mallory", points=100, tokens=1)
    game.time.pass_(days=8)
    game.rob("mallory", "alice")
    game.time.pass_(days=2)
    game.give("mallory", points=100)
    (one,) = targets(game)
    assert (one["userId"], one["reason"]) == ("mallory", "REVENGE")


def test_a_hidden_robber_is_no_target_of_revenge(game: Game) -> None:
    robber(game)
    game.give("mallory", points=100, tokens=1)
    game.rob("mallory", "alice")
    game.prefer("mallory", hidden=True)
    assert targets(game) == []


@pytest.mark.not_on_moto
def test_every_player_in_reach_is_drawn_about_as_often(
    game: Game, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from a place that is drawn on, in two parts.

    Every run draws alike: of those that do not, one in a hundred is less even than this.
    """
    chance = random.Random(1)
    monkeypatch.setattr(random, "Random", lambda: chance)
    monkeypatch.setattr(list_targets, "PER_SHARD", 20)
    robber(game)
    for number in range(40):
        game.give(f"p{number}", points=60 + number % 7)
    game.call("keep_leaderboard", sample("keep_leaderboard"))
    drawn: Counter[str] = Counter()
    lists = []
    for _ in range(100):
        found = [target["userId"] for target in targets(game, limit=20)]
        lists.append(tuple(found))
        drawn.update(found)
    assert len(drawn) == 40
    assert max(drawn.values()) <= 3 * min(drawn.values())
    assert len(set(lists)) > 90


@pytest.mark.not_on_moto
def test_a_list_is_full_when_enough_are_in_reach(
    game: Game, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of those who are read at first are protected."""
    monkeypatch.setattr(list_targets, "PER_SHARD", 2)
    robber(game, tokens=30)
    for number in range(40):
        game.give(f"p{number}", points=60)
    game.call("keep_leaderboard", sample("keep_leaderboard"))
    for number in range(30):
        assert game.rob("alice", f"p{number}").status == 200
        game.time.pass_(seconds=10)  # the limit of attempts is a minute's
    game.restart(HEIST_COOLDOWN_HOURS=0)
    game.give("alice", tokens=1)
    assert ids(targets(game, limit=10)) == {f"p{number}" for number in range(30, 40)}


def test_where_nobody_may_be_robbed_the_board_is_read_once(game: Game) -> None:
    game.give("alice", points=100, tokens=1)
    for number in range(5):
        game.give(f"p{number}", points=5)
    game.call("keep_leaderboard", sample("keep_leaderboard"))
    queries: list[str] = []
    game.tap.before = lambda operation, request: queries.append(str(request.get("IndexName")))
    assert targets(game) == []
    assert queries.count("odd") == keys.BOARD_SHARDS


def test_questions_count_together_with_can_rob(game: Game) -> None:
    game.restart(HEIST_RATE_LIMIT_PER_MINUTE=1)
    for _ in range(2):
        assert asked(game).status == 200
    assert game.check("alice", "bob").status == 200
    answer = asked(game)
    assert (answer.status, answer.body["error"]) == (429, "RATE_LIMITED")


@pytest.mark.parametrize("limit", ["0", "51", "many", ""])
def test_a_wrong_limit_is_named(game: Game, limit: str) -> None:
    answer = asked(game, limit=limit)
    assert (answer.status, answer.body["errors"][0]["path"]) == (400, ["limit"])


def test_nothing_of_others_is_shown_but_name_and_points(game: Game) -> None:
    robber(game)
    game.give("bob", points=100, tokens=3, name="Bob", email="bob@example.com")
    (target,) = targets(game)
    assert target.keys() == {"userId", "name", "points", "potentialSteal", "reason"}
