"""Budget 1: calls of a warm request, and how many of them wait for one another."""

from typing import NamedTuple

from local.console import ProblemError

from . import canned
from .cases import Case
from .stub import running_stub, sequential

_LATENCY_SECONDS = 0.15
"""Long enough that parallel calls overlap on a busy machine, too."""


class RoundTrips(NamedTuple):
    """Calls of one request: all, and the longest chain of which each waits for the one before."""

    calls: int
    sequential: int


def round_trips(case: Case) -> RoundTrips:
    """Those of a second request: the first also reads the settings."""
    with running_stub(canned.answer, lambda _: _LATENCY_SECONDS) as stub:
        case.run(1, stub.url)
        first = len(stub.calls)
        stub.calls.clear()
        if '"statusCode": 200' not in case.run(2, stub.url):
            raise ProblemError(f"{case.handler} of {case.event} does not answer with a 200")
        second = stub.calls[first:]
    return RoundTrips(len(second), sequential(second))
