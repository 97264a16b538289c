"""Undoing a heist in real storage: once, nobody below zero, exact whatever happens meanwhile."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from heist_core.domain.errors import Contention, NotReversible, Unavailable
from heist_core.domain.heist import Heist
from heist_core.domain.reversal import plan_reversal
from heist_core.storage import items, keys
from heist_core.use_cases.execute_heist import heist_id_of
from heist_core.use_cases.reverse_heist import Reversed
from tests.builders import NOW, action, api_event, bus_event
from tests.fakes import LOST
from tests.integration.game import Game


@pytest.fixture
def playing(game: Game) -> Game:
    """alice (1000 points, two tokens) may rob bob (800); carol (500) has a token too."""
    game.give("alice", points=1000, tokens=2, name="Alice", email="alice@example.com")
    game.give("bob", points=800, tokens=1, name="Bob", email="bob@example.com")
    game.give("carol", points=500, tokens=1)
    game.sweep()
    return game


@pytest.fixture
def robbed(playing: Game) -> str:
    """The id of a heist in which alice stole 40 points from bob."""
    answer = playing.rob("alice", "bob", "key-1")
    assert answer.body["pointsStolen"] == 40
    return str(answer.body["heistId"])


def of_season(game: Game, *player_ids: str) -> list[int]:
    return [game.player(player_id).points_in("2026-11") for player_id in player_ids]


def test_a_reversal_moves_the_points_back_and_leaves_token_and_clocks(
    playing: Game, robbed: str
) -> None:
    before = playing.player("alice")
    playing.time.pass_(minutes=5)
    undone = playing.reverse(robbed)
    assert (undone.already, undone.reversal.points_returned) == (False, 40)
    assert playing.reversal(robbed) == undone.reversal
    alice, bob = playing.player("alice"), playing.player("bob")
    assert (alice.points, bob.points) == ({"2026-11": 1000}, {"2026-11": 800})
    assert (alice.tokens, alice.tokens_spent) == (before.tokens, before.tokens_spent)
    assert (alice.last_heist_at, alice.last_spent_at) == (
        before.last_heist_at,
        before.last_spent_at,
    )
    assert bob.last_robbed_at == before.last_heist_at
    playing.assert_sound()


def test_the_heist_and_the_answer_under_its_key_stay_as_they_were(
    playing: Game, robbed: str
) -> None:
    record = playing.heist(robbed)
    first = playing.rob("alice", "bob", "key-1")
    playing.reverse(robbed)
    again = playing.rob("alice", "bob", "key-1")
    assert (again.status, again.text, again.replayed) == (200, first.text, True)
    assert playing.heist(robbed) == record


def test_the_operators_log_has_who_why_before_and_after(playing: Game, robbed: str) -> None:
    undone = playing.reverse(robbed).reversal
    (entry,) = [item for item in playing.everything() if str(item["pk"]).startswith("ACTIONS#")]
    assert entry == {
        **keys.action(undone.at, undone.action_id),
        "id": undone.action_id,
        "at": "2026-11-22T12:02:03.117Z",
        "who": "local:root",
        "what": "reverse",
        "subject": f"heist {robbed}",
        "why": "a test",
        "before": {"attackerPoints": 1040, "victimPoints": 760},
        "after": {
            "attackerPoints": 1000,
            "victimPoints": 800,
            "shortfall": 0,
            "tokenRefunded": False,
        },
    }


def test_a_refund_gives_the_token_back_and_lifts_the_cooldown_that_this_heist_started(
    playing: Game, robbed: str
) -> None:
    assert playing.rob("alice", "carol").body["code"] == "COOLDOWN_ACTIVE"
    playing.reverse(robbed, refund=True)
    alice = playing.player("alice")
    assert (alice.tokens, alice.tokens_earned, alice.tokens_spent) == (2, 2, 0)
    assert alice.last_heist_at is None
    playing.assert_sound()
    assert playing.rob("alice", "bob").body["code"] == "TARGET_PROTECTED"
    assert playing.rob("alice", "carol").status == 200
    playing.assert_sound()


def test_a_refund_leaves_a_cooldown_that_another_heist_started(playing: Game, robbed: str) -> None:
    playing.time.pass_(hours=25)
    assert playing.rob("alice", "carol").status == 200
    playing.reverse(robbed, refund=True)
    alice = playing.player("alice")
    assert (alice.tokens, alice.tokens_spent) == (1, 1)
    assert alice.last_heist_at == playing.time()
    playing.assert_sound()


def test_an_attacker_who_lost_the_points_gives_what_is_left(playing: Game, robbed: str) -> None:
    playing.restart(HEIST_STEAL_PERCENTAGE=100, HEIST_MAX_STEAL_POINTS=1010)
    assert playing.rob("carol", "alice").body["pointsStolen"] == 1010
    undone = playing.reverse(robbed).reversal
    assert (undone.points_returned, undone.shortfall) == (30, 10)
    assert of_season(playing, "alice", "bob") == [0, 790]
    playing.assert_sound()


def test_an_attacker_without_any_points_left_gives_nothing_and_it_is_on_record(
    playing: Game, robbed: str
) -> None:
    playing.restart(HEIST_STEAL_PERCENTAGE=100, HEIST_MAX_STEAL_POINTS=1_000_000)
    playing.rob("carol", "alice")
    undone = playing.reverse(robbed, refund=True).reversal
    assert (undone.points_returned, undone.shortfall, undone.token_refunded) == (0, 40, True)
    assert of_season(playing, "alice", "bob") == [0, 760]
    playing.assert_sound()


@pytest.mark.not_on_moto
def test_a_heist_of_a_finished_season_moves_points_of_that_season_only(
    playing: Game, robbed: str
) -> None:
    playing.time.at = NOW.replace(month=12, day=3)
    playing.give("alice", points=7)
    playing.reverse(robbed)
    assert playing.player("alice").points == {"2026-11": 1000, "2026-12": 7}
    assert playing.player("bob").points == {"2026-11": 800}
    assert playing.ledger("alice", "2026-12") == 7
    playing.assert_sound()


def test_both_heists_of_a_quarrel_are_reversed_in_either_order(playing: Game, robbed: str) -> None:
    back = playing.rob("bob", "alice").body["heistId"]
    assert of_season(playing, "alice", "bob") == [988, 812]
    playing.reverse(back)
    playing.reverse(robbed)
    assert of_season(playing, "alice", "bob") == [1000, 800]
    playing.assert_sound()


# What cannot be reversed


def test_what_is_no_successful_heist_is_not_reversed_and_nothing_is_written(
    playing: Game, robbed: str
) -> None:
    playing.rob("carol", "nobody", "key-2")
    refused = heist_id_of("carol", "key-2", str)
    before = playing.everything()
    with pytest.raises(NotReversible, match="no such heist"):
        playing.reverse("nothing")
    with pytest.raises(NotReversible, match="TARGET_NOT_FOUND"):
        playing.reverse(refused)
    assert playing.everything() == before


def test_a_heist_is_reversed_once_however_often_it_is_asked(playing: Game, robbed: str) -> None:
    first = playing.reverse(robbed)
    before = playing.everything()
    for refund in (False, True):
        assert playing.reverse(robbed, refund=refund) == Reversed(first.reversal, already=True)
    assert playing.everything() == before


# Others write between the read and the commit


def renamed(game: Game) -> object:
    update = {"userId": "alice", "name": "Allie", "updatedAt": ...}
    return game.call("upsert_player", bus_event("upsert_player", game.time(), **update))


@pytest.mark.not_on_moto
@pytest.mark.parametrize(
    ("meanwhile", "alice_points", "bob_points", "alice_tokens"),
    [
        pytest.param(lambda game: game.give("alice", tokens=1), 1000, 800, 3, id="award"),
        pytest.param(lambda game: game.give("alice", points=7), 1007, 800, 2, id="points"),
        pytest.param(lambda game: game.give("bob", points=7), 1000, 807, 2, id="victim's points"),
        pytest.param(renamed, 1000, 800, 2, id="profile"),
        pytest.param(lambda game: game.rob("carol", "alice"), 948, 800, 2, id="robbed"),
        pytest.param(lambda game: game.rob("bob", "alice"), 948, 852, 2, id="robbed back"),
    ],
)
def test_nothing_that_happened_meanwhile_is_lost(
    playing: Game,
    robbed: str,
    meanwhile: Callable[[Game], object],
    alice_points: int,
    bob_points: int,
    alice_tokens: int,
) -> None:
    playing.time.pass_(milliseconds=1)
    playing.once_before("transact_write_items", lambda: meanwhile(playing))
    undone = playing.reverse(robbed, refund=True)
    assert not undone.already
    assert of_season(playing, "alice", "bob") == [alice_points, bob_points]
    assert playing.player("alice").tokens == alice_tokens
    assert undone.reversal.attacker_name == playing.player("alice").name
    playing.assert_sound()


@pytest.mark.parametrize(
    ("attacker", "victim", "points"),
    [
        ("bob", "alice", [950, 850, 500]),
        ("carol", "alice", [950, 800, 550]),
        ("bob", "carol", [1000, 825, 475]),
    ],
)
def test_a_reversal_between_a_heists_read_and_its_commit_is_seen_by_the_heist(
    playing: Game, robbed: str, attacker: str, victim: str, points: list[int]
) -> None:
    playing.once_before("transact_write_items", lambda: playing.reverse(robbed))
    assert playing.rob(attacker, victim).status == 200
    assert of_season(playing, "alice", "bob", "carol") == points
    playing.assert_sound()


def test_points_stolen_meanwhile_are_not_given_back_twice(playing: Game, robbed: str) -> None:
    playing.restart(HEIST_STEAL_PERCENTAGE=100, HEIST_MAX_STEAL_POINTS=1_000_000)
    playing.once_before("transact_write_items", lambda: playing.rob("carol", "alice"))
    undone = playing.reverse(robbed).reversal
    assert (undone.points_returned, undone.shortfall) == (0, 40)
    assert of_season(playing, "alice", "bob", "carol") == [0, 760, 1540]
    playing.assert_sound()


def test_a_token_refunded_meanwhile_can_be_spent_and_is_not_lost(
    playing: Game, robbed: str
) -> None:
    """The heist read one token; it commits on the two that there are by then."""
    playing.time.pass_(hours=25)
    playing.once_before("transact_write_items", lambda: playing.reverse(robbed, refund=True))
    answer = playing.rob("alice", "carol")
    assert (answer.status, answer.body["tokensLeft"]) == (200, 1)
    playing.assert_sound()


def test_a_cooldown_started_meanwhile_is_not_lifted(playing: Game, robbed: str) -> None:
    playing.time.pass_(hours=25)
    struck_at = playing.time()
    playing.once_before("transact_write_items", lambda: playing.rob("alice", "carol"))
    assert not playing.reverse(robbed, refund=True).reversal.cooldown_lifted
    assert playing.player("alice").last_heist_at == struck_at
    playing.assert_sound()


@pytest.mark.not_on_moto
@pytest.mark.parametrize("operation", ["get_item", "batch_get_item", "transact_write_items"])
@pytest.mark.parametrize("skip", [0, 1])
def test_of_two_reversals_at_once_one_does_it_and_the_other_says_so(
    playing: Game, robbed: str, operation: str, skip: int
) -> None:
    others: list[Reversed] = []
    playing.once_before(
        operation, lambda: others.append(playing.reverse(robbed, refund=True)), skip=skip
    )
    ours = playing.reverse(robbed, refund=True)
    playing.undisturbed()
    (other,) = others or [playing.reverse(robbed, refund=True)]
    assert {ours.already, other.already} == {False, True}
    assert ours.reversal == other.reversal
    assert playing.player("alice").tokens == 2
    assert of_season(playing, "alice", "bob") == [1000, 800]
    playing.assert_sound()


@pytest.mark.parametrize("refund", [False, True])
@pytest.mark.parametrize("robs_again", [False, True])
def test_the_store_itself_refuses_players_no_longer_at_the_version_seen(
    playing: Game, robbed: str, refund: bool, robs_again: bool
) -> None:
    heist = playing.heist(robbed)
    assert isinstance(heist, Heist)
    if robs_again:
        playing.time.pass_(hours=25)
        assert playing.rob("alice", "carol").status == 200
    for changed in ("alice", "bob"):
        alice, bob = playing.player("alice"), playing.player("bob")
        plan = plan_reversal(heist, alice, bob, NOW, "action-1", refund_token=refund)
        playing.give(changed, points=1)
        with pytest.raises(Contention):
            playing.store.commit_reversal(plan, alice, bob, action())
    assert playing.reversal(robbed) is None


def test_where_a_reversal_stands_no_other_is_written_even_if_the_players_look_untouched(
    playing: Game, robbed: str
) -> None:
    """As after a repair by hand that set the versions back."""
    heist = playing.heist(robbed)
    assert isinstance(heist, Heist)
    alice, bob = playing.player("alice"), playing.player("bob")
    standing = plan_reversal(heist, alice, bob, NOW, "action-1", refund_token=False)
    playing.put(items.reversal_item(standing))
    before = playing.everything()

    second = plan_reversal(heist, alice, bob, NOW, "action-2", refund_token=True)
    assert playing.store.commit_reversal(second, alice, bob, action()) == standing
    assert playing.everything() == before


@pytest.mark.parametrize("refund", [False, True])
@pytest.mark.parametrize("robs_again", [False, True])
def test_a_heist_and_its_reversal_bump_the_versions_of_both_players(
    playing: Game, refund: bool, robs_again: bool
) -> None:
    def versions() -> list[int]:
        return [playing.player(player_id).version for player_id in ("alice", "bob")]

    before = versions()
    robbed = playing.rob("alice", "bob").body["heistId"]
    assert versions() == [version + 1 for version in before]
    if robs_again:
        playing.time.pass_(hours=25)
        assert playing.rob("alice", "carol").status == 200
    before = versions()
    playing.reverse(robbed, refund=refund)
    assert versions() == [version + 1 for version in before]


# Answers that get lost


@pytest.mark.parametrize("error", [LOST, EndpointConnectionError(endpoint_url="x")])
def test_a_reversal_whose_answer_was_lost_is_reported_as_done_by_this_call(
    playing: Game, robbed: str, error: Exception
) -> None:
    playing.fails(error, "transact_write_items", sent=True)
    undone = playing.reverse(robbed)
    assert not undone.already
    assert playing.reversal(robbed) == undone.reversal
    assert of_season(playing, "alice", "bob") == [1000, 800]
    playing.assert_sound()


@pytest.mark.not_on_moto
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 5))
def test_wherever_one_call_is_lost_the_heist_is_reversed_once(
    playing: Game, robbed: str, moment: str, number: int
) -> None:
    left = number

    def strike(operation: str, request: Mapping[str, Any] | None = None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            playing.undisturbed()
            raise LOST

    setattr(playing.tap, moment, strike)
    undone = playing.reverse(robbed, refund=True)
    assert left == 0
    assert not undone.already
    assert of_season(playing, "alice", "bob") == [1000, 800]
    playing.assert_sound()


def test_a_table_that_does_not_answer_is_an_error_and_the_next_call_says_what_happened(
    playing: Game, robbed: str
) -> None:
    def lose(operation: str) -> None:
        if operation == "transact_write_items":
            raise LOST

    def down(operation: str, request: Mapping[str, Any]) -> None:
        if playing.item(keys.reversal(robbed)) is not None:
            raise LOST

    playing.tap.before, playing.tap.after = down, lose
    with pytest.raises(Unavailable):
        playing.reverse(robbed)
    playing.undisturbed()
    assert playing.reverse(robbed).already
    playing.assert_sound()


# What follows


def told_of(game: Game, player_id: str, heist_id: str) -> list[tuple[str, str | None]]:
    return [
        (item.notice.type.value, item.notice.heist_id)
        for item in game.inbox(player_id)
        if item.notice.heist_id == heist_id
    ]


def test_a_reversal_is_notified_to_both_and_the_bus_once_beside_the_heist(
    playing: Game, robbed: str
) -> None:
    playing.reverse(robbed)
    playing.sweep()
    playing.sweep()
    for player_id, first in (("alice", "HEIST_SUCCESS"), ("bob", "HEIST_VICTIM")):
        assert sorted(told_of(playing, player_id, robbed)) == sorted(
            [(first, robbed), ("HEIST_REVERSED", robbed)]
        )
        assert playing.ses.by_address[f"{player_id}@example.com"] == 2
    published = dict(playing.bridge.facts[-2:])
    assert set(published) == {"HeistCommitted", "HeistReversed"}
    assert published["HeistReversed"]["pointsReturned"] == 40
    assert playing.marked() == []
    playing.assert_sound()


def test_the_inbox_shows_a_reversal_as_the_contract_says(playing: Game, robbed: str) -> None:
    playing.sweep()
    playing.reverse(robbed, refund=True)
    playing.sweep()
    (shown, *_) = playing.request(
        "list_notifications", api_event("list_notifications", "alice", query={"limit": "1"})
    ).body["notifications"]
    assert shown["type"] == "HEIST_REVERSED"
    assert shown["message"] == (
        "Your heist on Bob was reversed: 40 points went back. You have your Heist Token back."
    )
    assert shown["metadata"] == {
        "victimName": "Bob",
        "victimId": "bob",
        "pointsStolen": 40,
        "pointsReturned": 40,
        "shortfall": 0,
        "tokenRefunded": True,
    }
