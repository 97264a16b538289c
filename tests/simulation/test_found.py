"""What the search once found, each as the shortest course of events that shows it."""

from collections.abc import Callable, Iterator

import pytest

from tests.application import Answer

from .application import heist_id
from .simulation import Simulation, Simulator

SETTINGS = {"HEIST_ENABLED": True, "HEIST_RATE_LIMIT_PER_MINUTE": 2}


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    simulator = Simulator()
    with simulator.opened(0) as simulation:
        settings = {**simulation.settings, **SETTINGS}
        simulation.engine.operator_puts({"pk": "SETTINGS", "sk": "HEIST", **settings})
        simulation.app.note_rules(settings)
        yield simulation


def between(simulation: Simulation, sends: int, work: Callable[[], None]) -> None:
    """Run a whole other request before what is sent next but `sends`."""
    left = [sends]

    def pause() -> None:
        left[0] -= 1
        if left[0] == -1:
            work()

    simulation.faults.pause = pause


def ask(simulation: Simulation, key: str) -> Answer:
    return simulation.app.rob("ann", "ben", key)


def test_an_impatient_client_does_not_get_round_the_rate_limit(simulation: Simulation) -> None:
    """A counted the attempt, its twin decided it, and A took the count back."""
    for key in ("first", "second", "third"):
        simulation.checker.asks(heist_id("ann", key, ""), "ann", "ben")
    assert ask(simulation, "first").status == 400
    twins: list[Answer] = []
    between(simulation, 1, lambda: twins.append(ask(simulation, "second")))
    assert ask(simulation, "second").replayed
    assert not twins[0].replayed
    assert ask(simulation, "third").status == 429
