"""The audit of a live table: no false violation for players who move, no damage missed."""

import itertools
from datetime import timedelta

import pytest

from heist_core.storage import audit, keys, table
from heist_core.storage.audit import audit_table
from heist_core.storage.table import Table
from tests.integration.game import Game

PLAYERS = ("alice", "bob", "carol")


@pytest.fixture
def busy(game: Game, monkeypatch: pytest.MonkeyPatch) -> Game:
    """Everybody robs everybody, and the audit reads a few items at a time."""
    monkeypatch.setattr(table, "SCAN_PAGE", 6)
    game.restart(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    game.settings.refresh(None)
    for player in PLAYERS:
        game.give(player, points=1000, tokens=6)
    return game


def audited_while_playing(game: Game) -> list[str]:
    """The violations of an audit, while points and heists come between its pages."""
    turns = itertools.count()

    def play(_read: int) -> None:
        turn = next(turns)
        one, other = PLAYERS[turn % 3], PLAYERS[(turn + 1) % 3]
        game.time.pass_(seconds=30)
        game.give(one, points=1)
        if turn % 4 == 0:
            assert game.rob(one, other).status == 200

    _, violations = audit_table(Table(game.client, game.table), rounds=3, progress=play)
    assert next(turns) > 20
    return [violation.invariant for violation in violations]


def test_players_who_move_on_while_they_are_read_are_not_accused(busy: Game) -> None:
    assert audited_while_playing(busy) == []


def test_a_lost_point_is_found_on_a_table_that_never_stands_still(busy: Game) -> None:
    state = busy.item(keys.player("carol"))
    assert state is not None
    busy.put({**state, "points#2026-11": 999})
    found = audited_while_playing(busy)
    assert "the ledger adds up to the points" in found
    assert "points are conserved" in found


def test_heists_older_than_their_notices_are_not_missing_them(game: Game) -> None:
    game.give("alice", tokens=1)
    game.give("bob", points=100)
    assert game.rob("alice", "bob").status == 200
    game.sweep()
    told = game.everything()
    for item in told:
        if str(item["sk"]).startswith("NOTICE#") or str(item["pk"]).startswith("INBOX#"):
            game.client.delete_item(
                TableName=game.table,
                Key={name: {"S": str(item[name])} for name in ("pk", "sk")},
            )
    for days, missing in ((398, 2), (400, 0)):
        look = audit.Audit()
        look.now = game.time() + timedelta(days=days)
        for item in game.everything():
            look.take(item)
        assert len(list(look.violations())) == missing, days
