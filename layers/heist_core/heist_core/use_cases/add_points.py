"""Points that another system gave to a player: once for each of its events."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from heist_core.domain.award import EarnedPoints
from heist_core.domain.errors import Erased

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
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
    store: "Store"
    clock: Clock

    def __call__(self, earned: EarnedPoints) -> Adding:
        """Raises Contention or Unavailable."""
        try:
            added = until_uncontended(
                lambda: self.store.commit_points(earned, self.clock.now()), self.clock
            )
        except Erased:
            return Adding.ERASED
        return Adding.ADDED if added else Adding.KNOWN
