"""A ceiling on how often one player may call a route: a guard, not a rule of the game."""

import time
from collections.abc import Callable

from heist_core.domain.errors import RateLimited
from heist_core.settings import settings_from_variables
from heist_core.tally import MINUTE, Tally

LEAST = 600
ATTEMPTS_FACTOR = 10


class Ceiling:
    """Requests of this calendar minute (UTC), as far as this instance has seen them: with several
    instances, more than the ceiling gets through."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._requests = Tally(MINUTE, clock)

    def count(self, player_id: str, route: str, rate_limit: int) -> None:
        """Count a request. Raises RateLimited above 600 or ten times the rate limit of heists."""
        requests = self._requests.add(f"{player_id} {route}")
        if requests > max(LEAST, ATTEMPTS_FACTOR * rate_limit):
            message = "Too many requests, please try again later"
            raise RateLimited(self._requests.seconds_left(), message)


def rate_limit_at_deployment() -> int:
    """HEIST_RATE_LIMIT_PER_MINUTE for functions that do not read the live settings."""
    return settings_from_variables().rate_limit_per_minute
