"""A change of a player's points of a season, as published to other systems."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PointsChange:
    """`points` and `version` are the player's right after it.

    No two changes of a player have the same version, and a later one has a higher one: it names the
    change, and puts a player's changes in order whatever order they arrive in.
    """

    player_id: str
    season: str
    points: int
    change: int
    reason: str
    at: datetime
    version: int
