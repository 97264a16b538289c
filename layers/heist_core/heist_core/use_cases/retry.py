"""Retries for writers without a deadline of their own."""

import random
from collections.abc import Callable, Iterator
from typing import TypeVar

from heist_core.domain.errors import Contention, Misconfigured, Unavailable

from .clock import Clock

FIRST_PAUSE_SECONDS = 0.010
LONGEST_PAUSE_SECONDS = 0.400
_ROUNDS = 12

T = TypeVar("T")


def pauses(
    first: float = FIRST_PAUSE_SECONDS, longest: float = LONGEST_PAUSE_SECONDS
) -> Iterator[float]:
    """Seconds to wait between rounds, without end: full jitter below a limit that doubles."""
    limit = first
    while True:
        yield random.uniform(0, limit)
        limit = min(limit * 2, longest)


def until_uncontended(action: Callable[[], T], clock: Clock) -> T:
    """Repeat an action while it raises Contention, for about 3 s; then let the error pass."""
    return _until_without(Contention, action, clock)


def until_answered(action: Callable[[], T], clock: Clock) -> T:
    """The same for any Unavailable: the action must find out by itself what it did before."""
    return _until_without(Unavailable, action, clock)


def _until_without(error: type[Unavailable], action: Callable[[], T], clock: Clock) -> T:
    waits = pauses()
    for _ in range(_ROUNDS):
        try:
            return action()
        except Misconfigured:
            raise
        except error:
            clock.sleep(next(waits))
    return action()
