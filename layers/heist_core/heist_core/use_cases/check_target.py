"""Whether a heist would succeed now, by the very rules that execute it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heist_core.domain.errors import HeistRefused, RateLimited
from heist_core.domain.heist import HeistPlan, plan_heist

from .clock import Clock
from .execute_heist import minute_of, seconds_to_next_minute

if TYPE_CHECKING:
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import HeistSnapshot, Store

CHECKS_PER_ATTEMPT = 3
"""can-rob's limit is this many times the limit of execute (SPEC section 2)."""
TOO_MANY_CHECKS = "Too many questions about targets, please try again later"


@dataclass(frozen=True)
class CheckTarget:
    store: "Store"
    settings: "LiveSettings"
    clock: Clock

    def __call__(self, caller_id: str, target_id: str) -> HeistPlan | HeistRefused:
        """The plan of a heist that the rules permit now, else the refusal.

        Raises RateLimited or Unavailable.
        """
        now = self.clock.now()

        def read() -> "HeistSnapshot":
            stale = self.settings.stale
            snapshot = self.store.read_for_heist(None, caller_id, target_id, with_settings=stale)
            if stale:
                self.settings.refresh(snapshot.settings)
            return snapshot

        def count() -> bool:
            limit = self.settings.current.rate_limit_per_minute * CHECKS_PER_ATTEMPT
            return self.store.count_check(caller_id, minute_of(now), limit)

        if self.settings.stale:
            snapshot, allowed = read(), count()
        else:
            allowed, snapshot = self.store.together(count, read)
        if not allowed:
            raise RateLimited(seconds_to_next_minute(now), TOO_MANY_CHECKS)
        try:
            return plan_heist(snapshot.attacker, snapshot.victim, self.settings.current, now)
        except HeistRefused as refusal:
            return refusal
