"""Writes units to the table and reads them back, up to a hundred items at a time, several at once.

Each unit goes in by a transaction that is conditional on what was read, so a unit is there once and
whole, whatever dies, repeats or races. What is there already is left alone: loading again goes on.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from heist_core.domain.errors import Contention, Misconfigured, Unavailable
from heist_core.storage import keys
from heist_core.storage.table import Table
from heist_core.storage.wire import Item
from heist_core.use_cases.retry import pauses

from .mapping import ITEMS_AT_ONCE, Place, Sums, Unit, place_of
from .pace import Pace, is_throttled

CALLS_AT_ONCE = 8
_ROUNDS = 6
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0
_DIFFERENCES_NAMED = 20

R = TypeVar("R")
Progress = Callable[[int], None]
"""Called with how many units are done since the last time."""


@dataclass(slots=True)
class Verified:
    """What the table holds of an export; `differences` names some units that are wrong."""

    sums: Sums = field(default_factory=Sums)
    different: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, other: "Verified") -> None:
        self.sums.add(other.sums)
        self.different += other.different
        self.differences += other.differences[: _DIFFERENCES_NAMED - len(self.differences)]


class Loader:
    """`pool` has CALLS_AT_ONCE threads, which share the table."""

    def __init__(self, table: Table, pace: Pace, pool: Executor) -> None:
        self._table = table
        self._pace = pace
        self._pool = pool

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def load(self, units: Iterable[Unit], progress: Progress = lambda _done: None) -> int:
        """Write what is not there yet; the number of units written. Raises Unavailable."""
        return sum(self._each(self._load, units, progress))

    def verify(self, units: Iterable[Unit], progress: Progress = lambda _done: None) -> Verified:
        """Read every unit back. Raises Unavailable."""
        verified = Verified()
        for part in self._each(self._verify, units, progress):
            verified.add(part)
        return verified

    def _each(
        self, work: Callable[[Sequence[Unit]], R], units: Iterable[Unit], progress: Progress
    ) -> Iterator[R]:
        """`work` on groups of units, several at once, with few read ahead."""
        running: deque[tuple[Future[R], int]] = deque()

        def oldest() -> R:
            future, size = running.popleft()
            result = future.result()
            progress(size)
            return result

        for group in grouped(units):
            if len(running) >= 2 * CALLS_AT_ONCE:
                yield oldest()
            running.append((self._pool.submit(work, group), len(group)))
        while running:
            yield oldest()

    def _load(self, group: Sequence[Unit]) -> int:
        """Read and decide again while others are in the way; then take smaller steps."""
        written = self._tried(lambda: self._write(group), sum(len(one.all_keys()) for one in group))
        if written is not None:
            return written
        if len(group) == 1:
            raise Contention
        middle = len(group) // 2
        return self._load(group[:middle]) + self._load(group[middle:])

    def _write(self, group: Sequence[Unit]) -> int:
        found = self._read([unit.key for unit in group])
        missing = [steps for unit in group if (steps := unit.steps(found.get(place_of(unit.key))))]
        if missing:
            self._table.transact([step for steps in missing for step in steps])
        return len(missing)

    def _verify(self, group: Sequence[Unit]) -> Verified:
        wanted = [key for unit in group for key in unit.all_keys()]
        found = self._tried(lambda: self._read(wanted), len(wanted))
        if found is None:
            raise Unavailable
        return _verified(group, found)

    def _tried(self, work: Callable[[], R], items: int) -> R | None:
        """What `work` on so many items comes to; None when it failed in every round. That the table
        has enough of us is no failure, as long as we can ask more slowly."""
        rounds = _rounds()
        while True:
            self._pace.wait(items)
            try:
                result = work()
            except Misconfigured:
                raise
            except Unavailable as error:
                if is_throttled(error) and self._pace.slower():
                    continue
                if next(rounds, None) is None:
                    return None
            else:
                self._pace.faster(items)
                return result

    def _read(self, wanted: Sequence[keys.Key]) -> dict[Place, Item]:
        return {place_of(item): item for item in self._table.get_all(wanted)}


def grouped(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Units in order, as many together as one transaction can take."""
    group: list[Unit] = []
    size = 0
    for unit in units:
        items = len(unit.all_keys())
        if group and size + items > ITEMS_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(unit)
        size += items
    if group:
        yield group


def _verified(group: Sequence[Unit], found: Mapping[Place, Item]) -> Verified:
    verified = Verified()
    for unit in group:
        held = unit.count(found)
        if held is None:
            verified.add(Verified(different=1, differences=[unit.key["pk"]]))
        else:
            verified.sums.add(held)
    return verified


def _rounds() -> Iterator[float]:
    """A few pauses between tries, longer and longer."""
    for pause in islice(pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS), _ROUNDS - 1):
        time.sleep(pause)
        yield pause
