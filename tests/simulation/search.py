"""Any number of seeds, on all cores."""

import itertools
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .simulation import Failure, Simulator

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


def run(seeds: Iterable[int], trace: Callable[[str], None] = lambda _: None) -> Tally:
    """Run seeds in this process; `trace` gets every line of what happens in them."""
    simulator, tally = Simulator(), Tally()
    for seed in seeds:
        tally.seeds += 1
        try:
            simulation = simulator.run(seed, trace)
        except Failure as failure:
            tally.failures[seed] = str(failure)
            continue
        finally:
            if simulator.simulation is not None:
                tally.operations += simulator.simulation.operations
        tally.commits += simulation.checker.counts
        tally.answers += simulation.checker.answers
        tally.faults += simulation.faults.seen
    return tally


def run_on_all_cores(seeds: Iterable[int]) -> Iterator[Tally]:
    """Run seeds in blocks, one process per core."""
    workers = max(1, min(8, os.cpu_count() or 1))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(run, _blocks(seeds))


def _blocks(seeds: Iterable[int]) -> Iterator[list[int]]:
    numbers = iter(seeds)
    while block := list(itertools.islice(numbers, BLOCK)):
        yield block
