"""The five settings of fair play, from the settings item to the refusal, and what they count."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from heist_core.domain.player import Losses
from heist_core.storage import keys
from tests.builders import HOUR, NOW, bus_event
from tests.integration.game import Game

FREE = {"HEIST_COOLDOWN_HOURS": 0, "HEIST_TARGET_COOLDOWN_HOURS": 0}
SEASON = "2026-11"


def told(game: Game, attacker: str = "alice", victim: str = "bob") -> tuple[str, dict[str, str]]:
    """What both routes say of a heist that is refused."""
    check = game.check(attacker, victim).body
    refused = game.rob(attacker, victim)
    assert refused.status == 400, refused
    body = refused.body
    assert (check["code"], check["reason"]) == (body["code"], body["message"])
    assert check["details"] == body["details"]
    return body["code"], body["details"]


def robbed(game: Game, attacker: str = "alice", victim: str = "bob") -> int:
    """The points of a heist that succeeds, a second after the last."""
    game.time.pass_(seconds=1)
    answer = game.rob(attacker, victim)
    assert answer.status == 200, answer
    stolen: int = answer.body["pointsStolen"]
    return stolen


def play(game: Game, tokens: int = 5, **settings: object) -> None:
    game.restart(**FREE, **settings)
    game.give("alice", tokens=tokens)
    game.give("bob", points=1000)


# Limits of a victim


def test_robberies_and_losses_are_counted_whatever_the_settings(game: Game) -> None:
    play(game)
    stolen = [robbed(game) for _ in range(3)]
    assert game.player("bob").losses == {SEASON: Losses(3, sum(stolen))}
    assert game.player("alice").losses == {}
    assert game.player("alice").victims == {}
    game.assert_sound()


def test_whoever_was_robbed_so_often_is_left_alone_for_the_season(game: Game) -> None:
    play(game, HEIST_MAX_ROBBERIES_PER_SEASON=2)
    robbed(game)
    robbed(game)
    assert told(game) == ("TARGET_LOSS_LIMIT", {"seasonEndsAt": "2026-12-01T00:00:00.000Z"})
    assert game.player("alice").tokens == 3
    game.time.pass_(days=9)
    game.give("bob", points=1000)
    assert robbed(game) == 50
    assert game.player("bob").losses[SEASON].robberies == 2
    game.assert_sound()


def test_a_heist_that_would_go_over_the_share_takes_what_is_left(game: Game) -> None:
    play(game, HEIST_MAX_LOSS_PERCENTAGE=12)
    assert [robbed(game), robbed(game)] == [50, 47]
    assert game.check("alice", "bob").body["potentialSteal"] == 23
    assert robbed(game) == 23  # of 120
    assert told(game)[0] == "TARGET_LOSS_LIMIT"
    game.give("bob", points=100)
    assert robbed(game) == 12
    assert told(game)[0] == "TARGET_LOSS_LIMIT"
    game.assert_sound()


def test_a_reversal_gives_the_robbery_and_what_was_returned_back(game: Game) -> None:
    play(game, HEIST_MAX_ROBBERIES_PER_SEASON=2)
    game.give("carol", tokens=1)
    first = game.rob("alice", "bob").body["heistId"]
    robbed(game)
    robbed(game, "carol", "alice")  # alice has 92 of 97 left, and returns 50 and 42
    game.reverse(first)
    assert game.player("bob").losses == {SEASON: Losses(1, 47)}
    second = game.rob("alice", "bob")
    assert second.status == 200
    assert told(game)[0] == "TARGET_LOSS_LIMIT"
    game.assert_sound()


def test_of_a_reversal_with_a_shortfall_the_rest_stays_lost(game: Game) -> None:
    play(game)
    game.restart(**FREE, HEIST_STEAL_PERCENTAGE=100, HEIST_MAX_STEAL_POINTS=1000)
    game.give("carol", tokens=1)
    heist_id = game.rob("alice", "bob").body["heistId"]
    game.restart(**FREE, HEIST_STEAL_PERCENTAGE=60, HEIST_MAX_STEAL_POINTS=1000)
    assert robbed(game, "carol", "alice") == 600
    assert game.reverse(heist_id).reversal.shortfall == 600
    assert game.player("bob").losses == {SEASON: Losses(0, 600)}
    game.assert_sound()


def test_a_reversal_of_a_season_that_is_not_kept_any_more_changes_no_counter(game: Game) -> None:
    play(game)
    heist_id = game.rob("alice", "bob").body["heistId"]
    for _ in range(2):
        game.time.pass_(days=31)
        game.give("bob", points=1000)
        robbed(game)
    before = game.player("bob").losses
    assert sorted(before) == ["2026-12", "2027-01"]
    game.reverse(heist_id)
    assert game.player("bob").losses == before
    game.assert_sound()


def test_whoever_was_robbed_before_there_were_counters_has_none_until_the_next_season(
    game: Game,
) -> None:
    play(game, HEIST_MAX_ROBBERIES_PER_SEASON=1)
    robbed(game)
    state = game.stored(keys.player("bob"))
    del state["losses"], state["firstSeenAt"]
    game.put(state)
    robbed(game)
    assert game.player("bob").losses == {}
    game.assert_sound()
    game.time.pass_(days=9)
    game.give("bob", points=1000)
    robbed(game)
    assert told(game)[0] == "TARGET_LOSS_LIMIT"
    game.assert_sound()


# Pairs


def test_the_same_two_wait_for_each_other_and_no_one_else(game: Game) -> None:
    play(game, HEIST_PAIR_COOLDOWN_HOURS=3)
    game.give("carol", points=1000)
    robbed(game)
    assert told(game) == ("PAIR_COOLDOWN", {"pairEndsAt": "2026-11-22T15:00:04.117Z"})
    robbed(game, "alice", "carol")
    game.time.pass_(hours=3, seconds=-2)
    robbed(game)
    assert told(game, "alice", "carol")[0] == "PAIR_COOLDOWN"
    assert game.player("alice").victims == {
        "bob": NOW + 3 * HOUR + timedelta(seconds=1),
        "carol": NOW + timedelta(seconds=2),
    }
    game.assert_sound()


def test_a_reversal_does_not_lift_the_pair_cooldown(game: Game) -> None:
    play(game, HEIST_PAIR_COOLDOWN_HOURS=3)
    heist_id = game.rob("alice", "bob").body["heistId"]
    game.reverse(heist_id, refund=True)
    assert told(game)[0] == "PAIR_COOLDOWN"
    game.assert_sound()


def test_pairs_are_remembered_only_while_the_setting_asks(game: Game) -> None:
    play(game, HEIST_PAIR_COOLDOWN_HOURS=3)
    robbed(game)
    game.restart(**FREE)
    game.give("carol", points=1000)
    robbed(game, "alice", "carol")
    item = game.stored(keys.player("alice"))
    assert "victims" not in item
    game.restart(**FREE, HEIST_PAIR_COOLDOWN_HOURS=3)
    robbed(game)


def test_a_heist_in_between_is_not_forgotten(game: Game) -> None:
    """Two heists of one attacker at once: the later one decides again on what it finds."""
    play(game, HEIST_PAIR_COOLDOWN_HOURS=3)
    game.give("carol", points=1000)
    game.once_before("transact_write_items", lambda: robbed(game, "alice", "carol"))
    robbed(game)
    assert game.player("alice").victims.keys() == {"bob", "carol"}
    assert told(game, "alice", "carol")[0] == "PAIR_COOLDOWN"


# Newcomers


FIRST: dict[str, Callable[[Game], object]] = {
    "points": lambda game: game.call("add_points", bus_event("add_points", userId="eve")),
    "a profile": lambda game: game.call("upsert_player", bus_event("upsert_player", userId="eve")),
    "a token": lambda game: game.call(
        "award_token", bus_event("award_token", referrerUserId="eve", referredUserId="x")
    ),
}


@pytest.mark.parametrize("first", FIRST)
def test_whoever_is_new_neither_robs_nor_is_robbed(game: Game, first: str) -> None:
    play(game, HEIST_NEWCOMER_HOURS=5)
    game.time.pass_(hours=5)
    FIRST[first](game)
    until = {"newcomerUntil": "2026-11-22T22:00:03.117Z"}
    game.time.pass_(hours=1)
    for event in FIRST.values():  # later ones change nothing
        event(game)
    assert told(game, "eve", "bob") == ("ATTACKER_NEW", until)
    assert told(game, "alice", "eve") == ("TARGET_NEW", until)
    game.time.pass_(hours=4)
    robbed(game, "eve", "bob")
    robbed(game, "alice", "eve")
    game.assert_sound()


@pytest.mark.parametrize("event", FIRST)
def test_a_player_from_before_first_sight_was_kept_does_not_become_new(
    game: Game, event: str
) -> None:
    game.put({**keys.player("eve"), "version": 7})
    FIRST[event](game)
    assert game.player("eve").first_seen_at is None
    assert game.player("eve").version == 8


def test_a_held_award_makes_its_referrer_known_when_it_is_given(game: Game) -> None:
    game.restart(HEIST_AWARDS_ENABLED=False)
    FIRST["a token"](game)
    assert not game.player("eve").exists
    game.restart()
    game.sweep()
    assert game.player("eve").first_seen_at == game.player("eve").last_earned_at


@pytest.mark.parametrize("other", FIRST)
@pytest.mark.parametrize("first", FIRST)
def test_of_two_first_events_at_once_both_count(game: Game, first: str, other: str) -> None:
    """The first finds the player made by the other since it looked."""
    operation = "update_item" if first == "a profile" else "transact_write_items"
    game.once_before(operation, lambda: FIRST[other](game))
    FIRST[first](game)
    eve = game.player("eve")
    assert eve.first_seen_at == NOW
    assert eve.version == (1 if first == other else 2)
    game.assert_sound()
