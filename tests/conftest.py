"""What all tests share: unit tests reach no network, and nothing reaches AWS by accident."""

import builtins
import functools
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from pytest_socket import disable_socket, enable_socket

from heist_core import telemetry
from tests.aws_models import every_request_checked

TESTS = Path(__file__).parent
SUITES = ("e2e", "integration", "simulation", "template", "unit")
"""The longest first, so that short ones fill what is left of the time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a stack, an engine or a build go to one worker, one after the other."""
    items.sort(key=lambda item: SUITES.index(_suite(item.nodeid)))
    for item in items:
        suite = _suite(item.nodeid)
        if suite != "unit":
            engine = getattr(getattr(item, "callspec", None), "params", {}).get("engine")
            item.add_marker(pytest.mark.xdist_group(f"{suite}-{engine}" if engine else suite))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run of everything fails when a suite ran no test."""
    if _empty_suites(session.config) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def pytest_unconfigure(config: pytest.Config) -> None:
    """What it came to, in one plain line at the end."""
    if (reports := _reports(config)) is None:
        return
    if empty := _empty_suites(config):
        print(f"\nNo test passed in: {', '.join(empty)}")  # noqa: T201
    counts = {name: len(reports.get(name, ())) for name in ("passed", "failed", "error", "skipped")}
    print(  # noqa: T201
        f"{counts['passed']} passed, {counts['failed'] + counts['error']} failed, "
        f"{counts['skipped']} skipped"
    )


def _empty_suites(config: pytest.Config) -> list[str]:
    """Suites of which no test passed, if all were asked for."""
    reports = _reports(config)
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if reports is None or not everything or config.option.keyword or config.option.markexpr:
        return []
    passed = {_suite(report.nodeid) for report in reports.get("passed", ())}
    return [suite for suite in SUITES if suite not in passed]


def _reports(config: pytest.Config) -> dict[str, list[pytest.TestReport]] | None:
    """All reports by their outcome; None in a worker, which has its own only."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    return None if terminal is None or hasattr(config, "workerinput") else terminal.stats


def _suite(nodeid: str) -> str:
    """The folder under `tests` that a test is in."""
    return nodeid.split("/")[1]


@pytest.fixture(scope="session", autouse=True)
def _no_real_aws() -> Iterator[None]:
    """Takes this machine's AWS settings away: a forgotten double fails instead of costing money."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("POWERTOOLS_SERVICE_NAME", "heist-core")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        yield


@pytest.fixture(scope="session", autouse=True)
def _every_request_checked() -> Iterator[None]:
    with every_request_checked():
        yield


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Sockets fail in tests/unit."""
    is_unit = request.path.is_relative_to(TESTS / "unit")
    if is_unit:
        disable_socket(allow_unix_socket=True)
    yield
    if is_unit:
        enable_socket()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """Everything that is written, as it would stand in CloudWatch: lines, and the metrics counted
    from here on. No call in it is an instance's first."""
    telemetry.metrics().clear_metrics()
    monkeypatch.setattr(telemetry, "_count_cold_start", lambda function: None)
    written = StringIO()
    monkeypatch.setattr(telemetry.logger().registered_handler, "stream", written)
    monkeypatch.setattr(builtins, "print", functools.partial(print, file=written))  # by Metrics
    return written
