"""What the search once found, each as the shortest course of events that shows it."""

from collections.abc import Callable, Iterator

import pytest

from .referee import Answer
from .story import Story, Theatre
from .world import heist_id

SETTINGS = {"HEIST_ENABLED": True, "HEIST_RATE_LIMIT_PER_MINUTE": 2}


@pytest.fixture
def story() -> Iterator[Story]:
    theatre = Theatre()
    with theatre.opened(0) as story:
        settings = {**story.settings, **SETTINGS}
        story.engine.operator_puts({"pk": "SETTINGS", "sk": "HEIST", **settings})
        story.world.note_rules(settings)
        yield story


def between(story: Story, sends: int, work: Callable[[], None]) -> None:
    """Run a whole other request before what is sent next but `sends`."""
    left = [sends]

    def pause() -> None:
        left[0] -= 1
        if left[0] == -1:
            work()

    story.injector.pause = pause


def ask(story: Story, key: str) -> Answer:
    return story.world.api("execute", "ann", body={"targetUserId": "ben"}, key=key)


def test_an_impatient_client_does_not_get_round_the_rate_limit(story: Story) -> None:
    """A counted the attempt, its twin decided it, and A took the count back."""
    for key in ("first", "second", "third"):
        story.referee.asks(heist_id("ann", key, ""), "ann", "ben")
    assert ask(story, "first").status == 400
    twins: list[Answer] = []
    between(story, 1, lambda: twins.append(ask(story, "second")))
    assert ask(story, "second").replayed
    assert not twins[0].replayed
    assert ask(story, "third").status == 429
