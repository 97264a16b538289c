"""Real storage, on the engines that ENGINES names: moto, ministack, dynamodb-local, or all.

Without it a test runs on the engine that is most like AWS, or on those that it names itself.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines import ENGINES, LARGEST_CROWD, Engine, most_like_aws
from tests.integration.game import Crowd, Game
from tests.integration.operators import Desk, desk_of
from tests.proxies import Conflicts

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves each test to the engines that are asked for and can bear it; starts each once."""
    asked = os.environ.get("ENGINES", "").split()
    engines = set(ENGINES if asked == ["all"] else asked or [most_like_aws()])
    if unknown := engines - set(ENGINES):
        raise pytest.UsageError(f"ENGINES may be all, or any of {', '.join(ENGINES)}: {unknown}")
    left_out = [item for item in items if not _runs(item, engines, every=not asked)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if _runs(item, engines, every=not asked)]
    items.sort(key=_engine)


def _engine(test: pytest.Item) -> str:
    """Empty for tests that need none, and those of other folders."""
    if not isinstance(test, pytest.Function) or not test.path.is_relative_to(HERE):
        return ""
    return str(test.callspec.params["engine"]) if "engine" in test.fixturenames else ""


def _runs(test: pytest.Item, engines: set[str], *, every: bool) -> bool:
    engine = _engine(test)
    needs = {mark.name for mark in test.iter_markers()} | {*getattr(test, "fixturenames", ())}
    if engine == "moto" and needs & {"crowd", "not_on_moto"}:
        return False
    its_own = any(mark.args[0] == "engine" for mark in test.iter_markers("parametrize"))
    return engine in {"", *engines} or (every and its_own)


@pytest.fixture(scope="session", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Each engine in turn; skipped with its reason where it cannot be had."""
    name = str(request.param)
    with ENGINES[name](tmp_path_factory.mktemp(name)) as engine:
        yield engine


@pytest.fixture
def new_game(engine: Engine) -> Iterator[Callable[[], Game]]:
    """Makes the whole application anew on a table of its own, with its clock stopped."""
    with ExitStack() as stack:

        def make() -> Game:
            table = stack.enter_context(engine.emptied_table())
            return stack.enter_context(Game(engine.client, table).wired())

        yield make


@pytest.fixture
def game(new_game: Callable[[], Game]) -> Game:
    """One of these, as almost every test needs."""
    return new_game()


@pytest.fixture
def desk(game: Game, capsys: pytest.CaptureFixture[str]) -> Desk:
    """The operator's program on that table."""
    return desk_of(game, capsys)


@pytest.fixture
def conflicts(engine: Engine) -> Iterator[Conflicts]:
    """The engine refuses what meets a transaction under way, as AWS does."""
    conflicts = Conflicts()
    with conflicts.before(engine.client):
        yield conflicts


@pytest.fixture
def crowd(engine: Engine) -> Iterator[ThreadPoolExecutor]:
    """Threads that race each other."""
    with Crowd(LARGEST_CROWD) as threads:
        yield threads
