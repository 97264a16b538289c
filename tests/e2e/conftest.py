"""The deployed application that the end-to-end tests talk to, one for the whole run."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from local.stack import Stack, running_stack
from tests.e2e.world import World


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own on a free port; or the one whose outputs.json E2E_OUTPUTS names."""
    if path := os.environ.get("E2E_OUTPUTS"):
        yield Stack.running(Path(path))
        return
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def world(stack: Stack) -> World:
    """The same stack as its users see it."""
    return World(asdict(stack.outputs))
