"""What meets a transaction under way on the same item: AWS refuses it, no engine here does."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.builders import Event, execute_event
from tests.integration.game import Game, succeeded
from tests.integration.stream import Stream
from tests.proxies import Conflicts, Key

pytestmark = pytest.mark.parametrize("engine", ["dynamodb-local"], indirect=True)

PATIENCE_SECONDS = 20


@pytest.fixture
def batch(game: Game) -> Event:
    """The stream's record of a heist, for both functions that read the stream."""
    game.give("alice", tokens=1)
    game.give("bob", points=800)
    game.sweep()
    stream = Stream(game)
    stream.poll()
    assert game.rob("alice", "bob").status == 200
    return {"Records": stream.poll()}


def test_settling_waits_for_a_transaction_on_the_same_record_and_nothing_comes_again(
    game: Game, batch: Event, conflicts: Conflicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause before another attempt is as long as the transaction, whatever the machine does."""
    begun, met, over = threading.Event(), threading.Event(), threading.Event()

    def hold(items: list[Key]) -> None:
        if "HEIST" in {sk for _, _, sk in items}:
            begun.set()
            assert met.wait(PATIENCE_SECONDS)

    def told() -> object:
        assert begun.wait(PATIENCE_SECONDS)
        return game.call("notify_players", batch)

    monkeypatch.setattr(game.store._table, "_sleep", lambda _: over.wait(PATIENCE_SECONDS))
    conflicts.on_refusal = met.set
    conflicts.hold = hold
    with ThreadPoolExecutor(1) as other:
        notified = other.submit(told)
        counted = game.call("publish_and_count", batch)
        over.set()
        answer = notified.result()
    assert conflicts.refused["UpdateItem"] >= 1
    assert answer == {"batchItemFailures": [], "parked": 0}
    assert counted["batchItemFailures"] == []
    assert game.owed() == []
    assert len(game.inbox("bob")) == 1


def test_everybody_who_robs_one_victim_at_once_gets_a_definite_answer(
    game: Game, conflicts: Conflicts, crowd: ThreadPoolExecutor
) -> None:
    game.restart(HEIST_TARGET_COOLDOWN_HOURS=0, HEIST_COOLDOWN_HOURS=0)
    robbers = [f"robber-{number}" for number in range(8)]
    game.give("bob", points=5000)
    for robber in robbers:
        game.give(robber, tokens=1)
    requests = [execute_event(robber, "bob", "key") for robber in robbers for _ in range(2)]
    answers = list(crowd.map(lambda event: game.request("execute_heist", event), requests))
    assert conflicts.refused["TransactWriteItems"] > 0
    assert {answer.status for answer in answers} <= {200, 503}
    again = [game.rob(robber, "bob", "key") for robber in robbers]
    assert len(succeeded(again)) == len(robbers)
    game.assert_sound()
