"""Seasons before the last one lie in an item of their own; whatever happens, all points add up."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from benchmarks.write_units import size_of
from heist_core.storage import keys, player_items, wire
from heist_core.storage.audit import audit_items
from heist_core.storage.keys import Source
from heist_core.use_cases.add_points import Adding
from tests.builders import NOW, earned
from tests.fakes import Crash
from tests.integration.game import Game
from tests.integration.operators import Desk

THREE_YEARS = [f"{year}-{month:02d}" for year in (2023, 2024, 2025) for month in range(1, 13)]


def from_before(game: Game, who: str, points: Mapping[str, int]) -> None:
    """A player whose seasons all lie on their item, as before there was another one."""
    game.give(who, tokens=1, name=who)
    state = game.stored(keys.player(who))
    places = player_items.board_places(replace(game.player(who), points=points))
    there = {name: place for name, place in places.items() if place is not None}
    game.put({**state, **player_items.points_attributes(points), **there})
    for season, each in points.items():
        opening = keys.ledger_entry(who, season, Source.IMPORT, "OPENING")
        game.put({**opening, "points": each, "pointEventType": "IMPORTED"})


def on_item(game: Game, who: str) -> Mapping[str, int]:
    return game.player(who).points


def moved(game: Game, who: str) -> Mapping[str, int]:
    return player_items.points_from(game.item(keys.old_seasons(who)) or {})


def late(game: Game, who: str, season: str, points: int, event_id: str) -> Adding:
    return game.earn(earned(who, points, event_id, NOW.replace(month=int(season[-2:]))))


# What moves, and when


def test_a_heist_moves_the_seasons_before_the_last_out_of_the_way_of_both(game: Game) -> None:
    from_before(game, "alice", {"2026-07": 7, "2026-09": 9, "2026-10": 10})
    from_before(game, "bob", {"2026-08": 8, "2026-09": 0, "2026-11": 800})
    assert game.rob("alice", "bob").status == 200
    assert on_item(game, "alice") == {"2026-10": 10, "2026-11": 40}
    assert moved(game, "alice") == {"2026-07": 7, "2026-09": 9}
    assert on_item(game, "bob") == {"2026-11": 760}
    assert moved(game, "bob") == {"2026-08": 8, "2026-09": 0}
    game.assert_sound()


def test_points_of_a_new_season_move_the_one_before_the_last(game: Game) -> None:
    late(game, "alice", "2026-10", 10, "e1")
    late(game, "alice", "2026-11", 11, "e2")
    assert (on_item(game, "alice"), moved(game, "alice")) == ({"2026-10": 10, "2026-11": 11}, {})
    game.time.at = NOW.replace(month=12, day=1)
    game.give("alice", points=12)
    assert on_item(game, "alice") == {"2026-11": 11, "2026-12": 12}
    assert moved(game, "alice") == {"2026-10": 10}
    game.time.at = NOW.replace(year=2027, month=5, day=1)
    game.give("alice", points=5)
    assert moved(game, "alice") == {"2026-10": 10, "2026-11": 11, "2026-12": 12}
    game.assert_sound()


def test_points_of_two_seasons_stay_with_the_player_and_nothing_is_written_beside(
    game: Game,
) -> None:
    late(game, "alice", "2026-10", 10, "e1")
    game.give("alice", points=11, tokens=1)
    game.give("bob", points=800)
    game.rob("alice", "bob")
    assert game.item(keys.old_seasons("alice")) is game.item(keys.old_seasons("bob")) is None


def test_three_years_of_seasons_leave_less_than_a_kilobyte_with_the_player(game: Game) -> None:
    who = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    from_before(game, who, dict.fromkeys(THREE_YEARS, 1000))
    game.give(who, points=5, name="Somebody With A Name", email=f"{who}@example.com")
    state = game.stored(keys.player(who))
    assert size_of(wire.to_wire(state)) < 640
    assert set(moved(game, who)) == set(THREE_YEARS)
    game.assert_sound()


def test_places_on_boards_go_with_their_seasons(game: Game) -> None:
    from_before(game, "alice", {"2026-08": 8, "2026-09": 9})
    game.give("alice", points=11)
    state = game.stored(keys.player("alice"))
    assert "evenPlace" not in state
    assert state["oddPlace"] == keys.board_place("alice", 11)
    game.assert_sound()


# Late changes of an old season


def test_late_points_go_to_where_their_season_lies_and_are_told_with_its_total(
    game: Game,
) -> None:
    late(game, "alice", "2026-08", 800, "e1")
    late(game, "alice", "2026-08", 5, "e2")
    assert (on_item(game, "alice"), moved(game, "alice")) == ({}, {"2026-08": 805})
    change = game.store.read_for_points("e2", "alice", with_old_seasons=True).change
    assert change is not None
    assert (change.season, change.points, change.change, change.version) == ("2026-08", 805, 5, 2)
    game.assert_sound()


def test_a_heist_of_an_old_season_is_reversed_there(game: Game) -> None:
    game.give("alice", points=1000, tokens=1)
    game.give("bob", points=800)
    heist = game.rob("alice", "bob").body["heistId"]
    game.time.at = NOW.replace(year=2027, month=2)
    game.give("alice", points=2)
    assert moved(game, "alice") == {"2026-11": 1040}
    undone = game.reverse(heist).reversal
    assert (undone.attacker_points_before, undone.attacker_points_after) == (1040, 1000)
    assert (undone.victim_points_before, undone.victim_points_after) == (760, 800)
    assert (on_item(game, "alice"), moved(game, "alice")) == ({"2027-02": 2}, {"2026-11": 1000})
    assert (on_item(game, "bob"), moved(game, "bob")) == ({}, {"2026-11": 800})
    game.assert_sound()


def test_what_a_reversal_takes_of_an_old_season_is_what_is_left_of_it(game: Game) -> None:
    game.restart(HEIST_STEAL_PERCENTAGE=100, HEIST_MAX_STEAL_POINTS=1000)
    game.give("alice", tokens=1)
    game.give("bob", points=800)
    game.give("carol", tokens=1)
    first = game.rob("alice", "bob").body["heistId"]
    game.rob("carol", "alice")
    game.time.at = NOW.replace(year=2027, month=2)
    for who in ("alice", "bob", "carol"):
        game.give(who, points=2)
    undone = game.reverse(first).reversal
    assert (undone.points_returned, undone.shortfall) == (0, 800)
    assert [moved(game, who)["2026-11"] for who in ("alice", "bob", "carol")] == [0, 0, 800]
    game.assert_sound()


def test_a_rehearsal_of_reversals_counts_old_seasons_as_they_would_be(
    game: Game, desk: Desk
) -> None:
    game.give("alice", points=10, tokens=2)
    game.give("bob", points=800, tokens=1)
    heists = [game.rob("alice", "bob").body["heistId"]]
    game.time.pass_(hours=49)
    heists.append(game.rob("alice", "bob").body["heistId"])
    game.time.at = NOW.replace(year=2027, month=2)
    for who in ("alice", "bob"):
        game.give(who, points=2)
    before = game.everything()
    told = desk("reverse", *heists, "--reason", "a test")
    assert game.everything() == before
    assert told["counts"] == {"to be reversed": 2}
    done = desk("reverse", *heists, "--reason", "a test", "--apply")
    assert [one["pointsReturned"] for one in done["heists"]] == [38, 40]
    assert moved(game, "alice") == {"2026-11": 10}


def test_a_season_in_both_places_counts_with_its_sum_and_comes_together(game: Game) -> None:
    """As code from before leaves it, if it runs once more: it knows only the player's item."""
    late(game, "alice", "2026-08", 800, "e1")
    game.change(keys.player("alice"), {"points#2026-08": 5})
    entry = keys.ledger_entry("alice", "2026-08", Source.IMPORT, "OPENING")
    game.put({**entry, "points": 5, "pointEventType": "IMPORTED"})
    late(game, "alice", "2026-08", 1, "e2")
    assert (on_item(game, "alice"), moved(game, "alice")) == ({}, {"2026-08": 806})
    change = game.store.read_for_points("e2", "alice", with_old_seasons=True).change
    assert change is not None
    assert change.points == 806
    game.client.update_item(  # it had no places before boards, and may have none now
        TableName=game.table,
        Key=wire.to_wire(keys.player("alice")),
        UpdateExpression="REMOVE firstSeenAt",
    )
    game.assert_sound()


