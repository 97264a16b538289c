"""`make mutants`: break the product in every small way, and see that a test or a seed notices.

- rules: what mutmut changes in the rules of the game; the unit tests must notice.
- condition, operand, version bump, step, change, value, attribute: a part of a write to DynamoDB is
  not sent, or sent wrong; refusal, lost answer: such an answer is taken for a success. Every write
  that the tests make the product send is tried.
- decision: a decision of the code that sends them is taken away, or turned round.

All but the rules are tried on the unit tests, the tests of storage and the seeds that meet them, on
moto. `python -m tests.mutation condition PLAYER` tries those with all these words in their names.
Each mutant that nothing notices must stand in survivors.txt with the reason.
"""
# ruff: noqa: T201 - a command line

import multiprocessing
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from local.tools import ROOT

from . import rules
from .code import CodeMutant, code_mutants, modules
from .requests import Mutant, Place
from .trial import DECIDING, SEEDS, Met, Trial, observe_seeds, observe_tests, prepare, try_out

SURVIVORS = Path(__file__).parent / "survivors.txt"


def explained() -> dict[str, str]:
    """The mutants of survivors.txt, and why each cannot be noticed."""
    lines = SURVIVORS.read_text("utf-8").splitlines()
    entries = (line.partition(" ## ") for line in lines if line and not line.startswith("#"))
    return {what: why for what, _, why in entries}


def trials(tests: dict[str, Met], seeds: dict[str, Met]) -> list[Trial]:
    """Every mutant with what meets it."""
    met = [*tests.values(), *seeds.values()]
    counts: dict[Place, set[int]] = defaultdict(set)
    for one in met:
        for place, seen in one.counts.items():
            counts[place].update(seen)
    every: set[Mutant | CodeMutant] = {
        mutant
        for one in met
        for call in one.calls
        for mutant in call
        # Of as many writes as there happen to be, the first stands for all.
        if mutant.place.nth == 0 or len(counts[mutant.place]) == 1
    }
    for package in DECIDING:
        for module in modules(package):
            every.update(code_mutants(module))

    def meeting(some: dict[str, Met], mutant: Mutant | CodeMutant) -> list[str]:
        found = [name for name, one in some.items() if one.meets(mutant)]
        return sorted(found, key=lambda name: some[name].seconds)

    return [
        Trial(
            mutant,
            meeting(tests, mutant),
            # Which lines a seed runs is not known, nor is it needed.
            range(SEEDS)
            if isinstance(mutant, CodeMutant)
            else [int(seed) for seed in meeting(seeds, mutant)],
        )
        for mutant in sorted(every, key=str)
    ]


def family(mutant: Mutant | CodeMutant) -> str:
    return "decision" if isinstance(mutant, CodeMutant) else mutant.family


def main(words: Sequence[str]) -> int:
    os.chdir(ROOT)
    started, reasons = time.monotonic(), explained()
    tried: Counter[str] = Counter()
    noticed: Counter[str] = Counter()
    unexplained = []

    def note(name: str, kind: str, found: str) -> None:
        tried[kind] += 1
        noticed[kind] += bool(found)
        if not found and not reasons.get(name):
            unexplained.append(name)
        print(f"{'killed  ' if found else 'SURVIVED'} {name}", flush=True)
        if found:
            print(f"         {found}", flush=True)

    prepare()
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        tests = pool.apply_async(observe_tests)
        seeds = pool.apply_async(observe_seeds, (range(SEEDS),))
        chosen = [
            trial
            for trial in trials(tests.get(), seeds.get())
            if all(word in f"{family(trial.mutant)} {trial.mutant}" for word in words)
        ]
        print(f"{len(chosen)} mutants after {time.monotonic() - started:.0f} s", flush=True)
        for trial, found in pool.imap_unordered(try_out, chosen):
            note(str(trial.mutant), family(trial.mutant), found)
    if not words:
        for name, found in rules.tried():
            note(name, "rule", found)
    print(_table(tried, noticed))
    print(f"{tried.total()} mutants in {time.monotonic() - started:.0f} s")
    for name in unexplained:
        print(f"NOT EXPLAINED: {name}")
    return 1 if unexplained else 0


def _table(tried: Counter[str], noticed: Counter[str]) -> str:
    lines = [f"{'':<14}{'tried':>7}{'killed':>8}{'explained':>11}"]
    lines += [
        f"{kind:<14}{count:>7}{noticed[kind]:>8}{count - noticed[kind]:>11}"
        for kind, count in sorted(tried.items())
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
