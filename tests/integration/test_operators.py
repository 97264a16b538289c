"""What operators do, on every engine: each change with its entry in the log, or neither."""

import pytest

from heist_core.domain.errors import Contention
from heist_core.storage import operator
from ops.target import OperatorError
from tests.builders import action
from tests.integration.game import Game
from tests.integration.operators import Desk


def test_an_entry_of_the_log_is_written_once_and_never_over(game: Game, desk: Desk) -> None:
    game.store.commit((operator.record_action(game.table, action(blocked=True)),))

    with pytest.raises(Contention):
        game.store.commit((operator.record_action(game.table, action(blocked=False)),))

    [entry] = desk.actions()
    assert (entry["what"], entry["subject"], entry["who"]) == ("block", "player bob", "local:root")
    assert entry["after"] == {"blocked": True}


def test_the_log_is_listed_by_month_and_subject(game: Game, desk: Desk) -> None:
    game.store.commit((operator.record_action(game.table, action(subject="player eve")),))

    assert desk("actions", "--month", "2026-10")["actions"] == []
    assert desk("actions", "--subject", "player bob")["actions"] == []
    assert len(desk("actions", "--subject", "player eve")["actions"]) == 1
    shown = desk.shown("actions")
    assert "player eve" in shown
    assert "a test" in shown
    with pytest.raises(OperatorError, match="YYYY-MM"):
        desk("actions", "--month", "november")
