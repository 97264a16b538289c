"""Break the product in every small way, and see that a test or a seed notices.

`make mutants` tries conditions and their operands, steps and version bumps.

- condition, operand, version bump, step, change, value, attribute: a part of a write to DynamoDB is
  not sent, or sent wrong. Every write that the tests make the product send is tried.
- decision: in the rules and use cases, a decision is taken away or turned round, a number changed.

First it sees what each unit test, each test of storage (on one engine) and each seed of the
simulation meets; then those that meet a mutant are run with it, until one fails that does not fail
without it.
`python -m tests.mutation 'condition|step' PLAYER` tries mutants with all these words in their names
(`|` is or); `… condition PLAYER -- tests/integration/test_me.py` on those tests alone, all of them.
Each mutant that nothing notices must be listed in survivors.txt with the reason; without ", in
function" it stands for all functions that send the write.
"""
# ruff: noqa: T201 - a command line

import itertools
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.tools import ROOT

from .code import CodeMutant, code_mutants, modules
from .requests import Mutant, Place
from .trial import DECIDING, PARTS, TESTS, AnyMutant, Done, Met, Trial, workers

SURVIVORS = Path(__file__).parent / "survivors.txt"
MOST_SECONDS = 60
"""Of what meets a mutant, so much is run with it, unless tests are named."""


def explained() -> dict[str, str]:
    """The mutants of survivors.txt, and why each cannot be noticed."""
    lines = SURVIVORS.read_text("utf-8").splitlines()
    entries = [line.partition(" ## ") for line in lines if line and not line.startswith("#")]
    assert all(why for _, _, why in entries), f"{SURVIVORS}: one per line, name ## reason"
    return {name: why for name, _, why in entries}


def observe(done: Done) -> dict[str, Met]:
    """What every test meets, and every seed."""
    met: dict[str, Met] = {}
    for number, (_, found) in enumerate(done(range(PARTS)), 1):
        met |= found
        print(f"observed {number} of {PARTS} parts of the tests and seeds", flush=True)
    return met


def every_mutant(met: Sequence[Met]) -> list[AnyMutant]:
    """Of all that was met, and of all code that decides."""
    counts: dict[Place, set[int]] = defaultdict(set)
    for one in met:
        for place, seen in one.counts.items():
            counts[place].update(seen)

    def is_one_of_its_kind(mutant: Mutant) -> bool:
        """As many as there happen to be, in a transaction that is a list, are broken together."""
        is_list = len(counts[mutant.place.wherever()]) > 1
        return is_list == (mutant.place == mutant.place.wherever())

    every: set[AnyMutant] = {
        mutant for one in met for call in one.calls for mutant in call if is_one_of_its_kind(mutant)
    }
    for package in DECIDING:
        for module in modules(package):
            every.update(code_mutants(module))
    return sorted(every, key=str)


def trials(met: Mapping[str, Met], words: Sequence[str], most: float) -> list[Trial]:
    """Each mutant with what meets it, the quickest first, for so many seconds."""
    meeting: dict[object, list[str]] = defaultdict(list)
    quickest = sorted(met, key=lambda name: met[name].seconds)
    for name in quickest:
        for seen in (*met[name].noticeable(), *met[name].statements):
            meeting[seen].append(name)
    found = []
    for mutant in every_mutant([*met.values()]):
        name = f"{mutant.family} {mutant}"
        if all(any(part in name for part in word.split("|")) for word in words):
            names = meeting[mutant.statement if isinstance(mutant, CodeMutant) else mutant]
            spent = itertools.accumulate(met[name].seconds for name in names)
            runs = [name for name, after in zip(names, spent, strict=True) if after < most]
            found.append(Trial(mutant, {name: met[name].seconds for name in runs}))
    return found


def main(words: Sequence[str], tests: Sequence[str]) -> int:
    os.chdir(ROOT)
    started, reasons = time.monotonic(), explained()
    outcomes: Counter[tuple[str, str]] = Counter()
    survivors = set()
    with workers(tests or TESTS) as done:
        met = observe(done)
        to_try = trials(met, words, float("inf") if tests else MOST_SECONDS)
        print(
            f"{len(to_try)} mutants of what {len(met)} tests and seeds meet, after "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
        for number, (tried, found) in enumerate(done(to_try), 1):
            name, family = str(tried.mutant), tried.mutant.family
            listed = name if name in reasons else name.rpartition(", in ")[0]
            if not found:
                survivors.add(listed if listed in reasons else name)
            outcome = "killed" if found else "explained" if listed in reasons else "SURVIVED"
            outcomes[family, outcome] += 1
            print(f"{number:>4} of {len(to_try)} {outcome} {name}", flush=True)
            print(f"     {found or reasons.get(listed, 'nothing noticed it')}", flush=True)
    print(f"\n{'':<14}{'tried':>7}{'killed':>8}{'explained':>11}{'survived':>10}")
    for family in sorted({family for family, _ in outcomes}):
        counts = [outcomes[family, each] for each in ("killed", "explained", "SURVIVED")]
        print(f"{family:<14}{sum(counts):>7}{counts[0]:>8}{counts[1]:>11}{counts[2]:>10}")
    print(f"{len(to_try)} mutants in {time.monotonic() - started:.0f} s")
    wrong = [f"NOT EXPLAINED: {name}" for name in sorted(survivors - reasons.keys())]
    named = {
        part
        for each in to_try
        for part in (str(each.mutant), str(each.mutant).rpartition(", in ")[0])
    }
    wrong += [
        f"in survivors.txt, but {'killed' if name in named else 'there is no such mutant'}: {name}"
        for name in sorted(reasons.keys() - survivors)
        if name in named or not words
    ]
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    words = list(itertools.takewhile(lambda word: word != "--", sys.argv[1:]))
    sys.exit(main(words, sys.argv[len(words) + 2 :]))
