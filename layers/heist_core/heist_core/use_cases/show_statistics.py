"""The operators' three reports, each from a bounded number of items, as they are sent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from heist_core.domain.statistics import (
    DAYS_WINDOW,
    ROBBERS_WINDOW,
    hour_of,
    strongest,
    window_start,
)
from heist_core.domain.times import to_iso

from .clock import Clock

if TYPE_CHECKING:
    from heist_core.storage.statistics import StatisticsStore


class Day(TypedDict):
    """`avgPointsStolen` is not rounded, and null without a success."""

    date: str
    successfulHeists: int
    failedHeists: int
    avgPointsStolen: float | None


class HeistsPerDay(TypedDict):
    """Days with attempts since `since`, newest first."""

    since: str
    days: list[Day]


class Balance(TypedDict):
    balance: int
    userCount: int


class TokenDistribution(TypedDict):
    """How many players have each balance, the highest first; of those who ever had a token."""

    balances: list[Balance]


class TopRobber(TypedDict):
    """`name` is the player's of now, or null."""

    userId: str
    name: str | None
    heistCount: int
    totalStolen: int


class TopRobbers(TypedDict):
    """The ten with the most successful heists since `since`. Equals in heists come by points,
    equals in both by id, each the highest first."""

    since: str
    robbers: list[TopRobber]


@dataclass(frozen=True)
class ShowStatistics:
    """Every method may raise Unavailable."""

    store: "StatisticsStore"
    clock: Clock

    def heists_per_day(self) -> HeistsPerDay:
        """The last seven times 24 hours, from the start of the hour."""
        now = self.clock.now()
        return {
            "since": to_iso(window_start(now, DAYS_WINDOW)),
            "days": [
                {
                    "date": day.date,
                    "successfulHeists": day.succeeded.heists,
                    "failedHeists": day.failed,
                    "avgPointsStolen": day.average_stolen,
                }
                for day in self.store.days(self.store.generation().read, now)
            ],
        }

    def token_distribution(self) -> TokenDistribution:
        return {
            "balances": [
                {"balance": balance, "userCount": players}
                for balance, players in self.store.balances(self.store.generation().read)
            ]
        }

    def top_robbers(self) -> TopRobbers:
        """The last thirty times 24 hours, from the start of the hour."""
        since = window_start(self.clock.now(), ROBBERS_WINDOW)
        top, _ = strongest(self.store.standings(self.store.generation().read), hour_of(since))
        names = self.store.names([robber.player_id for robber in top]) if top else {}
        return {
            "since": to_iso(since),
            "robbers": [
                {
                    "userId": robber.player_id,
                    "name": names[robber.player_id],
                    "heistCount": robber.takings.heists,
                    "totalStolen": robber.takings.points,
                }
                for robber in top
            ],
        }
