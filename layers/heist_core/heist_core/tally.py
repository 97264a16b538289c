"""Counters in memory, for guards that must not cost a write and need not be exact."""

from collections.abc import Callable

COUNTED_AT_ONCE = 10_000
MINUTE, DAY = 60, 24 * 60 * 60


class Tally:
    """How often each of many things happened in this calendar minute or day (UTC), as far as this
    instance saw it. It starts again when it would hold more than 10,000 of them."""

    def __init__(self, seconds: int, clock: Callable[[], float]) -> None:
        """`seconds` is how long each count lasts, `clock` tells seconds since 1970."""
        self._seconds = seconds
        self._clock = clock
        self._period = 0
        self._counts: dict[str, int] = {}

    def of(self, name: str) -> int:
        """How often it happened so far."""
        period = int(self._clock()) // self._seconds
        if period != self._period or len(self._counts) >= COUNTED_AT_ONCE:
            self._period = period
            self._counts.clear()
        return self._counts.get(name, 0)

    def add(self, name: str) -> int:
        """Count it once more; how often it happened now."""
        count = self._counts[name] = self.of(name) + 1
        return count

    def seconds_left(self) -> int:
        """Seconds until all counts start again: at least 1."""
        return self._seconds - int(self._clock()) % self._seconds
