"""Recounts the leaderboard's curve while its season runs, and closes it afterwards."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.board import PLACES_KEPT, CountedCurve, Standing, curve_of
from heist_core.domain.times import season_before, season_of

from .clock import Clock

if TYPE_CHECKING:
    from heist_core.messaging.bus import Bus
    from heist_core.storage.board import BoardStore

SMALL = 50_000
"""Up to so many players a curve is counted every minute, above that every five."""
SMALL_EVERY, LARGE_EVERY = timedelta(seconds=50), timedelta(minutes=5)
CLAIMED_FOR = timedelta(minutes=8)
"""Longer than the function may run. With LARGE_EVERY, less than the quarter of an hour of GAME
section 2, also when a run crashes."""
CLOSED_AFTER = timedelta(minutes=5)
"""What began before the end of the month has long been written then."""


class Kept(NamedTuple):
    """Players counted (None: it was not due), and the season whose closing was announced."""

    counted: int | None
    closed: str | None


@dataclass(frozen=True)
class KeepLeaderboard:
    boards: "BoardStore"
    bus: "Bus"
    clock: Clock

    def __call__(self) -> Kept:
        """Raises Unavailable, also when the bus did not take the announcement: the next run is one
        minute away."""
        now = self.clock.now()
        season = season_of(now)
        counted = self._count(season, now)
        began = datetime.fromisoformat(f"{season}-01").replace(tzinfo=UTC)
        closed = self._close(season_before(season), now) if now >= began + CLOSED_AFTER else None
        return Kept(counted, closed)

    def _count(self, season: str, now: datetime) -> int | None:
        last = self.boards.curve(season)
        if last is not None:
            every = SMALL_EVERY if last.curve.players <= SMALL else LARGE_EVERY
            if now < last.as_of + every:
                return None
        if not self.boards.claim_curve(season, now, now - CLAIMED_FOR):
            return None
        holders = Counter(standing.points for standing in self.boards.standings(season))
        curve = curve_of(holders)
        self.boards.put_curve(season, CountedCurve(now, curve))
        return curve.players

    def _close(self, season: str, now: datetime) -> str | None:
        """Close the board once, and say so until the bus has taken it."""
        final = self.boards.final(season)
        if final is None:
            first: list[Standing] = []
            players = 0
            for players, standing in enumerate(self.boards.standings(season), start=1):
                if players <= PLACES_KEPT:
                    first.append(standing)
            if not players:
                return None
            self.boards.close(season, now, players, first)
            final = self.boards.final(season)
        if final is None or final.announced:
            return None
        self.bus.announce_closing(season, final.players, final.standings)
        self.boards.announced(season, now)
        return season
