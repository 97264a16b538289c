"""How fast the importer asks: a new table takes 4,000 write units a second, more as it grows."""

import time
from collections.abc import Callable
from threading import Lock

from botocore.exceptions import ClientError

FIRST = 1000.0
"""Items a second to begin with: half of what a new table takes, at two write units an item."""
LOWEST = 20.0
_GROWTH = 0.01
"""A part of what went well is added to the pace: 1,000 items a second become 2,000 in 70 s."""
_SECONDS_TO_SEE = 1.0
"""Calls that were under way when the pace was halved say nothing about the new one."""

_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
    }
)
"""Codes of DynamoDB's errors, and of the reasons why it cancels a transaction."""


def is_throttled(error: Exception) -> bool:
    """Whether the table turned a call away because there were too many."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False
    reasons: list[dict[str, str]] = cause.response.get("CancellationReasons", [])  # type: ignore[assignment]
    codes = {cause.response["Error"]["Code"], *(each.get("Code", "") for each in reasons)}
    return bool(codes & _THROTTLED)


class Pace:
    """Shared by the loader's threads. Half as fast after a call that was throttled, a little faster
    after every other."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.items_a_second = FIRST
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = Lock()
        self._free_at = self._deaf_until = monotonic()

    def wait(self, items: int) -> None:
        """Until it is the turn of this many items."""
        with self._lock:
            now = self._monotonic()
            begin = max(self._free_at, now)
            self._free_at = begin + items / self.items_a_second
        self._sleep(begin - now)

    def faster(self, items: int) -> None:
        """So many items went well."""
        with self._lock:
            self.items_a_second += items * _GROWTH

    def slower(self) -> bool:
        """A call was throttled. False: slower than this it will not get."""
        with self._lock:
            if self.items_a_second <= LOWEST:
                return False
            now = self._monotonic()
            if now >= self._deaf_until:
                self._deaf_until = now + _SECONDS_TO_SEE
                self.items_a_second = max(self.items_a_second / 2, LOWEST)
            return True
