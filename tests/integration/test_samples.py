"""Every handler takes its own sample of events/, the files that operators use too."""

import pytest

from tests.builders import sample
from tests.integration.game import FUNCTIONS, Game

ALICE = "1c7f6c0e-6a53-4b0c-9f57-6a2b8a7f4c22"
BOB = "9f0c2a4e-8f5b-4f8e-9d6a-0c6d4f1f7b11"


def test_a_game_can_be_played_with_nothing_but_the_samples(game: Game) -> None:
    assert game.call("award_token", sample("award_token")) == {"status": "ok"}
    game.time.pass_(minutes=2)
    assert game.call("sweep_notifications", sample("sweep_notifications"))["settled"] == 1
    assert game.call("upsert_player", sample("upsert_player")) == {"status": "ok"}
    assert game.call("add_points", sample("add_points")) == {"status": "ok"}
    tokens = game.request("get_tokens", sample("get_tokens"))
    assert (tokens.status, tokens.body["balance"]) == (200, 1)
    check = game.request("check_target", sample("check_target"))
    assert check.body == {"eligible": True, "potentialSteal": 40, "targetPoints": 800}
    robbery = game.request("execute_heist", sample("execute_heist"))
    assert (robbery.status, robbery.body["pointsStolen"]) == (200, 40)
    assert game.call("sweep_notifications", sample("sweep_notifications")) == {
        "settled": 0,
        "waiting": 0,
        "parked": 0,
    }
    game.time.pass_(minutes=2)
    assert game.call("sweep_notifications", sample("sweep_notifications"))["settled"] == 1
    listed = game.request("list_notifications", sample("list_notifications"))
    assert listed.status == 200
    counted = game.request("count_unread", sample("count_unread"))
    assert (counted.status, counted.body) == (200, {"unreadCount": 2})
    marked = game.request("mark_notifications_read", sample("mark_notifications_read"))
    assert (marked.status, marked.body["updated"]) == (200, 1)
    chosen = game.request("manage_preferences", sample("manage_preferences"))
    assert (chosen.status, chosen.body["email"]["robbed"]) == (200, "daily")
    game.assert_sound()


def test_the_samples_of_the_stream_are_taken(game: Game) -> None:
    done = {"batchItemFailures": [], "parked": 0}
    assert game.call("notify_players", sample("notify_players")) == done
    assert game.call("publish_and_count", sample("publish_and_count")) == done
    assert [item.notice.type.value for item in game.inbox(ALICE)] == ["HEIST_SUCCESS"]
    assert [item.notice.type.value for item in game.inbox(BOB)] == ["HEIST_VICTIM"]
    assert [kind for kind, _ in game.bridge.facts] == ["HeistCommitted"]


def test_an_operator_sees_what_the_stream_brought(game: Game) -> None:
    game.time.pass_(minutes=1)
    game.call("award_token", sample("award_token"))
    game.call("upsert_player", sample("upsert_player"))
    game.call("add_points", sample("add_points"))
    game.call("execute_heist", sample("execute_heist"))
    game.sweep()
    reports = {}
    for name in ("heists-per-day", "token-distribution", "top-robbers"):
        event = sample("show_statistics")
        event["routeKey"] = f"GET /api/heist/admin/stats/{name}"
        answer = game.request("show_statistics", event)
        assert answer.status == 200, answer
        reports[name] = answer.body
    assert reports == {
        "heists-per-day": {
            "since": "2026-11-15T12:00:00.000Z",
            "days": [
                {
                    "date": "2026-11-22",
                    "successfulHeists": 1,
                    "failedHeists": 0,
                    "avgPointsStolen": 40.0,
                }
            ],
        },
        "token-distribution": {"balances": [{"balance": 0, "userCount": 1}]},
        "top-robbers": {
            "since": "2026-10-23T12:00:00.000Z",
            "robbers": [{"userId": ALICE, "name": None, "heistCount": 1, "totalStolen": 40}],
        },
    }


@pytest.mark.parametrize("groups", [None, "[players]", "[operators-emeriti]"])
def test_nobody_else_does(game: Game, groups: str | None) -> None:
    event = sample("show_statistics")
    event["requestContext"]["authorizer"]["jwt"]["claims"]["cognito:groups"] = groups
    answer = game.request("show_statistics", event)
    assert (answer.status, answer.body["error"]) == (403, "FORBIDDEN")


def test_there_is_a_sample_for_every_function() -> None:
    for function in FUNCTIONS:
        assert sample(function)
