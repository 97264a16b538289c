"""A token for a referral, or a held award while awards are switched off."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from heist_core.domain.award import Award
from heist_core.domain.errors import Erased

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import Store


class Awarding(StrEnum):
    """What became of a referral."""

    AWARDED = "awarded"
    HELD = "held"
    """Kept until awards are switched on again; then the sweeper gives the token."""
    KNOWN = "known"
    """This referred player has earned somebody a token already, or one is held."""
    ERASED = "erased"
    """The referrer's data was erased: there is nobody to give a token to."""


@dataclass(frozen=True)
class AwardToken:
    store: "Store"
    settings: "LiveSettings"
    clock: Clock

    def __call__(self, award: Award) -> Awarding:
        """One token for a referred player, ever (SPEC section 4).

        Raises Contention or Unavailable.
        """
        try:
            return until_uncontended(lambda: self._attempt(award), self.clock)
        except Erased:
            return Awarding.ERASED

    def _attempt(self, award: Award) -> Awarding:
        stale = self.settings.stale
        players, item = self.store.players_and_settings(award.parties, with_settings=stale)
        if stale:
            self.settings.refresh(item)
        if players[award.referrer_id].erased:
            return Awarding.ERASED
        given = award
        if players[award.referred_id].erased:
            given = replace(award, referred_name=None, referral_id=None)
        if self.settings.current.awards_enabled:
            return Awarding.AWARDED if self.store.commit_award(given) else Awarding.KNOWN
        return Awarding.HELD if self.store.hold_award(given) else Awarding.KNOWN
