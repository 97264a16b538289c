"""Counts what happened, once each, in the statistics that the operators' reports are read from."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from heist_core.domain.facts import Fact
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.statistics import ROBBERS_WINDOW, hour_of, strongest, window_start

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.storage.statistics import StatisticsStore

AT_ONCE = 40
"""As many facts or players go into one transaction."""

T = TypeVar("T")


@dataclass(frozen=True)
class KeepStatistics:
    store: "StatisticsStore"
    clock: Clock

    def __call__(
        self,
        facts: Sequence[Fact],
        generation: int | None = None,
        published: Collection[str] = (),
    ) -> set[str]:
        """Count facts that are in the table, in the generation that is written to (or another).

        `published`: the ids of heists that owe no event any more either. Returns the ids of heists
        and refusals that were counted by this call, and whose markers say so.
        May be called any number of times with the same facts, also at the same moment. Raises
        Contention or Unavailable: some of them may then be counted, and others not.
        """
        if generation is None:
            generation = self.store.generation().written
        self.hold((fact.token_holder for fact in facts), generation)
        return self.count(facts, generation, published)

    def count(
        self, facts: Iterable[Fact], generation: int, published: Collection[str] = ()
    ) -> set[str]:
        """Count heists and refusals by day and robber; the ids of those that were not before."""
        counted: set[str] = set()
        attempts = {fact.heist_id: fact for fact in facts if isinstance(fact, Heist | RefusedHeist)}
        for some in _chunks(attempts.values()):
            count = partial(self.store.count, some, generation, self.clock.now(), published)
            counted.update(until_uncontended(count, self.clock))
        return counted

    def hold(self, player_ids: Iterable[str | None], generation: int) -> None:
        """Bring the distribution of tokens up to what these players hold now."""
        for some in _chunks(sorted({player_id for player_id in player_ids if player_id})):
            self._again(partial(self.store.hold, some, generation))

    def trim(self, out_of_time: Callable[[], bool]) -> int:
        """Remove expired hours from the standings that a report would have to read; how many.

        Reports are correct without it, but more expensive. Raises Unavailable.
        """
        generation, now = self.store.generation().read, self.clock.now()
        since = hour_of(window_start(now, ROBBERS_WINDOW))
        trimmed = 0
        _, stale = strongest(self.store.standings(generation), since)
        for robber in stale:
            if out_of_time():
                break
            self.store.trim(robber, since, generation, now)
            trimmed += 1
        return trimmed

    def _again(self, action: Callable[[], None]) -> None:
        until_uncontended(action, self.clock)


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while some := list(islice(rest, AT_ONCE)):
        yield some
