"""Whether a heist would succeed now, by the very rules that execute it."""

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


def check_target(
    store: "Store", settings: "LiveSettings", clock: Clock, caller_id: str, target_id: str
) -> HeistPlan | HeistRefused:
    """The plan of a heist that the rules permit now, else the refusal.

    Raises RateLimited or Unavailable.
    """
    now = clock.now()

    def read() -> "HeistSnapshot":
        stale = settings.stale
        snapshot = store.read_for_heist(None, caller_id, target_id, with_settings=stale)
        if stale:
            settings.refresh(snapshot.settings)
        return snapshot

    def count() -> bool:
        limit = settings.current.HEIST_RATE_LIMIT_PER_MINUTE * CHECKS_PER_ATTEMPT
        return store.count_check(caller_id, minute_of(now), limit)

    if settings.stale:
        snapshot, allowed = read(), count()
    else:
        allowed, snapshot = store.together(count, read)
    if not allowed:
        raise RateLimited(
            seconds_to_next_minute(now), "Too many questions about targets, please try again later"
        )
    try:
        return plan_heist(snapshot.attacker, snapshot.victim, settings.current.rules, now)
    except HeistRefused as refusal:
        return refusal
