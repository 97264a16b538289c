"""The leaderboard of a season: its order, and the rank that a number of points has.

Players with more points stand before those with fewer, equals share a rank (1, 2, 2, 4), and
players without any are not on it (SPEC section 2).
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

HIGHEST_POINTS = 10**12 - 1
"""More than anybody can have in a season."""
PLACES_KEPT = 1000
"""Ranks of these are exact."""
_PLAYERS_PER_RANK_OFF = 10_000


class Standing(NamedTuple):
    """A player on a board. Nobody's id where their data was erased since the board was closed."""

    points: int
    player_id: str | None
    name: str | None = None


def tie_of(player_id: str) -> str:
    """Orders equals: always the same, and nobody's choice."""
    return hashlib.sha256(player_id.encode()).hexdigest()[:8]


def order(standing: Standing) -> tuple[int, str]:
    """The first place has the highest."""
    return standing.points, tie_of(standing.player_id or "")


class Place(NamedTuple):
    rank: int
    standing: Standing


def placed(standings: Iterable[Standing]) -> Iterator[Place]:
    """Ranks for standings that come in descending order, the first of all among them."""
    rank, points = 0, None
    for number, standing in enumerate(standings, start=1):
        if standing.points != points:
            rank, points = number, standing.points
        yield Place(rank, standing)


@dataclass(frozen=True, slots=True)
class Curve:
    """How many players have more than so many points.

    `points` ascend. At each of them `above` is exact. Below `exact_from` what lies between two of
    them is read off the line between them; from there on nobody's points do.
    """

    points: Sequence[int]
    above: Sequence[int]
    players: int
    exact_from: int

    def rank_of(self, points: int) -> int:
        """The rank of so many points, whether or not somebody had just these.

        Off by at most 0.01 % of the players; exact among the first 1,000.
        """
        at = bisect_right(self.points, points) - 1
        if at < 0:
            return self.players + 1
        low = self.points[at]
        if points >= self.exact_from:  # which is at most the highest
            return self.above[at] + 1
        share = (points - low) / (self.points[at + 1] - low)
        return round(self.above[at] + share * (self.above[at + 1] - self.above[at])) + 1

    def points_at(self, rank: int) -> int:
        """About the points of a rank; exact where `rank_of` is. 0 on an empty board."""
        if not self.points:
            return 0
        at = bisect_left(self.above, -(rank - 1), key=lambda above: -above)
        if at == 0 or self.points[at] >= self.exact_from:
            return self.points[at]
        fewer, more = self.above[at], self.above[at - 1]
        share = (rank - 1 - fewer) / (more - fewer)
        return round(self.points[at] + share * (self.points[at - 1] - self.points[at]))


class CountedCurve(NamedTuple):
    """`as_of` is when the counting began."""

    as_of: datetime
    curve: Curve


def curve_of(holders: Mapping[int, int]) -> Curve:
    """The curve through how many players hold how many points."""
    players = sum(holders.values())
    off = max(0.0, players / _PLAYERS_PER_RANK_OFF - 0.5)
    samples: list[tuple[int, int]] = []
    above, exact_from = 0, 0
    for points in sorted(holders, reverse=True):
        if off and above >= PLACES_KEPT:
            exact_from = exact_from or samples[-1][0]
            if samples[-1][0] - points > 1:
                samples.append((samples[-1][0] - 1, above))
        samples.append((points, above))
        above += holders[points]
    kept = [one for one in samples if one[0] >= exact_from]
    kept += _lines(samples[len(kept) - 1 :], off)[1:] if kept else []
    kept.reverse()
    return Curve([one[0] for one in kept], [one[1] for one in kept], players, exact_from)


def _lines(samples: Sequence[tuple[int, int]], off: float) -> list[tuple[int, int]]:
    """Those of the samples that lines can be drawn between which miss no other by more than `off`.

    Each line goes on as far as it can: `flattest` and `steepest` are what the samples passed so
    far leave for its slope.
    """
    kept = list(samples[:1])
    flattest, steepest = float("-inf"), float("inf")
    for before, sample in pairwise(samples):
        start = kept[-1]
        width = start[0] - sample[0]
        slope = (sample[1] - start[1]) / width
        if not flattest <= slope <= steepest:
            kept.append(before)
            start, flattest, steepest = before, float("-inf"), float("inf")
            width = start[0] - sample[0]
        rise = sample[1] - start[1]
        flattest = max(flattest, (rise - off) / width)
        steepest = min(steepest, (rise + off) / width)
    return [*kept, *samples[-1:]] if len(samples) > 1 else kept
