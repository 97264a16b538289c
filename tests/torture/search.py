"""Any number of seeds, on all cores."""

import itertools
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .story import Failure, Theatre

BLOCK = 10


@dataclass
class Tally:
    """What a number of seeds did."""

    seeds: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    commits: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        self.seeds += other.seeds
        for name in ("operations", "commits", "answers", "faults"):
            getattr(self, name).update(getattr(other, name))
        self.failures |= other.failures

    def report(self) -> str:
        lines = [f"{self.seeds} seeds, {self.operations.total()} operations"]
        for name in ("operations", "commits", "answers", "faults"):
            counts = getattr(self, name).most_common()
            lines.append(f"  {name:<10} " + ", ".join(f"{one} {count}" for one, count in counts))
        return "\n".join(lines)


def play(seeds: Iterable[int], trace: Callable[[str], None] = lambda _: None) -> Tally:
    """Play seeds in this process; `trace` gets every line of what happens in them."""
    theatre, tally = Theatre(), Tally()
    for seed in seeds:
        tally.seeds += 1
        try:
            story = theatre.play(seed, trace)
        except Failure as failure:
            tally.failures[seed] = str(failure)
            continue
        finally:
            if theatre.story is not None:
                tally.operations += theatre.story.operations
        tally.commits += story.witness.counts
        tally.answers += story.referee.answers
        tally.faults += story.injector.seen
    return tally


def play_on_all_cores(seeds: Iterable[int]) -> Iterator[Tally]:
    """Play seeds in blocks, one process per core."""
    workers = max(1, min(8, os.cpu_count() or 1))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(play, _blocks(seeds))


def _blocks(seeds: Iterable[int]) -> Iterator[list[int]]:
    numbers = iter(seeds)
    while block := list(itertools.islice(numbers, BLOCK)):
        yield block
