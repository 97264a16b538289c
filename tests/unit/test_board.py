"""Ranks on the leaderboard, and the curve from which deep ones are read."""

import random
from collections import Counter
from collections.abc import Mapping

import pytest

from heist_core.domain.board import PLACES_KEPT, Curve, Standing, curve_of, placed


def log_normal(players: int) -> Counter[int]:
    """How many players hold how many points."""
    draw = random.Random(players)
    return Counter(max(1, int(draw.lognormvariate(6, 1))) for _ in range(players))


def rank_in(holders: Mapping[int, int], points: int) -> int:
    return 1 + sum(many for held, many in holders.items() if held > points)


def test_equals_share_a_rank_and_the_next_is_as_many_further() -> None:
    standings = [
        Standing(points, name) for points, name in ((9, "a"), (7, "b"), (7, "c"), (1, "d"))
    ]
    assert [place.rank for place in placed(standings)] == [1, 2, 2, 4]


def test_without_players_everybody_is_first() -> None:
    assert curve_of({}) == Curve([], [], 0, 0)
    assert curve_of({}).rank_of(5) == 1
    assert curve_of({}).points_at(1) == 0


@pytest.mark.parametrize("players", [1, 7, 900, 5_000, 9_999, 10_000, 40_000, 120_000])
def test_no_rank_is_off_by_more_than_one_in_ten_thousand_players(players: int) -> None:
    holders = log_normal(players)
    curve = curve_of(holders)
    draw = random.Random(1)
    highest = max(holders)
    some = [*draw.sample(sorted(holders), min(len(holders), 200)), 0, 1, highest, highest + 1]
    some += [draw.randrange(highest + 10) for _ in range(200)]
    for points in some:
        off = abs(curve.rank_of(points) - rank_in(holders, points))
        assert off <= players / 10_000, points


@pytest.mark.parametrize("players", [3_000, 40_000])
def test_the_first_thousand_ranks_are_exact(players: int) -> None:
    holders = log_normal(players)
    curve = curve_of(holders)
    above = 0
    for points in sorted(holders, reverse=True):
        if above >= PLACES_KEPT:
            break
        assert curve.rank_of(points) == above + 1
        above += holders[points]


@pytest.mark.parametrize("players", [1, 7, 900, 40_000])
def test_at_an_exact_rank_are_the_points_of_whoever_stands_there(players: int) -> None:
    holders = log_normal(players)
    curve = curve_of(holders)
    standing = sorted(holders.elements(), reverse=True)[:PLACES_KEPT]
    assert [curve.points_at(rank) for rank in range(1, len(standing) + 1)] == standing
    assert curve.points_at(players + 1) == min(holders)


def test_points_between_two_ranks_lie_on_the_line_between_them() -> None:
    curve = Curve([10, 20, 29, 30], [14, 8, 4, 0], 15, exact_from=30)
    expected = {1: 30, 4: 30, 5: 29, 7: 24, 9: 20, 12: 15, 15: 10, 16: 10}
    assert {rank: curve.points_at(rank) for rank in expected} == expected
    expected = {9: 16, 10: 15, 15: 12, 20: 9, 23: 8, 29: 5, 30: 1, 31: 1}
    assert {points: curve.rank_of(points) for points in expected} == expected


def test_a_curve_of_many_players_is_small() -> None:
    assert len(curve_of(log_normal(120_000)).points) < 2 * PLACES_KEPT


@pytest.mark.parametrize("players", [1, 50, 3_000, 40_000])
def test_the_points_at_a_rank_have_about_that_rank(players: int) -> None:
    holders = log_normal(players)
    curve = curve_of(holders)
    off = max(holders.values()) + players / 5_000
    for rank in range(1, players + 1, max(1, players // 97)):
        assert abs(curve.rank_of(curve.points_at(rank)) - rank) <= off
