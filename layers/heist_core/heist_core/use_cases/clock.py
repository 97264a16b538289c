"""Time as the use cases are given it; made in `wiring`, set by hand in tests."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple


class Clock(NamedTuple):
    """`now`: UTC in milliseconds. `monotonic`: seconds. `sleep`: seconds, adds jitter."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
