"""Runs tests and seeds under observation and with mutants, each worker in one session of pytest."""

import multiprocessing
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import Any

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from local.tools import ROOT

from .code import CodeMutant, Statement, in_place, modules, reached
from .requests import Calls, Mutant, Place, Watch, mutants_of, places, watching

AnyMutant = Mutant | CodeMutant

SEEDS = 200
LEAST_SECONDS = 5
"""A test or a seed that a mutant keeps busy for so long, and for five times as long as it takes,
has noticed it."""
DECIDING = ("heist_core.domain", "heist_core.use_cases")
"""The packages that decide what is written."""
PARTS = 16
"""What all tests and seeds are observed in."""
TESTS = ("tests/unit", "tests/integration")
_ARGUMENTS = (
    *("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-m", "not slow"),
    *("--tb=native", "--assert=plain"),  # nobody reads why a test failed
)


@dataclass
class Met:
    """What one test, or one seed, made the product do."""

    seconds: float = 0.0
    calls: set[frozenset[Mutant]] = field(default_factory=set)
    """Of each call that says something else, how it can be broken."""
    refused: set[Place] = field(default_factory=set)
    counts: dict[Place, set[int]] = field(default_factory=dict)
    """How many alike a write is one of."""
    statements: frozenset[Statement] = frozenset()

    def noticeable(self) -> Iterator[Mutant]:
        """Those that make any difference to it."""
        for mutant in frozenset[Mutant]().union(*self.calls):
            if mutant.family != "condition" or any(map(mutant.is_at, self.refused)):
                yield mutant


@dataclass(frozen=True)
class Trial:
    """A mutant, and what may notice it: tests, and seeds by their numbers; quickest first."""

    mutant: AnyMutant
    runs: Mapping[str, float]
    """With the seconds that each takes."""


class _TooLongError(BaseException):
    pass


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Of processor time, for a busy machine; what waits for ever does so for ten times as long."""

    def too_long(*_: object) -> None:
        raise _TooLongError

    timers = {
        signal.SIGPROF: (signal.ITIMER_PROF, seconds),
        signal.SIGALRM: (signal.ITIMER_REAL, seconds * 10),
    }
    before = {number: signal.signal(number, too_long) for number in timers}
    for timer, left in timers.values():
        signal.setitimer(timer, left)
    try:
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


class _Between(pytest.Item):
    """What runs next, by name: so the fixtures of the session stay, and no others."""

    def runtest(self) -> None:
        pass


class Worker:
    """A plugin that runs, instead of all tests once, what `work` asks it to run."""

    def __init__(self, work: "Callable[[Worker], None]", seeds: int) -> None:
        self.error: Exception | None = None
        self._work = work
        self._seeds = seeds
        self._known: Calls = {}
        self._noticed: dict[object, dict[str, None]] = defaultdict(dict)
        """What noticed mutants of one place, the first one first."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from tests.simulation.simulation import Simulator

        self.items = {
            item.nodeid: item
            for item in session.items
            if "crowd" not in getattr(item, "fixturenames", ())  # what races need not fail twice
        }
        self._between = _Between.from_parent(session, name="between")
        self._simulator = Simulator()
        try:
            self._work(self)
        except Exception as error:  # noqa: BLE001 - raised by `session`, pytest would only say so
            self.error = error
        return True

    def _run(self, name: str) -> str:
        """How a test, or a seed, failed; empty if it did not."""
        if name.isdecimal():
            return self._seed(int(name))
        item: Any = self.items[name]
        item._initrequest()
        for report in runtestprotocol(item, log=False, nextitem=self._between):
            if report.failed:
                *_, why = report.longreprtext.strip().splitlines() or [""]
                return f"{name.removeprefix('tests/')}: {why[:120]}"
        return ""

    def _seed(self, seed: int) -> str:
        from tests.simulation.simulation import Failure

        try:
            self._simulator.run(seed)
        except (Exception, _TooLongError) as error:  # noqa: BLE001 - whatever it is, it was noticed
            text = str(error) if isinstance(error, Failure) else repr(error)
            found = [line for line in text.splitlines() if line.startswith("DEVIATION")]
            return f"seed {seed}: {(found or [text])[0][:120]}"
        return ""

    # Observing

    def observe(self, part: int) -> dict[str, Met]:
        """What a part of all tests and seeds meets."""
        found = {}
        seen: set[Statement] = set()
        with reached([module for package in DECIDING for module in modules(package)], seen.add):
            for name in [*self.items, *map(str, range(self._seeds))][part::PARTS]:
                seen.clear()
                met, failed = self.met_by(name)
                if not failed:
                    met.statements = frozenset(seen)
                    found[name] = met
                elif name.isdecimal() or self._run(name):
                    raise RuntimeError(f"fails without any mutant: {failed}")
        return found

    def met_by(self, name: str) -> tuple[Met, str]:
        """And how it failed, as does what counts the product's calls."""
        met, started = Met(), time.process_time()
        with watching(Watch(partial(self._sent, met), met.refused.update)):
            failed = self._run(name)
        met.seconds = time.process_time() - started
        return met, failed

    def _sent(self, met: Met, sender: str, operation: str, params: Mapping[str, Any]) -> None:
        met.calls.add(mutants_of(self._known, sender, operation, params))
        last = {place.wherever(): place.nth for place in places(sender, operation, params)}
        for place, nth in last.items():
            met.counts.setdefault(place, set()).add(nth)

    # Trying

    def try_out(self, trial: Trial) -> str:
        """What noticed the mutant; empty if nothing did. Asks first what noticed others there."""
        noticed = self._noticed[trial.mutant.at]
        before = [name for name in noticed if name in trial.runs]
        for name in dict.fromkeys([*before, *trial.runs]):
            with _limited(LEAST_SECONDS + 5 * trial.runs[name]), _with(trial.mutant):
                found = self._run(name)
            if found:
                if again := self._run(name):
                    raise RuntimeError(f"after {trial.mutant}, also without it: {again}")
                noticed[name] = None
                return found
        return ""


