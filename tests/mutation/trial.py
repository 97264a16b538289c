"""Runs tests and seeds in their own processes: to see what they cover, and to try mutants."""

import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import coverage
import pytest

from .code import LAYER, CodeMutant, import_mutant
from .requests import NEEDS, Calls, Mutant, Place, Watch, mutants_of, places, watching

SEEDS = 200
LONGEST_SECONDS = 240
"""A mutant that keeps the tests busy so long has been noticed."""
_TESTS = ("tests/unit", "tests/integration", "-k", "not ministack and not dynamodb-local")
DECIDING = ("heist_core.use_cases",)
"""The packages that decide what is written."""
_OPTIONS = ("-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "-m", "not slow")


@dataclass
class Met:
    """What one test, or one seed, made the product do."""

    seconds: float = 0.0
    calls: set[frozenset[Mutant]] = field(default_factory=set)
    """Of each call that says something else, how it can be broken."""
    failed: dict[str, set[Place]] = field(default_factory=dict)
    """The writes that were refused, and that were not answered."""
    counts: dict[Place, set[int]] = field(default_factory=dict)
    """How many alike a write is one of."""
    lines: dict[str, set[int]] = field(default_factory=dict)

    def meets(self, mutant: "Mutant | CodeMutant") -> bool:
        """Whether it can notice the mutant at all."""
        if isinstance(mutant, CodeMutant):
            return mutant.line in self.lines.get(mutant.module, ())
        needed = NEEDS.get(mutant.family)
        if needed is not None and mutant.place not in self.failed.get(needed, ()):
            return False
        return any(mutant in call for call in self.calls)


class _Observer:
    """Of the requests, and as a plugin of pytest of the tests."""

    def __init__(self) -> None:
        self.met: dict[str, Met] = defaultdict(Met)
        self.current = ""
        self.failed = ""
        self._known: Calls = {}

    def sent(self, operation: str, params: Mapping[str, Any]) -> None:
        met = self.met[self.current]
        met.calls.add(mutants_of(self._known, operation, params))
        found = places(operation, params)
        for place in found:
            count = max(one.nth for one in found if one.write == place.write)
            met.counts.setdefault(place, set()).add(count)

    def write_failed(self, how: str, found: list[Place]) -> None:
        self.met[self.current].failed.setdefault(how, set()).update(found)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.current = item.nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.met[report.nodeid].seconds += report.duration
        if report.failed and not self.failed:
            self.failed = report.nodeid


def prepare() -> None:
    """Imports what every process needs, once."""
    with _Quiet():
        pytest.main(["--collect-only", *_OPTIONS, *_TESTS])


class _Quiet:
    """Nothing that is printed, by whatever way, is shown; `text` is what it was."""

    def __enter__(self) -> Self:
        sys.stdout.flush()
        sys.stderr.flush()
        self._kept = os.dup(1), os.dup(2)
        self._file = tempfile.TemporaryFile()
        for number in (1, 2):
            os.dup2(self._file.fileno(), number)
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._file.seek(0)
        self.text = self._file.read().decode("utf-8", "replace")
        self._file.close()
        for number, kept in zip((1, 2), self._kept, strict=True):
            os.dup2(kept, number)
            os.close(kept)


def observe_seeds(seeds: Iterable[int]) -> dict[str, Met]:
    """What each seed meets."""
    from tests.simulation.simulation import Simulator

    observer, simulator = _Observer(), Simulator()
    with watching(Watch(observer.sent, observer.write_failed)):
        for seed in seeds:
            observer.current, started = str(seed), time.process_time()
            simulator.run(seed)
            observer.met[str(seed)].seconds = time.process_time() - started
    return dict(observer.met)


def observe_tests(_: object = None) -> dict[str, Met]:
    """What each unit test, and each test of storage on moto, meets."""
    observer = _Observer()
    with tempfile.TemporaryDirectory() as folder:
        data, config = Path(folder) / "coverage", Path(folder) / "config"
        source = ",".join(DECIDING)
        config.write_text(f"[run]\nsource_pkgs = {source}\ndata_file = {data}\n", "utf-8")
        options = ["--cov", "--cov-context=test", f"--cov-config={config}", "--cov-report="]
        with _Quiet() as quiet, watching(Watch(observer.sent, observer.write_failed)):
            code = pytest.main([*_OPTIONS, *options, *_TESTS], plugins=[observer])
        if code:
            raise RuntimeError(f"a test fails without any mutant: {quiet.text[-3000:]}")
        read = coverage.CoverageData(str(data))
        read.read()
        for file in read.measured_files():
            module = ".".join(Path(file).relative_to(LAYER).with_suffix("").parts)
            for line, contexts in read.contexts_by_lineno(file).items():
                for test in {one.partition("|")[0] for one in contexts} - {""}:
                    observer.met[test].lines.setdefault(module, set()).add(line)
    observer.met.pop("", None)
    return dict(observer.met)


@dataclass(frozen=True)
class Trial:
    """A mutant, with the tests and the seeds that may notice it, quickest first."""

    mutant: "Mutant | CodeMutant"
    tests: Sequence[str]
    seeds: Sequence[int]


def try_out(trial: Trial) -> tuple[Trial, str]:
    """What noticed the mutant; empty if nothing did. Ruins the process for anything else."""

    def too_long(*_: object) -> None:
        raise _TooLongError

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST_SECONDS)
    try:
        with ExitStack() as stack:
            if isinstance(trial.mutant, CodeMutant):
                import_mutant(trial.mutant)
            else:
                stack.enter_context(watching(Watch(mutant=trial.mutant)))
            return trial, _first_test(trial.tests) or _first_seed(trial.seeds)
    except _TooLongError:
        return trial, f"nothing ended within {LONGEST_SECONDS} s"


class _TooLongError(BaseException):
    pass


def _first_test(tests: Sequence[str]) -> str:
    if not tests:
        return ""
    observer = _Observer()
    with _Quiet() as quiet:
        code = pytest.main([*_OPTIONS, *tests], plugins=[observer])
    if observer.failed:
        return observer.failed.removeprefix("tests/")
    if code == pytest.ExitCode.OK:
        return ""
    if "ImportError" in quiet.text or "Error" in quiet.text:
        return "the tests cannot be imported"
    raise RuntimeError(f"tests that could not run: {quiet.text[-3000:]}")


def _first_seed(seeds: Sequence[int]) -> str:
    if not seeds:
        return ""
    from tests.simulation.simulation import Failure, Simulator

    simulator = Simulator()
    for seed in seeds:
        try:
            simulator.run(seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it was noticed
            text = str(error) if isinstance(error, Failure) else repr(error)
            found = [line for line in text.splitlines() if line.startswith("DEVIATION")]
            return f"seed {seed}: {(found or [text])[0][:120]}"
    return ""
