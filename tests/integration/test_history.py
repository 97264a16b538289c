"""What a player looks back on: their heists of a season, page by page, and one of them."""

from typing import Any

import pytest

from heist_core.storage import keys
from tests.builders import Event, api_event
from tests.integration.game import Answer, Game

ENTRY = {
    "heistId": "0" * 32,
    "role": "attacker",
    "status": "SUCCESS",
    "otherUserId": "bob",
    "otherName": "Bob",
    "points": 40,
    "pointsAfter": 40,
    "pointsReturned": 0,
    "createdAt": "2026-11-22T12:00:03.117Z",
    "reversedAt": None,
}


def listed(game: Game, caller: str, **query: str) -> Answer:
    return game.request("list_heists", api_event("list_heists", caller, query=query))


def one(game: Game, caller: str, heist_id: str) -> Answer:
    event: Event = api_event("list_heists", caller, path={"heistId": heist_id})
    event["routeKey"] = "GET /api/heist/heists/{heistId}"
    return game.request("list_heists", event)


def robbed(game: Game, attacker: str, victim: str) -> str:
    """A heist that succeeds, and time passes until the next one may."""
    answer = game.rob(attacker, victim)
    assert answer.status == 200, answer
    game.time.pass_(hours=1)
    heist_id: str = answer.body["heistId"]
    return heist_id


def feuding(game: Game, heists: int = 3) -> list[str]:
    """Alice robs bob, bob robs alice, and so on; the newest first."""
    game.restart(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    game.give("alice", points=800, tokens=heists, name="Alice")
    game.give("bob", points=800, tokens=heists, name="Bob")
    pairs = [("alice", "bob"), ("bob", "alice")]
    return [robbed(game, *pairs[number % 2]) for number in range(heists)][::-1]


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [entry["heistId"] for entry in answer.body["heists"]]


def walked(game: Game, caller: str, **query: str) -> list[str]:
    """Every id, by following the cursors."""
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        answer = listed(game, caller, **query, **more)
        found += ids(answer)
        if answer.body["nextCursor"] is None:
            return found
        more = {"cursor": answer.body["nextCursor"]}


def test_both_sides_see_the_heist_with_their_own_figures(game: Game) -> None:
    game.give("alice", tokens=1, name="Alice")
    game.give("bob", points=800, name="Bob")
    heist_id = game.rob("alice", "bob").body["heistId"]
    entry = {**ENTRY, "heistId": heist_id}
    assert listed(game, "alice").body == {"heists": [entry], "nextCursor": None}
    assert one(game, "alice", heist_id).body == entry
    victims = {"role": "victim", "otherUserId": "alice", "otherName": "Alice"}
    assert one(game, "bob", heist_id).body == {
        **entry,
        **victims,
        "points": -40,
        "pointsAfter": 760,
    }


def test_a_reversed_heist_says_what_came_back_and_keeps_its_figures(game: Game) -> None:
    (heist_id,) = feuding(game, 1)
    game.reverse(heist_id)
    robber, victim = (listed(game, caller).body["heists"][0] for caller in ("alice", "bob"))
    assert (robber["status"], robber["reversedAt"]) == ("REVERSED", "2026-11-22T13:00:03.117Z")
    assert (robber["points"], robber["pointsAfter"], robber["pointsReturned"]) == (40, 840, -40)
    assert (victim["points"], victim["pointsAfter"], victim["pointsReturned"]) == (-40, 760, 40)


def test_refused_attempts_are_no_history(game: Game) -> None:
    game.give("alice", tokens=1)
    game.give("bob", points=19)
    key = game.rob("alice", "bob", "a-key")
    assert key.status == 400
    assert listed(game, "alice").body == {"heists": [], "nextCursor": None}
    (refused,) = (item for item in game.everything() if item.get("status") == "FAILED")
    assert one(game, "alice", str(refused["heistId"])).status == 404


def test_pages_of_every_size_hold_each_heist_once_newest_first(game: Game) -> None:
    newest_first = feuding(game, 5)
    for limit in "12345":
        assert walked(game, "alice", limit=limit) == newest_first
    assert walked(game, "alice", limit="1", role="attacker") == newest_first[::2]
    assert walked(game, "alice", limit="1", role="victim") == newest_first[1::2]


def test_heists_of_the_same_moment_are_neither_skipped_nor_repeated(game: Game) -> None:
    game.restart(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    game.give("alice", points=800, tokens=3)
    game.give("bob", points=800, tokens=3)
    pairs = [("alice", "bob"), ("bob", "alice")] * 3
    at_once = {game.rob(*pair).body["heistId"] for pair in pairs}
    found = walked(game, "alice", limit="1")
    assert len(found) == 6
    assert set(found) == at_once


def test_a_heist_in_between_does_not_move_the_pages(game: Game) -> None:
    newest_first = feuding(game, 4)
    first = listed(game, "alice", limit="2")
    robbed(game, "alice", "bob")
    second = listed(game, "alice", limit="2", cursor=first.body["nextCursor"])
    assert ids(first) + ids(second) == newest_first


def test_a_season_has_its_own_history_and_a_cursor_remembers_it(game: Game) -> None:
    old = feuding(game, 3)
    game.time.pass_(days=20)
    assert listed(game, "alice").body["heists"] == []
    first = listed(game, "alice", season="2026-11", limit="1")
    second = listed(game, "alice", cursor=first.body["nextCursor"])
    assert ids(first) + ids(second) == old


@pytest.mark.parametrize(
    ("caller", "query"),
    [
        ("bob", {}),
        ("alice", {"role": "attacker"}),
        ("alice", {"season": "2026-10"}),
    ],
)
def test_a_cursor_is_good_for_its_caller_role_and_season_only(
    game: Game, caller: str, query: dict[str, str]
) -> None:
    feuding(game)
    cursor = listed(game, "alice", limit="1").body["nextCursor"]
    answer = listed(game, caller, cursor=cursor, **query)
    assert (answer.status, answer.body["errors"][0]["path"]) == (400, ["cursor"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "robber"),
        ("role", ""),
        ("season", "2026-13"),
        ("season", "2026-1"),
        ("season", "2026-11\n"),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "ten"),
        ("cursor", ""),
        ("cursor", "x"),
        ("cursor", "AAAA"),
        ("cursor", "\u00e4"),
        ("cursor", "MDAwMDAwMDAwMDEyMzQ1Ng"),
    ],
)
def test_a_wrong_parameter_is_named(game: Game, field: str, value: str) -> None:
    answer = listed(game, "alice", **{field: value})
    assert answer.status == 400
    (issue,) = answer.body["errors"]
    assert issue["path"] == [field]
    assert issue["message"].startswith(f"{field}: must be ")


@pytest.mark.parametrize("heist_id", ["0" * 32, "../x", "#", "\u0000", "x" * 3000])
def test_a_heist_of_others_is_as_unknown_as_one_that_never_was(game: Game, heist_id: str) -> None:
    (others,) = feuding(game, 1)
    answers: list[Any] = [one(game, "carol", each) for each in (others, heist_id)]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].body == answers[1].body
    assert answers[0].body["error"] == "NOT_FOUND"


def test_whoever_was_erased_has_no_history(game: Game) -> None:
    (heist_id,) = feuding(game, 1)
    game.change(keys.player("alice"), {"erasedAt": "2026-11-23T00:00:00.000Z"})
    assert listed(game, "alice").body == {"heists": [], "nextCursor": None}
    assert one(game, "alice", heist_id).status == 404
    assert one(game, "bob", heist_id).status == 200
