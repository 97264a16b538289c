"""A season's players for the simulator, without who they are."""

import pytest

from ops.target import OperatorError
from tests.integration.game import Game
from tests.integration.operators import Desk


def test_a_season_s_players_are_written_without_id_or_name(game: Game, desk: Desk) -> None:
    game.give("alice", tokens=2, points=1234, name="Alice")
    game.give("bob", points=800, name="Bob")
    game.give("eve", points=500, name="Eve")
    game.give("carol", tokens=1, name="Carol")
    desk("block", "eve", "--reason", "chargeback", "--apply")
    assert game.rob("alice", "bob").status == 200

    shown = desk.shown("population", "--season", "2026-11")

    joined = game.time().day
    assert shown.splitlines() == [
        "earned,joined,tokens,passive",
        f"800,{joined},0,0",
        f"1300,{joined},2,0",
    ]


def test_a_season_in_which_nobody_has_points_is_refused(game: Game, desk: Desk) -> None:
    game.give("alice", points=10)
    with pytest.raises(OperatorError, match="Nobody has points of 2026-10"):
        desk("population")
    with pytest.raises(OperatorError, match="a month such as 2026-10, got '10/2026'"):
        desk("population", "--season", "10/2026")


def test_settings_in_effect_on_a_stage_are_today_s(game: Game, desk: Desk) -> None:
    desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", "--reason", "milder", "--apply")
    few = ("--players", "50", "--seeds", "2")
    told = desk("simulate", "--stage", "local", "--set", "HEIST_STEAL_PERCENTAGE=3", *few)
    assert told["now"]["HEIST_STEAL_PERCENTAGE"] == 4
    assert told["proposed"]["HEIST_STEAL_PERCENTAGE"] == 3
