"""What happens when everybody robs one player at once: `python -m benchmarks.hot_victim`.

A simulation in virtual time, for docs/scaling.md: the rounds, pauses and deadline of
use_cases/execute_heist.py against one item of DynamoDB, with AWS's semantics as documented: a
transaction on an item that another one is at is cancelled with TransactionConflict, and beyond
3,000 read or 1,000 write units a second an item is throttled (no burst, no adaptive capacity).
Latencies are assumed.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from heist_core.use_cases.execute_heist import BEGIN_ROUNDS_FOR_SECONDS
from heist_core.use_cases.retry import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS

READ_SECONDS = 0.005
TRANSACTION_SECONDS = 0.008
PUT_SECONDS = 0.005
SPREAD = 0.3
"""Latencies are spread evenly by this share around the three above."""
READ_UNITS_A_SECOND = 3000
WRITE_UNITS_A_SECOND = 1000
WRITE_UNITS_OF_AN_ATTEMPT = 2
"""On the victim's item; a cancelled attempt costs them, too."""
PROTECTION_SECONDS = 48 * 3600.0
CROWDS = {PROTECTION_SECONDS: (10, 100, 1_000, 3_000, 10_000, 30_000), 0.0: (10, 100, 300, 1_000)}
"""Attackers, by the protection that a robbed player has."""
ARRIVE_WITHIN_SECONDS = 1.0


class Victim(NamedTuple):
    """The victim's item, as far as a heist depends on it."""

    version: int = 0
    robbed_at: float | None = None


@dataclass
class Attempt:
    """A request under way."""

    began: float
    pause: float = FIRST_PAUSE_SECONDS
    rounds: int = 1


@dataclass
class Outcome:
    """What became of a crowd. Times in seconds since the first could arrive."""

    answers: Counter[str] = field(default_factory=Counter)
    won_at: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    rounds: int = 0
    victim: Victim = field(default_factory=Victim)

    def quantile(self, share: float) -> float:
        """How long that share of the clients waited at most."""
        return sorted(self.waited)[min(len(self.waited) - 1, int(share * len(self.waited)))]


class Simulation:
    """One crowd on one victim; the same seed gives the same outcome."""

    def __init__(self, seed: int, protection: float = PROTECTION_SECONDS) -> None:
        self._rng = random.Random(seed)
        self._protection = protection
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._turns = itertools.count()
        self._used: Counter[tuple[str, int]] = Counter()
        self._locked = False
        self._outcome = Outcome()

    def run(self, crowd: int, within: float = ARRIVE_WITHIN_SECONDS) -> Outcome:
        """`crowd` attackers who arrive evenly within so many seconds, until all were answered."""
        for _ in range(crowd):
            at = self._rng.uniform(0, within)
            self._then(at, self._read, Attempt(at))
        while self._agenda:
            now, _, act = heapq.heappop(self._agenda)
            act(now)
        return self._outcome

    def _then(self, at: float, act: Callable[..., None], *arguments: object) -> None:
        heapq.heappush(self._agenda, (at, next(self._turns), lambda now: act(now, *arguments)))

    def _takes(self, seconds: float) -> float:
        return seconds * self._rng.uniform(1 - SPREAD, 1 + SPREAD)

    def _throttled(self, now: float, kind: str, units: int, limit: int) -> bool:
        key = kind, int(now)
        if self._used[key] + units > limit:
            return True
        self._used[key] += units
        return False

    def _read(self, now: float, attempt: Attempt) -> None:
        done = now + self._takes(READ_SECONDS)
        if self._throttled(now, "reads", 1, READ_UNITS_A_SECOND):
            self._then(done, self._again, attempt)
        else:
            self._then(done, self._decide, attempt, self._outcome.victim)

    def _decide(self, now: float, attempt: Attempt, seen: Victim) -> None:
        if seen.robbed_at is not None and now < seen.robbed_at + self._protection:
            self._then(now + self._takes(PUT_SECONDS), self._answer, attempt, "refused")
            return
        done = now + self._takes(TRANSACTION_SECONDS)
        throttled = self._throttled(now, "writes", WRITE_UNITS_OF_AN_ATTEMPT, WRITE_UNITS_A_SECOND)
        if throttled or self._locked or seen.version != self._outcome.victim.version:
            self._then(done, self._again, attempt)
        else:
            self._locked = True
            self._then(done, self._commit, attempt)

    def _commit(self, now: float, attempt: Attempt) -> None:
        self._locked = False
        self._outcome.victim = Victim(self._outcome.victim.version + 1, now)
        self._outcome.won_at.append(now)
        self._answer(now, attempt, "won")

    def _again(self, now: float, attempt: Attempt) -> None:
        wait = self._rng.uniform(0, attempt.pause)
        if now + wait > attempt.began + BEGIN_ROUNDS_FOR_SECONDS:
            self._answer(now, attempt, "503")
            return
        attempt.pause = min(attempt.pause * 2, LONGEST_PAUSE_SECONDS)
        attempt.rounds += 1
        self._then(now + wait, self._read, attempt)

    def _answer(self, now: float, attempt: Attempt, what: str) -> None:
        outcome = self._outcome
        outcome.answers[what] += 1
        outcome.waited.append(now - attempt.began)
        outcome.rounds += attempt.rounds


def main() -> None:
    """Two tables in Markdown: with the usual protection, and with none."""
    for protection, crowds in CROWDS.items():
        print(f"\nA protection of {protection / 3600:.0f} h:\n")
        print("| attackers in a second | won | refused | 503 | rounds each | median wait | 99 % |")
        print("|--:|--:|--:|--:|--:|--:|--:|")
        for crowd in crowds:
            outcome = Simulation(seed=1, protection=protection).run(crowd)
            refused, late = outcome.answers["refused"], outcome.answers["503"]
            print(
                f"| {crowd:,} | {outcome.answers['won']} | {refused / crowd:.1%} "
                f"| {late / crowd:.1%} | {outcome.rounds / crowd:.1f} "
                f"| {outcome.quantile(0.5) * 1000:,.0f} ms | "
                f"{outcome.quantile(0.99) * 1000:,.0f} ms |"
            )


if __name__ == "__main__":
    main()
