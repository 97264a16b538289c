"""A token for a referral, or its promise while awards are switched off."""

from enum import StrEnum
from typing import TYPE_CHECKING

from heist_core.domain.award import Award

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import Store


class Awarding(StrEnum):
    """What became of a referral."""

    AWARDED = "awarded"
    HELD = "held"
    """Until awards are switched on again; then the sweeper gives the token."""
    KNOWN = "known"
    """This referred player has earned somebody a token already, or one is held."""


def award_token(store: "Store", settings: "LiveSettings", clock: Clock, award: Award) -> Awarding:
    """One token for a referred player, ever (SPEC section 4). Raises Contention or Unavailable."""

    def attempt() -> Awarding:
        if settings.stale:
            settings.refresh(store.settings_item())
        if settings.current.HEIST_AWARDS_ENABLED:
            return Awarding.AWARDED if store.commit_award(award) else Awarding.KNOWN
        return Awarding.HELD if store.hold_award(award) else Awarding.KNOWN

    return until_uncontended(attempt, clock)
