"""The audit of a live table: no false violation for players who move, no damage missed."""

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest

from heist_core.storage import audit, audit_export, keys, table
from heist_core.storage.audit import audit_table
from heist_core.storage.table import Table
from ops.audit import audit_copy
from tests.engines import table_definition
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


@pytest.mark.not_on_moto
def test_a_lost_point_is_found_on_a_table_that_never_stands_still(busy: Game) -> None:
    busy.change(keys.player("carol"), {"points#2026-11": 999})
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
            game.delete(keys.key_of(item))
    for days, missing in ((398, 2), (400, 0)):
        look = audit.Audit()
        look.now = game.time() + timedelta(days=days)
        for item in game.everything():
            look.take(item)
        assert len(list(look.violations())) == missing, days


# --- In steps, on exports ------------------------------------------------------------------------


@pytest.fixture
def in_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few items each."""
    monkeypatch.setattr(audit_export, "ITEMS_IN_A_SHARE", 3)


@pytest.fixture
def played(game: Game, in_shares: None) -> Game:
    """A table with a heist, all told."""
    game.give("alice", tokens=1)
    game.give("bob", points=100)
    assert game.rob("alice", "bob").status == 200
    game.sweep()
    return game


def test_an_audit_of_an_export_tells_what_an_audit_of_the_table_tells(played: Game) -> None:
    state = played.item(keys.player("bob"))
    assert state is not None
    for points in (state["points#2026-11"], 7):
        played.put({**state, "points#2026-11": points})
        there = played.everything()
        found = played.call("audit_table", {})
        report = played.item(keys.AUDIT)
        assert played.audit_exports(there, there) == {"settled": True, **found}
        assert played.item(keys.AUDIT) == report


def test_part_of_a_transaction_in_an_export_accuses_nobody(played: Game) -> None:
    whole = played.everything()
    for missing in range(len(whole)):
        cut = whole[:missing] + whole[missing + 1 :]
        assert played.audit_exports(cut, whole)["violations"] == 0, whole[missing]


def test_a_player_who_is_right_by_now_is_not_accused_by_two_exports(played: Game) -> None:
    state = played.item(keys.player("bob"))
    assert state is not None
    wrong = {**state, "points#2026-11": 7}
    there = [
        wrong if keys.key_of(one) == keys.player("bob") else one for one in played.everything()
    ]
    assert played.audit_exports(there, there)["violations"] == 0


# --- A restored or exported copy -----------------------------------------------------------------


@pytest.fixture
def robbed(game: Game) -> Iterator[tuple[Game, str]]:
    """A table with a heist, and the name of a copy of it."""
    game.give("alice", tokens=1)
    game.give("bob", points=100)
    assert game.rob("alice", "bob").status == 200
    game.sweep()
    name = f"{game.table}-copy"
    game.client.create_table(TableName=name, **table_definition())
    for item in game.client.scan(TableName=game.table)["Items"]:
        game.client.put_item(TableName=name, Item=item)
    yield game, name
    game.client.delete_table(TableName=name)


def in_the_copy(robbed: tuple[Game, str]) -> tuple[list[str], list[str]]:
    """What is wrong with the table, and with its copy alone."""
    game, name = robbed
    live = Table(game.client, game.table)
    _, violations, cut = audit_copy(Table(game.client, name), live)
    return [one.invariant for one in violations], [one.invariant for one in cut]


def lose_a_ledger_entry(game: Game, table_name: str) -> None:
    """One of the items that the heist's transaction wrote."""
    (entry, *_) = game.client.query(
        TableName=table_name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": keys.ledger("bob")}},
        ScanIndexForward=False,
    )["Items"]
    game.client.delete_item(TableName=table_name, Key={"pk": entry["pk"], "sk": entry["sk"]})


def test_a_copy_with_part_of_a_transaction_is_told_from_a_table_that_lost_it(
    robbed: tuple[Game, str],
) -> None:
    """A restore or an export may hold a part of its last moment's transactions, as AWS says."""
    game, name = robbed
    assert in_the_copy(robbed) == ([], [])

    lose_a_ledger_entry(game, name)
    violations, cut = in_the_copy(robbed)
    assert violations == []
    assert "the ledger adds up to the points" in cut

    lose_a_ledger_entry(game, game.table)
    violations, cut = in_the_copy(robbed)
    assert "the ledger adds up to the points" in violations
    assert cut == []
