"""What a cold start costs: the modules that each function loads, and instructions.
The whole comparison is `make bench`; docs/performance.md has its figures and their story.
"""

from pathlib import Path

import pytest

from benchmarks import canned, cases, modules
from benchmarks.artifact import Artifact, as_on_lambda
from benchmarks.instructions import count, counter
from benchmarks.round_trips import round_trips
from benchmarks.stub import running_stub
from local.console import ProblemError
from local.tools import ENVIRONMENTS

LIBRARIES = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "import botocore.session; from aws_lambda_powertools import Logger"
)
COLD_START_ABOVE_LIBRARIES = 1.5
EVERY = frozenset(modules.functions())
WITHOUT_MODELS = {
    *("audit_table", "check_target", "count_unread", "execute_heist", "get_tokens"),
    *("notify_players", "publish_and_count", "seed_point_types", "send_digests", "serve_pages"),
    *("show_statistics", "sweep_notifications", "unsubscribe"),
}
MAY_LOAD = {
    **dict.fromkeys((*modules.COSTLY, "boto3"), frozenset[str]()),
    "heist_core.storage.operator": {"change_admin"},
    "heist_core.mail": {"notify_players", "send_digests", "sweep_notifications", "unsubscribe"},
    "heist_core.storage.audit": {"audit_table"},
    "heist_core.storage.statistics": {
        *("publish_and_count", "show_statistics", "sweep_notifications")
    },
    "pydantic": EVERY - WITHOUT_MODELS,
}
"""Which functions may load what takes long to load; what takes longest, none."""
MOST_MODULES = 66
"""Of ours and of packages. Execute, for which somebody waits, has fewer."""
MOST_MODULES_OF_EXECUTE = 49
SEQUENTIAL_CALLS = {
    "execute_heist": (3, 2),
    "check_target": (2, 1),
    "get_tokens": (1, 1),
    "list_notifications": (2, 1),
    "count_unread": (1, 1),
    "list_heists": (4, 2),
    "manage_preferences": (2, 2),
    "unsubscribe": (2, 2),
}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    if not (ENVIRONMENTS / "sam" / "bin" / "sam").exists():
        pytest.skip("SAM CLI is not installed: run this through `make test`")
    return as_on_lambda(tmp_path_factory.mktemp("lambda") / "artifact")


@pytest.mark.parametrize("function", modules.functions())
def test_a_function_loads_nothing_heavy_that_it_does_not_need(
    artifact: Artifact, function: str
) -> None:
    loaded = modules.loaded(artifact, function)
    heavy = [one for one in loaded if function not in MAY_LOAD.get(one, EVERY)]
    assert not heavy, "import it where it is used (wiring.py shows how)"
    most = MOST_MODULES_OF_EXECUTE if function == "execute_heist" else MOST_MODULES
    assert len(loaded) <= most, loaded


@pytest.mark.parametrize("function", SEQUENTIAL_CALLS)
def test_no_more_calls_wait_for_one_another_than_the_budget_has(
    artifact: Artifact, function: str
) -> None:
    assert round_trips(cases.function(artifact, function)) == SEQUENTIAL_CALLS[function]


def test_a_cold_start_costs_little_more_than_the_libraries_that_it_needs(
    artifact: Artifact, tmp_path: Path
) -> None:
    """Execute up to its first answer, clients included, beside the imports of its libraries."""
    try:
        counter()
    except ProblemError as problem:
        pytest.skip(str(problem))
    with running_stub(canned.answer) as stub:
        execute = cases.function(artifact, "execute_heist")
        cold = execute.instructions(1, stub.url)
        command = [cases.PYTHON, *cases.PYTHON_FLAGS, "-c", LIBRARIES, str(artifact.layer)]
        libraries = count(command, execute.environment(stub.url), tmp_path)
    assert cold / libraries < COLD_START_ABOVE_LIBRARIES