# Races and crashes


@pytest.mark.parametrize(
    ("before", "skip"), [("batch_get_item", 0), ("batch_get_item", 1), ("transact_write_items", 0)]
)
def test_points_that_come_between_reading_and_writing_old_seasons_are_not_lost(
    game: Game, before: str, skip: int
) -> None:
    late(game, "alice", "2026-08", 8, "e1")

    def meanwhile() -> None:
        late(game, "alice", "2026-08", 100, "e2")
        game.give("alice", points=11)

    game.once_before(before, meanwhile, skip)
    late(game, "alice", "2026-08", 1, "e3")
    change = game.store.read_for_points("e3", "alice", with_old_seasons=True).change
    assert change is not None
    assert change.points == 109
    assert moved(game, "alice") == {"2026-08": 109}
    game.assert_sound()


def move(game: Game) -> None:
    game.give("alice", points=12)


def add_late(game: Game) -> None:
    late(game, "alice", "2026-10", 5, "late")


def rob(game: Game) -> None:
    game.rob("alice", "bob", "key-1")


@pytest.mark.parametrize("act", [move, add_late, rob])
@pytest.mark.parametrize("answered", [False, True])
def test_a_crash_at_the_write_leaves_all_of_it_or_nothing(
    game: Game, act: Callable[[Game], None], answered: bool
) -> None:
    from_before(game, "alice", {"2026-09": 9, "2026-10": 10, "2026-11": 11})
    from_before(game, "bob", {"2026-09": 9, "2026-12": 800})
    game.time.at = NOW.replace(month=12)
    before = game.everything()
    game.fails(Crash(), "transact_write_items", sent=answered)
    with pytest.raises(Crash):
        act(game)
    game.undisturbed()
    assert answered or all(item in game.everything() for item in before)
    game.assert_sound()
    act(game)
    assert set(moved(game, "alice")) == {"2026-09", "2026-10"}
    game.assert_sound()


