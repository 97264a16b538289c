"""Budgets 7 and 10: write units as MiniStack reports them, and their growth with the players."""

import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from heist_core.storage import items, keys
from local.console import ProblemError
from tests.builders import award, stream_event, stream_record
from tests.engines import ministack
from tests.integration.game import Game

from .growth import PLACES, SIZES, game_on, grow_to, growth
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

    transaction: float
    heist: float
    with_board: float
    referral: float
    growth: float


def measure() -> Capacity:
    """Takes two minutes. Raises ProblemError where MiniStack is not installed."""
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # the functions' logs
            heist, referral = _units()
            table, _ = grow_to(ministack, _SIZES)
    except pytest.skip.Exception as missing:
        raise ProblemError(str(missing)) from missing
    together = sum(heist.values())
    return Capacity(
        transaction=heist["transaction"],
        heist=together - heist["board"],
        with_board=together,
        referral=referral,
        growth=max(growth(costs.values()) for name, costs in table.items() if name != PLACES),
    )


def _units() -> tuple[dict[str, float], float]:
    """All that a usual heist causes, by part, and all that a referral by its robber does."""
    with game_on(ministack) as (_, game), metered(game.client) as meter:
        heist = usual_heist(game, meter)
        new = award("alice", "friend", at=game.time())
        meter.take()
        assert game.store.commit_award(new)
        record = stream_event(stream_record(items.award_item(new)))
        for consumer in ("notify_players", "publish_and_count"):
            game.call(consumer, record)
        referral, _, _ = meter.take()
    return heist, referral
