"""Real storage: every test of this folder runs on each engine unless it says otherwise."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.engines import ENGINES, LARGEST_CROWD, Engine
from tests.integration.game import Crowd, Game
from tests.integration.operators import Desk, desk_of
from tests.proxies import Conflicts


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves tests of many calls to the engines that answer faster and more as AWS does."""
    left_out = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and item.get_closest_marker("many_calls")
        and item.callspec.params["engine"] == "moto"
    ]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Each engine in turn; skipped with its reason where it cannot be had."""
    name = str(request.param)
    with ENGINES[name](tmp_path_factory.mktemp(name)) as engine:
        yield engine


@pytest.fixture
def new_game(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Game]]:
    """Makes the whole application anew on a table of its own, with its clock stopped."""
    with ExitStack() as tables:
        yield lambda: Game(engine.client, tables.enter_context(engine.table()), monkeypatch)


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
    """Threads that race each other; only on engines that can bear it."""
    if not engine.concurrent:
        pytest.skip(f"{engine.name} is not concurrent")
    with Crowd(LARGEST_CROWD) as threads:
        yield threads
