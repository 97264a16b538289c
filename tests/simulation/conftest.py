"""The engine that bears real concurrency, started once."""

from collections.abc import Iterator

import pytest

from tests.engines import Engine

from .stress import concurrent_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with concurrent_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def table(engine: Engine) -> Iterator[str]:
    with engine.table() as table:
        yield table
