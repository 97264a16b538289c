"""Stores profiles from the user system, in whatever order its events arrive."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from heist_core.domain.names import clean_name
from heist_core.domain.player import Profile
from heist_core.domain.times import CLOCKS_DIFFER

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.event_contracts import UserUpserted
    from heist_core.storage.store import Store


@dataclass(frozen=True)
class UpsertPlayer:
    store: "Store"
    clock: Clock

    def __call__(self, update: "UserUpserted", sent_at: datetime) -> bool:
        """Take over the fields that the update names, unless newer ones are there (SPEC section 4).

        `sent_at` dates an update without `updatedAt`. False: this player was erased and stays so.
        Raises InvalidInput, Contention or Unavailable.
        """
        at = update.updated_at(sent_at)
        return until_uncontended(lambda: self._attempt(update, at), self.clock)

    def _attempt(self, update: "UserUpserted", at: datetime) -> bool:
        seen = self.store.player(update.userId)
        if seen.erased:
            return False
        now = self.clock.now()
        profile = _merged(seen.profile, update, at, now)
        if profile != seen.profile or not seen.exists:
            self.store.save_profile(seen, profile, now)
        return True


def _merged(profile: Profile, update: "UserUpserted", at: datetime, now: datetime) -> Profile:
    given = update.model_fields_set
    latest = now + 2 * CLOCKS_DIFFER  # of an event from a clock ahead, and of its update
    if "name" in given:
        name = profile.name.doubted(latest).updated(clean_name(update.name), at)
        profile = replace(profile, name=name)
    if "email" in given:
        email = profile.email.doubted(latest).updated(update.email, at)
        profile = profile.moved_to(email)
    if "emailOptOut" in given:
        opt_out = profile.email_opt_out.doubted(latest).updated(update.emailOptOut, at)
        profile = replace(profile, email_opt_out=opt_out)
    if "locale" in given:
        locale = profile.locale.doubted(latest).updated(update.locale, at)
        profile = replace(profile, locale=locale)
    return profile
