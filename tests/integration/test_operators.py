"""What operators do, on every engine: each change with its entry in the log, or neither."""

import pytest

from heist_core.domain.errors import Contention
from heist_core.storage import operator
from ops.target import OperatorError
from tests.builders import action, api_event
from tests.integration.game import Game
from tests.integration.operators import Desk

BLOCK = ("--reason", "chargeback", "--apply")


# The log


def test_the_log_is_listed_by_month_and_subject(game: Game, desk: Desk) -> None:
    game.give("eve", points=1)
    desk("block", "eve", *BLOCK)

    assert desk("actions", "--month", "2026-10")["actions"] == []
    assert desk("actions", "--subject", "player bob")["actions"] == []
    assert len(desk("actions", "--subject", "player eve")["actions"]) == 1
    shown = desk.shown("actions")
    assert "player eve" in shown
    assert "chargeback" in shown
    with pytest.raises(OperatorError, match="YYYY-MM"):
        desk("actions", "--month", "november")


def test_an_entry_of_the_log_is_never_written_over(game: Game, desk: Desk) -> None:
    game.give("bob", points=1)
    entry = action(blocked=True)
    game.store.commit(operator.block(game.table, game.player("bob"), game.time(), entry))

    with pytest.raises(Contention):
        game.store.commit(operator.unblock(game.table, game.player("bob"), entry))

    assert game.player("bob").blocked
    assert len(desk.actions()) == 1


# Block


def test_a_blocked_player_neither_robs_nor_is_robbed_until_unblocked(
    game: Game, desk: Desk
) -> None:
    game.give("alice", tokens=1, points=100)
    game.give("bob", tokens=1, points=800)
    desk("block", "bob", *BLOCK)

    assert game.rob("bob", "alice").body["code"] == "ATTACKER_BLOCKED"
    assert game.rob("alice", "bob").body == game.rob("alice", "nobody").body
    asked = game.request(
        "check_target", api_event("check_target", "alice", path={"targetUserId": "bob"})
    ).body
    assert (asked["code"], asked["targetPoints"]) == ("TARGET_NOT_FOUND", 0)

    desk("unblock", "bob", *BLOCK)

    assert game.rob("alice", "bob").status == 200


def test_what_a_blocked_player_earns_is_credited(game: Game, desk: Desk) -> None:
    game.give("bob", points=10)
    desk("block", "bob", *BLOCK)
    game.give("bob", tokens=2, points=30, name="Bob")

    bob = game.player("bob")
    assert (bob.tokens, bob.points_in("2026-11"), bob.name, bob.blocked) == (2, 40, "Bob", True)


@pytest.mark.parametrize("blocked", ["alice", "bob"])
def test_a_block_between_read_and_commit_stops_the_heist(
    blocked: str, game: Game, desk: Desk
) -> None:
    game.give("alice", tokens=1, points=100)
    game.give("bob", points=800)
    game.once_before("transact_write_items", lambda: desk("block", blocked, *BLOCK))

    answer = game.rob("alice", "bob")

    assert answer.body["code"] in ("ATTACKER_BLOCKED", "TARGET_NOT_FOUND")
    assert game.points("bob") == 800
    assert game.player("alice").tokens == 1
    game.assert_sound("alice", "bob")


def test_a_block_holds_though_the_player_changes_meanwhile(game: Game, desk: Desk) -> None:
    game.give("bob", points=10)
    game.once_before("transact_write_items", lambda: game.give("bob", points=5))

    desk("block", "bob", *BLOCK)

    assert game.player("bob").blocked
    assert game.points("bob") == 15
    assert len(desk.actions()) == 1


def test_every_block_is_in_the_log_and_a_second_one_is_none(game: Game, desk: Desk) -> None:
    game.give("bob", points=10)
    assert desk("block", "bob", *BLOCK)["done"]
    assert not desk("block", "bob", *BLOCK)["done"]

    [entry] = desk.actions()
    assert (entry["what"], entry["subject"], entry["why"]) == ("block", "player bob", "chargeback")
    assert (entry["before"], entry["after"]) == ({"blocked": False}, {"blocked": True})


def test_without_apply_a_block_only_says_what_it_would_do(game: Game, desk: Desk) -> None:
    game.give("bob", points=10)

    told = desk("block", "bob", "--reason", "chargeback")

    assert (told["changes"], told["done"]) == (True, False)
    assert not game.player("bob").blocked
    assert desk.actions() == []


def test_nobody_can_be_blocked_who_is_not_there_or_without_a_reason(game: Game, desk: Desk) -> None:
    with pytest.raises(OperatorError, match="no player eve"):
        desk("block", "eve", *BLOCK)
    with pytest.raises(OperatorError, match="1 to 64 characters"):
        desk("block", "eve#", *BLOCK)
    with pytest.raises(OperatorError, match="--reason"):
        desk("block", "eve", "--apply")
