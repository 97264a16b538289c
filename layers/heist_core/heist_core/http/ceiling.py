"""How often one player may call a route, whatever they ask: a guard, not a rule of the game."""

import time
from collections.abc import Callable

from heist_core.domain.errors import RateLimited
from heist_core.variables import variable

LEAST = 600
ATTEMPTS_FACTOR = 10
COUNTED_AT_ONCE = 10_000
"""Players and routes; an instance cannot serve as many in a minute, or else begins anew."""


class Ceiling:
    """Requests of this calendar minute (UTC), as far as this instance has seen them.

    Nothing is read or written for it. With several instances, more than the ceiling gets through.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._minute = 0
        self._requests: dict[tuple[str, str], int] = {}

    def count(self, player_id: str, route: str, rate_limit: int) -> None:
        """Count a request. Raises RateLimited above 600 or ten times the rate limit of heists."""
        now = self._clock()
        minute, seconds = divmod(int(now), 60)
        if minute != self._minute or len(self._requests) >= COUNTED_AT_ONCE:
            self._minute = minute
            self._requests.clear()
        caller = player_id, route
        requests = self._requests[caller] = self._requests.get(caller, 0) + 1
        if requests > max(LEAST, ATTEMPTS_FACTOR * rate_limit):
            raise RateLimited(60 - seconds, "Too many requests, please try again later")


def rate_limit_at_deployment() -> int:
    """HEIST_RATE_LIMIT_PER_MINUTE for functions that do not read the live settings."""
    return int(variable("HEIST_RATE_LIMIT_PER_MINUTE", "10"))
