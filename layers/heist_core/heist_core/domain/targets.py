"""Possible targets of a player: how far to search, and in which order to list them."""

from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from .board import HIGHEST_POINTS, Curve
from .heist import HeistPlan

REVENGE_FOR = timedelta(days=7)
FOUND_PER_SHOWN = 3
"""How many players are looked at for each that is to be shown: some will be protected, or new."""
_ALL = 20
"""Widened so often, every reach holds everybody."""


class Reason(StrEnum):
    SUGGESTED = "SUGGESTED"
    REVENGE = "REVENGE"


class Target(NamedTuple):
    """Somebody whom the rules let the player rob now, by this plan."""

    player_id: str
    name: str | None
    plan: HeistPlan
    reason: Reason


class Reach(NamedTuple):
    """From half to four times a player's points, and each time it is widened four times as far.

    `low` and `high` are in it.
    """

    points: int
    widened: int = 0

    @property
    def low(self) -> int:
        return max(1, (self.points // 2) >> (2 * self.widened))

    @property
    def high(self) -> int:
        return min(HIGHEST_POINTS, max(1, self.points) << (2 * self.widened + 2))

    @property
    def everybody(self) -> bool:
        return (self.low, self.high) == (1, HIGHEST_POINTS)

    def wider(self) -> "Reach":
        return self._replace(widened=self.widened + 1)

    def players(self, curve: Curve) -> int:
        """About how many are in reach."""
        return curve.rank_of(self.low - 1) - curve.rank_of(self.high)


def ring_of(caller_points: int, points: int) -> int:
    """How often the reach must be widened until it holds so many points."""
    reach = Reach(caller_points)
    while not reach.low <= points <= reach.high:
        reach = reach.wider()
    return reach.widened


def reach_for(points: int, players: int, curve: Curve | None) -> Reach:
    """The narrowest that holds so many players of the curve; everybody, if it has no more."""
    if curve is None or players >= curve.players:
        return Reach(points, _ALL)
    reach = Reach(points)
    while reach.players(curve) < players:
        reach = reach.wider()
    return reach