def _with(mutant: AnyMutant) -> AbstractContextManager[None]:
    return in_place(mutant) if isinstance(mutant, CodeMutant) else watching(Watch(mutant=mutant))


def session(work: Callable[[Worker], None], tests: Sequence[str] = TESTS) -> None:
    """Run `work` with a worker for these tests, or all and the seeds, in this process, on one
    engine."""
    from tests.engines import most_like_aws

    hypothesis.settings.register_profile(
        "mutants", phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate), database=None
    )
    hypothesis.settings.load_profile("mutants")
    os.environ["ENGINES"] = most_like_aws()
    worker = Worker(work, SEEDS if tests == TESTS else 0)
    if pytest.main([*_ARGUMENTS, *tests], plugins=[worker]) != pytest.ExitCode.OK:
        raise RuntimeError("pytest ended with an error")
    if worker.error is not None:
        raise worker.error


# All of them, on all cores


@dataclass
class _Pool:
    tests: Sequence[str]
    tasks: Any
    results: Any

    def work(self, worker: Worker) -> None:
        """Until there is no task: a part to observe, or a trial."""
        for task in iter(self.tasks.get, None):
            done = worker.try_out(task) if isinstance(task, Trial) else worker.observe(task)
            self.results.put((task, done))


def _process(pool: _Pool) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    os.chdir(ROOT)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    try:
        session(pool.work, pool.tests)
    except BaseException as error:
        pool.results.put((None, repr(error)))
        raise


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


Done = Callable[[Sequence[Any]], Iterator[tuple[Any, Any]]]


@contextmanager
def workers(tests: Sequence[str] = TESTS) -> Iterator[Done]:
    """Gives what does tasks, in any order: numbers of parts to observe, or trials."""
    context = multiprocessing.get_context("spawn")
    pool = _Pool(tests, context.Queue(), context.Queue())
    count = os.cpu_count() or 1
    processes = [context.Process(target=_process, args=(pool,)) for _ in range(count)]

    def done(tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            pool.tasks.put(task)
        for _ in tasks:
            task, found = pool.results.get()
            if task is None:
                raise RuntimeError(found)
            yield task, found

    for process in processes:
        process.start()
    try:
        yield done
    finally:
        for process in processes:
            process.terminate()