# What operators see


def test_an_export_a_screen_and_a_population_have_old_seasons(game: Game, desk: Desk) -> None:
    late(game, "alice", "2026-08", 1234, "e1")
    game.give("alice", points=11)
    (old,) = desk("export", "alice")["oldSeasons"]
    assert old == {"points#2026-08": 1234}
    assert "points       2026-11: 11, 2026-08: 1234" in desk.shown("player", "alice")
    assert desk.shown("population", "--season", "2026-08").splitlines()[1].startswith("1200,")


def test_an_erasure_leaves_old_seasons_as_sums(game: Game, desk: Desk) -> None:
    late(game, "alice", "2026-08", 8, "e1")
    game.give("alice", points=11, name="Alice")
    desk("erase", "alice", "--reason", "asked for it", "--apply")
    assert moved(game, "alice") == {"2026-08": 8}
    game.assert_sound()


def test_the_audit_misses_what_is_missing_of_an_old_season(game: Game) -> None:
    late(game, "alice", "2026-08", 8, "e1")
    game.put({**keys.old_seasons("alice"), "points#2026-08": 7})
    found = {str(one) for one in audit_items(game.everything()).violations()}
    assert found == {
        "player alice: the ledger adds up to the points (2026-08: 8 and 7)",
        "season 2026-08: points are conserved (7 held, 8 earned)",
    }
