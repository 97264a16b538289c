"""Adds points that another system gave to a player, once per event, and publishes them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from heist_core.domain.award import EarnedPoints
from heist_core.domain.points import PointsChange
from heist_core.domain.times import season_of

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.messaging.bus import Bus
    from heist_core.storage.store import Store


class Adding(StrEnum):
    """What became of an event."""

    ADDED = "added"
    KNOWN = "known"
    """This event was counted already."""
    ERASED = "erased"
    """The player's data was erased: there is nobody to give points to."""


@dataclass(frozen=True)
class AddPoints:
    """Events are published after the commit. What keeps them from being published fails the call,
    and the same event comes again: what its record says is then published once more."""

    store: "Store"
    bus: "Bus"
    clock: Clock

    def __call__(self, earned: EarnedPoints) -> Adding:
        """Raises Contention or Unavailable."""
        adding, change = until_uncontended(lambda: self._add(earned), self.clock)
        if change is not None:
            self.bus.publish_change(change)
        return adding

    def _add(self, earned: EarnedPoints) -> tuple[Adding, PointsChange | None]:
        now = self.clock.now()
        old = earned.season != season_of(now)
        seen = self.store.read_for_points(earned.event_id, earned.player_id, with_old_seasons=old)
        if seen.added:
            return Adding.KNOWN, seen.change
        if seen.player.erased:
            return Adding.ERASED, None
        change = earned.change_of(seen.player, now)
        self.store.commit_points(earned, seen.player, change)
        return Adding.ADDED, change
