"""A player's home screen: what they have, where they stand, and by which rules they play."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.player import Losses, Player
from heist_core.domain.preferences import passive_locked_until
from heist_core.domain.settings import Settings
from heist_core.domain.times import end_of, season_of

from .clock import Clock

if TYPE_CHECKING:
    from heist_core.domain.board import CountedCurve
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import Store

    from .show_leaderboard import ShowLeaderboard


class Rank(NamedTuple):
    """Among so many players, as counted at `as_of`."""

    value: int
    players: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class HomeScreen:
    """Times that are over are None; so is the rank of players who are not on the board."""

    player: Player
    season: str
    rank: Rank | None
    unread: int
    rules: Settings
    now: datetime

    @property
    def points(self) -> int:
        return self.player.points_in(self.season)

    @property
    def losses(self) -> Losses:
        return self.player.losses_in(self.season)

    @property
    def cooldown_ends_at(self) -> datetime | None:
        return end_of(self.player.last_heist_at, self.rules.cooldown, self.now)

    @property
    def protection_ends_at(self) -> datetime | None:
        return end_of(self.player.last_robbed_at, self.rules.protection, self.now)

    @property
    def passive_locked_until(self) -> datetime | None:
        return passive_locked_until(self.player, self.rules, self.now)

    @property
    def newcomer_until(self) -> datetime | None:
        return end_of(self.player.first_seen_at, self.rules.newcomer, self.now)


@dataclass(frozen=True)
class ShowPlayer:
    store: "Store"
    leaderboard: "ShowLeaderboard"
    settings: "LiveSettings"
    clock: Clock

    def __call__(self, player_id: str) -> HomeScreen:
        """In one step, once there is a curve. Somebody erased looks like a player never seen.

        Raises Unavailable.
        """
        now = self.clock.now()
        season = season_of(now)
        stale = self.settings.stale
        unread, seen = self.store.together(
            lambda: self.store.unread_count(player_id, now),
            lambda: self.leaderboard.boards.seen(player_id, season, with_settings=stale),
        )
        if stale:
            self.settings.refresh(seen.settings)
        player = Player(player_id) if seen.player.erased else seen.player
        rank = None
        if player.on_board(season):
            counted = seen.curve or self.leaderboard.count_first(season)[1]
            rank = _rank(player.points_in(season), counted)
        return HomeScreen(player, season, rank, unread, self.settings.current, now)


def _rank(points: int, counted: "CountedCurve") -> Rank:
    """By the points of now on the curve of then, which may not have this player yet."""
    value = counted.curve.rank_of(points)
    return Rank(value, max(value, counted.curve.players), counted.as_of)
