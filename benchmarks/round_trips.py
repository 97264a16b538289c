"""Budget 1: calls of a warm request, and how many of them wait for one another."""

from typing import NamedTuple

from . import canned
from .cases import Case
from .stub import running_stub, sequential

_LATENCY_SECONDS = 0.15
"""Long enough that what overlaps does so on a busy machine, too."""


class RoundTrips(NamedTuple):
    """Of one request: all calls, and the longest chain of them."""

    calls: int
    sequential: int


def round_trips(case: Case) -> RoundTrips:
    """Of a second request, when the settings have just been read; the first reads them first."""
    with running_stub(canned.answer, lambda _: _LATENCY_SECONDS) as stub:
        case.run(1, stub.url)
        first = len(stub.calls)
        stub.calls.clear()
        case.run(2, stub.url)
        second = stub.calls[first:]
    return RoundTrips(len(second), sequential(second))
