"""The counts of the operators' three reports, by the hour in UTC.

A window begins at a whole hour, so a report is exactly what the same question in SQL answers when
NOW() is the hour's start.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .times import to_milliseconds

DAYS_WINDOW = timedelta(days=7)
ROBBERS_WINDOW = timedelta(days=30)
ROBBERS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Takings:
    """Successful heists, and the points that they brought."""

    heists: int = 0
    points: int = 0

    def __add__(self, other: "Takings") -> "Takings":
        return Takings(self.heists + other.heists, self.points + other.points)


@dataclass(frozen=True, slots=True)
class Day:
    """The attempts of one date in UTC, as far as they lie in the window. `date` is `YYYY-MM-DD`."""

    date: str
    succeeded: Takings = Takings()
    failed: int = 0

    @property
    def average_stolen(self) -> float | None:
        """Points per successful heist, not rounded; None without one (as SQL's AVG)."""
        return self.succeeded.points / self.succeeded.heists if self.succeeded.heists else None


Rank = tuple[int, int, str]
"""Heists, then points, then player id: the order of robbers, descending. No two are equal."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A player's tokens at a version of the player. Tokens None: never had any; version 0: never
    looked at."""

    version: int = 0
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Robber:
    """A player as the reports count them: successful heists by hour, and tokens.

    Version 0: no heist counted yet.
    """

    player_id: str
    hours: Mapping[str, Takings] = field(default_factory=dict)
    version: int = 0
    holding: Holding = Holding()

    def having_taken(self, hour: str, takings: Takings) -> "Robber":
        """The same robber after more takings in an hour."""
        hours = {**self.hours, hour: self.hours.get(hour, Takings()) + takings}
        return replace(self, hours=hours)

    def since(self, hour: str) -> "Robber":
        """The same robber without what lies before an hour."""
        hours = {each: takings for each, takings in self.hours.items() if each >= hour}
        return replace(self, hours=hours)

    @property
    def takings(self) -> Takings:
        return sum(self.hours.values(), Takings())

    @property
    def rank(self) -> Rank:
        return self.takings.heists, self.takings.points, self.player_id


def hour_of(moment: datetime) -> str:
    """The hour in UTC as `YYYY-MM-DDTHH`; texts sort as hours do."""
    return to_milliseconds(moment).isoformat()[:13]


def window_start(now: datetime, window: timedelta) -> datetime:
    """Where a window that ends now begins: at a whole hour."""
    return now.replace(minute=0, second=0, microsecond=0) - window


def strongest(standings: Iterable[Robber], since: str) -> tuple[list[Robber], list[Robber]]:
    """The ten highest ranks that count only what was taken since an hour, and all stale ones read.

    `standings` come in descending rank and may still count earlier hours. A rank can only fall when
    these are left out, so the search ends where the tenth exact rank is above the next standing.
    """
    top: list[Robber] = []
    stale: list[Robber] = []
    for robber in standings:
        if len(top) == ROBBERS_SHOWN and top[-1].rank > robber.rank:
            break
        exact = robber.since(since)
        if exact.hours != robber.hours:
            stale.append(robber)
        if exact.hours:
            top = sorted([*top, exact], key=lambda each: each.rank, reverse=True)[:ROBBERS_SHOWN]
    return top, stale
