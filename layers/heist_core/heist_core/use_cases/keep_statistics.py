"""Counts each fact once in the statistics of the operators' reports."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from heist_core.domain.facts import Fact
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.statistics import ROBBERS_WINDOW, hour_of, strongest, window_start

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.storage.statistics import StatisticsStore

AT_ONCE = 33
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
        attempts = {fact.heist_id: fact for fact in facts if isinstance(fact, Heist | RefusedHeist)}
        others = (fact for fact in facts if not isinstance(fact, Heist | RefusedHeist))
        counted: set[str] = set()
        for some in _chunks([*attempts.values(), *others]):
            holders = {fact.token_holder for fact in some if fact.token_holder}
            counted |= self._count(some, holders, generation, published)
        return counted

    def count(self, facts: Sequence[Heist | RefusedHeist], generation: int) -> None:
        """Count heists and refusals by day and robber, and nobody's tokens."""
        for some in _chunks(facts):
            self._count(some, (), generation)

    def hold(self, player_ids: Iterable[str], generation: int) -> None:
        """Bring the distribution of tokens up to what these players hold now."""
        for some in _chunks(sorted(set(player_ids))):
            self._count((), some, generation)

    def _count(
        self,
        facts: Sequence[Fact],
        holders: Collection[str],
        generation: int,
        published: Collection[str] = (),
    ) -> set[str]:
        def count() -> list[str]:
            return self.store.count(facts, holders, generation, self.clock.now(), published)

        return set(until_uncontended(count, self.clock))

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
            self.store.trim(robber.player_id, since, generation)
            trimmed += 1
        return trimmed


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while some := list(islice(rest, AT_ONCE)):
        yield some
