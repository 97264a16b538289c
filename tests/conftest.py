"""What all tests share: unit tests reach no network, and nothing reaches AWS by accident."""

import builtins
import functools
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_socket import disable_socket, enable_socket

from heist_core import telemetry
from tests.aws_models import every_request_checked

if TYPE_CHECKING:
    from local.stack import Stack
    from tests.e2e.world import World

TESTS = Path(__file__).parent


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
def _logger_of_the_session(_no_real_aws: None) -> None:
    """It writes to what is standard output when it is made: of one test, that would be closed."""
    telemetry.logger()


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


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Stack"]:
    """A stack of its own on a free port, one for the whole run; or the one whose outputs.json
    E2E_OUTPUTS names."""
    from local.players import POINTS
    from local.stack import Stack, running_stack

    if path := os.environ.get("E2E_OUTPUTS"):
        yield Stack.running(Path(path))
        return
    home = tmp_path_factory.mktemp("stack")
    parameters = {"NightlyAudit": "export", "ImportInParts": "on"}
    with running_stack(home, parameters=parameters, demo_players=POINTS) as stack:
        yield stack


@pytest.fixture(scope="session")
def world(stack: "Stack") -> "World":
    """The same stack as its users see it."""
    from tests.e2e.world import World

    return World(stack)
