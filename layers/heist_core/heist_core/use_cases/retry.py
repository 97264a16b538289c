"""Going round again when others won a race, for writers without a deadline of their own."""

import random
from collections.abc import Callable
from typing import TypeVar

from heist_core.domain.errors import Contention

from .clock import Clock

_ROUNDS = 12
_FIRST_PAUSE_SECONDS = 0.010
_LONGEST_PAUSE_SECONDS = 0.400

T = TypeVar("T")


def until_uncontended(action: Callable[[], T], clock: Clock) -> T:
    """Repeat an action while it raises Contention, about 3 s at most; then let it pass."""
    pause = _FIRST_PAUSE_SECONDS
    for _ in range(_ROUNDS):
        try:
            return action()
        except Contention:
            clock.sleep(random.uniform(0, pause))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
    return action()
