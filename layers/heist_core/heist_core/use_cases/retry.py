"""Retries for writers without a deadline of their own."""

import random
from collections.abc import Callable
from typing import TypeVar

from heist_core.domain.errors import Contention, Misconfigured, Unavailable

from .clock import Clock

_ROUNDS = 12
_FIRST_PAUSE_SECONDS = 0.010
_LONGEST_PAUSE_SECONDS = 0.400

T = TypeVar("T")


def until_uncontended(action: Callable[[], T], clock: Clock) -> T:
    """Repeat an action while it raises Contention, for about 3 s; then let the error pass."""
    return _until_without(Contention, action, clock)


def until_answered(action: Callable[[], T], clock: Clock) -> T:
    """The same for any Unavailable: the action must find out by itself what it did before."""
    return _until_without(Unavailable, action, clock)


def _until_without(error: type[Unavailable], action: Callable[[], T], clock: Clock) -> T:
    pause = _FIRST_PAUSE_SECONDS
    for _ in range(_ROUNDS):
        try:
            return action()
        except Misconfigured:
            raise
        except error:
            clock.sleep(random.uniform(0, pause))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
    return action()
