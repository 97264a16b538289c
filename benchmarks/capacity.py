"""Budgets 7 and 10: write units as MiniStack reports them, and their growth with the players."""

import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from heist_core.domain.notices import notices_of
from heist_core.storage import keys
from local.console import ProblemError
from tests.builders import award, stream_event, stream_record
from tests.engines import ministack
from tests.integration.game import Game

from .growth import SIZES, game_on, grow_to, growth
from .write_units import Meter, metered

_SIZES = SIZES[:2]


def usual_heist(game: Game, meter: Meter) -> dict[str, float]:
    """Write units of all that the second heist of a robber causes, alone in its batches, by part.

    The first is no usual one: there is no place among the robbers to move from, and no inbox yet.
    """
    for name, points in (("alice", 0), ("bob", 800)):
        game.give(name, points=points, name=name.title(), email=f"{name}@example.com")
    game.give("alice", tokens=2)
    for _ in range(2):
        meter.take()
        answer = game.rob("alice", "bob")
        assert answer.status == 200, answer
        item = game.item(keys.heist(answer.body["heistId"]))
        assert item is not None
        record = stream_event(stream_record(item))
        for consumer in ("publish_and_count", "notify_players"):  # mails take longer
            game.call(consumer, record)
        game.time.pass_(hours=49)
    return dict(meter.parts)


class Capacity(NamedTuple):
    """Write units with indexes; `growth` is the most expensive size over the cheapest."""

    heist: float
    award: float
    notice: float
    growth: float


def measure() -> Capacity:
    """Takes 15 seconds. Raises ProblemError where MiniStack is not installed."""
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # the functions' logs
            heist, award_units, notice = _units()
            table, _ = grow_to(ministack, _SIZES)
    except pytest.skip.Exception as missing:
        raise ProblemError(str(missing)) from missing
    return Capacity(
        heist, award_units, notice, max(growth(costs.values()) for costs in table.values())
    )


def _units() -> tuple[float, float, float]:
    """The heist without the rate counter, which is an update of its own."""
    with game_on(ministack) as (_, game):
        game.give("alice", tokens=2, name="Alice", email="alice@example.com")
        game.give("bob", points=800, name="Bob", email="bob@example.com")
        with metered(game.client) as meter:
            assert game.rob("alice", "bob").status == 200
            heist = meter.writes["TransactWriteItems"]
            meter.take()
            event = award("alice", "friend")
            assert game.store.commit_award(event)
            award_units, _, _ = meter.take()
            (notice,) = notices_of(event)
            assert game.store.deliver_notice(event, notice, game.time()).put
            notice_units, _, _ = meter.take()
    return heist, award_units, notice_units
