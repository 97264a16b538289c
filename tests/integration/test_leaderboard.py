"""The leaderboard page by page, around a player, and closed when its month has ended."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from heist_core import wiring
from heist_core.domain.board import CountedCurve, Standing, curve_of
from heist_core.domain.errors import Unavailable
from heist_core.storage import keys, operator, player_items
from heist_core.use_cases import show_leaderboard
from tests.builders import action, api_event, sample
from tests.integration.game import Answer, Game

BOARD, AROUND = "GET /api/heist/leaderboard", "GET /api/heist/leaderboard/around"


def board(game: Game, caller: str = "alice", **query: str) -> Answer:
    event = api_event("show_leaderboard", caller, query=query)
    return game.request("show_leaderboard", event)


def around(game: Game, caller: str, **query: str) -> Any:
    event = {**api_event("show_leaderboard", caller, query=query), "routeKey": AROUND}
    answer = game.request("show_leaderboard", event)
    assert answer.status == 200, answer
    return answer.body


def keep(game: Game) -> Any:
    return game.call("keep_leaderboard", sample("keep_leaderboard"))


def ranks(body: Any) -> list[tuple[int, str | None, int]]:
    return [(one["rank"], one["userId"], one["points"]) for one in body["entries"]]


def playing(game: Game, **points: int) -> None:
    for player_id, each in points.items():
        game.give(player_id, points=each)


def later(game: Game) -> None:
    """Until a view is no longer shown."""
    game.time.pass_(seconds=show_leaderboard.VIEW_LASTS.total_seconds())


def test_the_board_has_everybody_with_points_in_order(game: Game) -> None:
    playing(game, alice=10, bob=30, carol=20, dora=20)
    game.give("eve", tokens=1, name="Eve")
    game.give("bob", name="Bob")
    body = board(game).body
    assert [one["rank"] for one in body["entries"]] == [1, 2, 2, 4]
    assert body["entries"][0] == {"rank": 1, "userId": "bob", "name": "Bob", "points": 30}
    assert {one["userId"] for one in body["entries"][1:3]} == {"carol", "dora"}
    rest = {name: body[name] for name in ("season", "final", "players", "nextCursor", "asOf")}
    assert rest == {
        "season": "2026-11",
        "final": False,
        "players": 4,
        "nextCursor": None,
        "asOf": "2026-11-22T12:00:03.117Z",
    }


def test_an_empty_board_is_a_board(game: Game) -> None:
    body = board(game).body
    assert (body["players"], body["entries"], body["nextCursor"]) == (0, [], None)


def test_a_heist_and_its_reversal_move_both_places(game: Game) -> None:
    playing(game, alice=90, bob=100)
    game.give("alice", tokens=1)
    heist_id = game.rob("alice", "bob").body["heistId"]
    assert sorted(ranks(board(game).body)) == [(1, "alice", 95), (1, "bob", 95)]
    game.reverse(heist_id)
    later(game)
    assert ranks(board(game).body) == [(1, "bob", 100), (2, "alice", 90)]


def test_a_view_is_shown_for_some_seconds_and_then_taken_anew(game: Game) -> None:
    playing(game, alice=10)
    assert ranks(board(game).body) == [(1, "alice", 10)]
    playing(game, bob=20)
    assert ranks(board(game).body) == [(1, "alice", 10)]
    later(game)
    assert ranks(board(game).body) == [(1, "bob", 20), (2, "alice", 10)]


def test_pages_are_of_one_moment_whatever_happens_between_them(game: Game) -> None:
    playing(game, **{f"p{number}": 100 - number for number in range(5)})
    found: list[str | None] = []
    cursor: dict[str, str] = {}
    while True:
        body = board(game, limit="2", **cursor).body
        found += [player for _, player, _ in ranks(body)]
        if body["nextCursor"] is None:
            break
        cursor = {"cursor": body["nextCursor"]}
        game.give("p4", points=50)
        game.time.pass_(minutes=1)
    assert found == ["p0", "p1", "p2", "p3", "p4"]


def test_a_page_goes_on_for_ten_minutes_and_no_longer(game: Game) -> None:
    playing(game, alice=1, bob=2)
    cursor = board(game, limit="1").body["nextCursor"]
    game.time.pass_(minutes=9, seconds=50)
    assert board(game, cursor=cursor).status == 200
    game.time.pass_(seconds=20)
    answer = board(game, cursor=cursor)
    assert (answer.status, answer.body["errors"][0]["path"]) == (400, ["cursor"])


@pytest.mark.parametrize(
    ("caller", "query"), [("bob", {}), ("alice", {"season": "2026-10"}), ("alice", {"cursor": "x"})]
)
def test_another_ones_cursor_is_refused(game: Game, caller: str, query: dict[str, str]) -> None:
    playing(game, alice=1, bob=2)
    cursor = board(game, limit="1").body["nextCursor"]
    assert board(game, caller, **{"cursor": cursor, **query}).status == 400


@pytest.mark.parametrize(
    ("route", "field", "value"),
    [
        (BOARD, "season", "november"),
        (BOARD, "limit", "0"),
        (BOARD, "limit", "101"),
        (BOARD, "cursor", ""),
        (AROUND, "span", "-1"),
        (AROUND, "span", "26"),
        (AROUND, "span", "few"),
    ],
)
def test_a_wrong_parameter_is_named(game: Game, route: str, field: str, value: str) -> None:
    event = {**api_event("show_leaderboard", query={field: value}), "routeKey": route}
    answer = game.request("show_leaderboard", event)
    assert (answer.status, answer.body["errors"][0]["path"]) == (400, [field])


@pytest.mark.parametrize("season", ["2026-12", "2026-10", "2020-01", "9999-12"])
def test_a_season_without_a_board_is_not_found(game: Game, season: str) -> None:
    playing(game, alice=1)
    answer = board(game, season=season)
    assert (answer.status, answer.body["error"]) == (404, "NOT_FOUND")


# Who is not on it


def test_whoever_hides_is_gone_and_comes_back_with_their_points(game: Game) -> None:
    playing(game, alice=10, bob=20)
    game.prefer("bob", hidden=True)
    assert ranks(board(game).body) == [(1, "alice", 10)]
    assert around(game, "bob")["me"] is None
    playing(game, bob=5)
    later(game)
    assert ranks(board(game).body) == [(1, "alice", 10)]
    game.prefer("bob", hidden=False)
    later(game)
    assert ranks(board(game).body) == [(1, "bob", 25), (2, "alice", 10)]


def test_whoever_is_blocked_is_gone_until_the_block_ends(game: Game) -> None:
    playing(game, alice=10, bob=20)
    game.block("bob")
    assert ranks(board(game).body) == [(1, "alice", 10)]
    unblocked = replace(action("unblock", "b"), id="another")
    game.gateway.transact(operator.unblock(game.player("bob"), unblocked))
    later(game)
    assert ranks(board(game).body) == [(1, "bob", 20), (2, "alice", 10)]


def test_whoever_is_erased_is_gone(game: Game) -> None:
    playing(game, alice=10, bob=20)
    game.freeze("bob")
    assert ranks(board(game).body) == [(1, "alice", 10)]
    assert around(game, "bob")["me"] is None


def test_points_of_a_finished_month_do_not_move_its_successors(game: Game) -> None:
    """November and January share an index."""
    playing(game, alice=10)
    game.time.pass_(days=45)
    assert board(game).body["season"] == "2027-01"
    playing(game, alice=3)
    late = sample("add_points")
    late["time"] = "2027-01-06T12:00:00Z"
    late["detail"] = {
        "eventId": "late",
        "userId": "alice",
        "points": 500,
        "pointEventType": "QUIZ",
        "occurredAt": "2026-11-30T12:00:00Z",
    }
    assert game.call("add_points", late) == {"status": "ok"}
    assert game.ledger("alice", "2026-11") == 510
    game.assert_sound()
    later(game)
    assert ranks(board(game).body) == [(1, "alice", 3)]


# Around


def test_a_player_sees_the_neighbours_on_both_sides(game: Game) -> None:
    playing(game, **{f"p{number}": 100 - number for number in range(9)})
    body = around(game, "p4", span="2")
    assert body["me"] == {"rank": 5, "points": 96, "exact": True}
    assert ranks(body) == [(rank, f"p{rank - 1}", 101 - rank) for rank in (3, 4, 5, 6, 7)]
    assert ranks(around(game, "p0", span="1")) == [(1, "p0", 100), (2, "p1", 99)]
    assert ranks(around(game, "p8", span="0")) == [(9, "p8", 92)]
    assert len(around(game, "p4")["entries"]) == 9


def test_a_players_own_points_are_those_of_now(game: Game) -> None:
    playing(game, alice=10, bob=20)
    assert board(game).status == 200
    playing(game, alice=15)
    assert around(game, "alice")["me"] == {"rank": 1, "points": 25, "exact": True}
    playing(game, carol=22)
    assert ranks(around(game, "carol")) == [(1, "carol", 22), (2, "bob", 20), (3, "alice", 10)]


def test_whoever_has_no_points_is_nowhere(game: Game) -> None:
    playing(game, alice=10)
    body = around(game, "nobody")
    assert (body["me"], body["entries"], body["players"]) == (None, [], 1)


def test_deep_places_are_read_off_the_curve(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show_leaderboard, "PLACES_KEPT", 3)
    playing(game, **{f"p{number}": 100 - 2 * number for number in range(12)})
    assert keep(game) == {"players": 12, "closed": None}
    body = board(game, limit="5").body
    assert (len(body["entries"]), body["players"], body["nextCursor"]) == (3, 12, None)
    deep = around(game, "p8", span="2")
    assert deep["me"]["rank"] == 9
    assert ranks(deep) == [(rank, f"p{rank - 1}", 102 - 2 * rank) for rank in (7, 8, 9, 10, 11)]
    assert ranks(around(game, "p1", span="1")) == [(1, "p0", 100), (2, "p1", 98), (3, "p2", 96)]


# The schedule


def test_the_curve_is_counted_every_minute_and_once_by_two_at_a_time(game: Game) -> None:
    playing(game, alice=10)
    assert keep(game)["players"] == 1
    assert keep(game)["players"] is None
    game.time.pass_(minutes=1)
    game.once_before("query", lambda: keep(game))
    assert keep(game)["players"] == 1


def test_a_count_that_never_ended_keeps_the_next_off_for_minutes_only(game: Game) -> None:
    playing(game, alice=10)
    claimed = wiring.boards().claim_curve(
        "2026-11", game.time(), game.time() - timedelta(minutes=8)
    )
    assert claimed
    game.time.pass_(minutes=7)
    assert keep(game)["players"] is None
    game.time.pass_(minutes=2)
    assert keep(game)["players"] == 1


def closings(game: Game) -> list[Any]:
    return [detail for kind, detail in game.bridge.published if kind == "SeasonClosed"]


def test_a_month_is_closed_once_and_announced(game: Game) -> None:
    playing(game, alice=10, bob=20, carol=10)
    game.give("bob", name="Bob")
    game.time.pass_(days=9)
    assert keep(game) == {"players": 0, "closed": "2026-11"}
    game.time.pass_(minutes=1)
    assert keep(game)["closed"] is None
    (closing,) = closings(game)
    assert closing == {
        "season": "2026-11",
        "players": 3,
        "winners": [
            {"rank": 1, "userId": "bob", "points": 20},
            *(
                {"rank": 2, "userId": each["userId"], "points": 10}
                for each in closing["winners"][1:]
            ),
        ],
    }
    body = board(game, season="2026-11").body
    assert (body["final"], body["players"]) == (True, 3)
    assert body["entries"][0] == {"rank": 1, "userId": "bob", "name": "Bob", "points": 20}


def test_a_closed_board_never_changes_again(game: Game) -> None:
    playing(game, alice=10, bob=20)
    game.time.pass_(days=9)
    keep(game)
    before = board(game, season="2026-11").body
    late = sample("add_points")
    late["time"] = "2026-12-01T12:00:00Z"
    late["detail"]["userId"], late["detail"]["points"] = "alice", 500
    late["detail"]["occurredAt"] = "2026-11-30T12:00:00Z"
    assert game.call("add_points", late) == {"status": "ok"}
    game.time.pass_(minutes=20)
    keep(game)
    assert board(game, season="2026-11").body == before
    first = board(game, season="2026-11", limit="1").body
    game.time.pass_(days=600)
    more = board(game, season="2026-11", cursor=first["nextCursor"], limit="1").body
    assert ranks(first) + ranks(more) == [(1, "bob", 20), (2, "alice", 10)]


def test_a_month_is_shown_until_it_is_closed(game: Game) -> None:
    playing(game, alice=10)
    game.time.pass_(days=8, hours=11, minutes=59, seconds=57)
    assert board(game).body["season"] == "2026-12"
    assert keep(game)["closed"] is None
    body = board(game, season="2026-11").body
    assert (body["final"], ranks(body)) == (False, [(1, "alice", 10)])
    playing(game, alice=3)
    game.time.pass_(minutes=5)
    assert keep(game)["closed"] == "2026-11"
    assert ranks(board(game, season="2026-11").body) == [(1, "alice", 10)]


def test_a_closing_that_nobody_was_told_of_is_told_by_the_next_run(game: Game) -> None:
    playing(game, alice=10)
    game.time.pass_(days=9)
    game.bridge.refused_entries = 1
    with pytest.raises(Unavailable):
        keep(game)
    game.time.pass_(minutes=1)
    assert keep(game)["closed"] == "2026-11"
    assert len(closings(game)) == 1


def test_two_runs_close_a_month_alike(game: Game) -> None:
    playing(game, alice=10)
    game.time.pass_(days=9)
    game.once_before("put_item", lambda: keep(game), skip=1)
    keep(game)
    assert closings(game) == [closings(game)[0]] * len(closings(game))
    assert ranks(board(game, season="2026-11").body) == [(1, "alice", 10)]


def test_an_erased_player_leaves_a_place_without_a_name_on_closed_boards(game: Game) -> None:
    playing(game, alice=10, bob=20)
    game.time.pass_(days=9)
    keep(game)
    game.freeze("bob")
    nameless = {"rank": 1, "userId": None, "name": None, "points": 20}
    assert board(game, season="2026-11").body["entries"][0] == nameless
    stored = game.stored(keys.board_final("2026-11"))
    redaction = operator.forget(stored, "bob")
    assert isinstance(redaction, operator.Redaction)
    assert game.gateway.update_if(redaction.request)
    after = game.stored(keys.board_final("2026-11"))
    assert operator.forget(after, "bob") is None
    assert board(game, season="2026-11").body["entries"][0] == nameless


def test_every_points_total_stands_in_the_index_under_its_own_month(game: Game) -> None:
    playing(game, alice=10)
    game.time.pass_(days=9)
    playing(game, alice=7)
    state = game.stored(keys.player("alice"))
    places = {name: value for name, value in state.items() if name.endswith("Place")}
    assert places == {
        "oddPlace": keys.board_place("alice", 10),
        "evenPlace": keys.board_place("alice", 7),
    }
    assert player_items.board_places(game.player("alice")).items() >= places.items()


# What stands is never replaced


def test_the_first_to_close_a_month_has_closed_it(game: Game) -> None:
    boards, now = wiring.boards(), game.time()
    assert boards.close("2026-10", now, 1, [Standing(10, "alice")])
    assert not boards.close("2026-10", now, 2, [Standing(20, "bob")])
    final = boards.final("2026-10")
    assert final is not None
    assert (final.players, [one.points for one in final.standings]) == (1, [10])


def test_the_first_view_of_a_moment_is_everybodys(game: Game) -> None:
    boards, now = wiring.boards(), game.time()
    first, second = [Standing(10, "alice")], [Standing(20, "bob")]
    assert boards.put_view("2026-11", now, first) == first
    assert boards.put_view("2026-11", now, second) == first


def test_a_curve_replaces_earlier_ones_alone(game: Game) -> None:
    boards, now = wiring.boards(), game.time()
    early, late, latest = (
        CountedCurve(now + timedelta(minutes=minute), curve_of({10: minute}))
        for minute in (1, 2, 3)
    )
    for put, there in [(late, late), (early, late), (latest, latest)]:
        boards.put_curve("2026-11", put)
        assert boards.curve("2026-11") == there
