"""Execute against real storage: one outcome per attempt, whatever happens in between.

Each interleaving here fails when the condition that it is about is taken away.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError, EndpointConnectionError

from heist_core.domain.errors import Contention
from heist_core.domain.heist import Heist, RefusedHeist, plan_heist
from heist_core.storage import keys
from heist_core.use_cases.execute_heist import heist_id_of
from tests.builders import HOUR, MILLISECOND, NOW, attempt, bus_event, execute_event
from tests.fakes import LOST
from tests.integration.game import Game


@pytest.fixture
def playing(game: Game) -> Game:
    """alice (1000 points, one token) may rob bob (800); carol (500) has tokens too."""
    game.give("alice", points=1000, tokens=1, name="Alice")
    game.give("bob", points=800, tokens=1, name="Bob")
    game.give("carol", points=500, tokens=2)
    return game


def test_a_heist_moves_points_and_a_token_and_starts_both_clocks(playing: Game) -> None:
    answer = playing.rob("alice", "bob")
    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "heistId": answer.body["heistId"],
        "pointsStolen": 40,
        "message": "Success! You stole 40 points!",
        "attackerPointsAfter": 1040,
        "tokensLeft": 0,
        "cooldownEndsAt": "2026-11-23T12:00:03.117Z",
    }
    assert not answer.replayed
    alice, bob = playing.player("alice"), playing.player("bob")
    assert (alice.points, bob.points) == ({"2026-11": 1040}, {"2026-11": 760})
    assert (alice.tokens, alice.tokens_earned, alice.tokens_spent) == (0, 1, 1)
    assert alice.last_spent_at == alice.last_heist_at == bob.last_robbed_at == NOW
    assert alice.last_robbed_at is None
    assert bob.last_heist_at is None
    playing.assert_sound()


def test_the_record_holds_the_heist_with_both_sides_and_only_the_network(playing: Game) -> None:
    heist_id = playing.rob("alice", "bob").body["heistId"]
    item = playing.stored(keys.heist(heist_id))
    assert {name: item[name] for name in ("status", "season", "attackerName", "victimName")} == {
        "status": "SUCCESS",
        "season": "2026-11",
        "attackerName": "Alice",
        "victimName": "Bob",
    }
    assert [
        item[name]
        for name in (
            *("pointsStolen", "attackerPointsBefore", "attackerPointsAfter"),
            *("victimPointsBefore", "victimPointsAfter"),
        )
    ] == [40, 1000, 1040, 800, 760]
    assert item["sourceNetwork"] == "203.0.113.0/24"
    assert "203.0.113.57" not in str(playing.everything())
    assert "expiresAt" not in item


def test_one_heist_stays_in_one_season_at_the_turn_of_the_month(playing: Game) -> None:
    playing.time.at = NOW.replace(day=30, hour=23, minute=59, second=59, microsecond=999_000)
    assert playing.rob("alice", "bob").body["attackerPointsAfter"] == 1040
    playing.time.at += MILLISECOND
    refused = playing.rob("carol", "bob")
    assert refused.body["code"] == "TARGET_BELOW_MINIMUM"
    assert playing.ledger("alice", "2026-12") == playing.ledger("bob", "2026-12") == 0
    playing.assert_sound()


# The same attempt again


def test_a_repeat_is_the_first_answer_to_the_byte(playing: Game) -> None:
    first = playing.rob("alice", "bob", "key-1")
    playing.time.pass_(hours=30)
    playing.give("alice", points=5)
    again = playing.rob("alice", "bob", "key-1")
    assert (again.status, again.text) == (first.status, first.text)
    assert (first.replayed, again.replayed) == (False, True)
    assert playing.player("alice").tokens_spent == 1


def test_a_refusal_is_remembered_with_its_words_though_the_reason_is_gone(playing: Game) -> None:
    playing.rob("alice", "bob")
    playing.give("alice", tokens=1)
    first = playing.rob("alice", "carol", "key-1")
    assert first.body["code"] == "COOLDOWN_ACTIVE"
    assert first.body["message"] == "You can perform another heist in 24 hours"
    playing.time.pass_(hours=25)
    again = playing.rob("alice", "carol", "key-1")
    assert (again.status, again.text, again.replayed) == (400, first.text, True)
    assert playing.rob("alice", "carol", "key-2").status == 200


def test_another_target_under_the_same_key_is_a_mismatch_that_moves_nothing(playing: Game) -> None:
    playing.rob("alice", "bob", "key-1")
    before = playing.everything()
    answer = playing.rob("alice", "carol", "key-1")
    assert (answer.status, answer.body["error"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert playing.everything() == before
    playing.rob("carol", "nobody", "key-2")
    assert playing.rob("carol", "bob", "key-2").status == 422


def test_the_same_target_in_another_form_is_no_mismatch(game: Game) -> None:
    game.give("alice", tokens=1)
    game.give("7", points=100)
    first = game.request("execute_heist", execute_event("alice", "7", "k"))
    again = game.request("execute_heist", execute_event("alice", 7, "k"))
    assert first.text == again.text
    assert again.status == 200


def test_two_players_may_use_the_same_key(playing: Game) -> None:
    assert playing.rob("alice", "bob", "key-1").status == 200
    assert playing.rob("carol", "alice", "key-1").status == 200


def test_without_a_key_every_attempt_is_a_new_one(playing: Game) -> None:
    assert playing.rob("alice", "bob").status == 200
    assert playing.rob("alice", "bob").body["code"] == "NO_TOKENS"


def test_a_mismatch_that_shows_only_at_the_commit_is_one_too(playing: Game) -> None:
    playing.once_before("transact_write_items", lambda: playing.rob("alice", "carol", "key-1"))
    answer = playing.rob("alice", "bob", "key-1")
    assert answer.status == 422
    assert playing.points("bob") == 800
    playing.assert_sound()


# Refusals


def test_a_refused_attempt_is_kept_with_its_reason_for_thirty_days(playing: Game) -> None:
    playing.rob("alice", "nobody", "key-1")
    heist_id = heist_id_of("alice", "key-1", str)
    item = playing.stored(keys.heist(heist_id))
    assert (item["status"], item["code"]) == ("FAILED", "TARGET_NOT_FOUND")
    assert item["expiresAt"] == int((NOW + timedelta(days=30)).timestamp())
    assert item["owed"] == {"statistics"}


def test_a_refusal_moves_nothing_and_spends_no_token(playing: Game) -> None:
    before = [playing.player(name) for name in ("alice", "bob", "carol")]
    playing.rob("alice", "alice")
    playing.rob("alice", "nobody")
    playing.set_settings(HEIST_ENABLED="false")
    playing.settings_are_due()
    assert playing.rob("alice", "bob").body["code"] == "FEATURE_DISABLED"
    assert [playing.player(name) for name in ("alice", "bob", "carol")] == before


def test_a_success_that_stands_is_never_overwritten_by_a_late_refusal(playing: Game) -> None:
    """A repeat reads before the token came, and writes after the first request succeeded."""
    playing.give("dora", points=300)

    def meanwhile() -> None:
        playing.give("dora", tokens=1)
        assert playing.rob("dora", "bob", "key-1").status == 200

    playing.once_before("put_item", meanwhile)
    answer = playing.rob("dora", "bob", "key-1")
    assert (answer.status, answer.replayed) == (200, True)
    assert isinstance(playing.heist(heist_id_of("dora", "key-1", str)), Heist)
    playing.assert_sound()


def test_a_refusal_that_stands_is_never_followed_by_a_success(playing: Game) -> None:
    """Another instance, that saw the game switched off, refuses between our read and our commit."""

    def meanwhile() -> None:
        playing.restart(HEIST_ENABLED="false")
        assert playing.rob("alice", "bob", "key-1").body["code"] == "FEATURE_DISABLED"

    playing.once_before("transact_write_items", meanwhile)
    answer = playing.rob("alice", "bob", "key-1")
    assert (answer.status, answer.body["code"]) == (400, "FEATURE_DISABLED")
    assert isinstance(playing.heist(heist_id_of("alice", "key-1", str)), RefusedHeist)
    assert playing.points("bob") == 800
    assert playing.player("alice").tokens == 1


def test_a_packet_that_arrives_after_the_refusal_cannot_commit(playing: Game) -> None:
    packets: list[Mapping[str, Any]] = []

    def delay(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "transact_write_items":
            packets.append(request)
            playing.undisturbed()
            playing.settings.refresh({"HEIST_ENABLED": False})
            raise LOST

    playing.tap.before = delay
    assert playing.rob("alice", "bob", "key-1").body["code"] == "FEATURE_DISABLED"
    (packet,) = packets
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        playing.client.transact_write_items(**packet)
    assert playing.points("bob") == 800
    assert playing.player("alice").tokens == 1


# Others write between the read and the commit


def profile_of(player_id: str, name: str) -> Callable[[Game], object]:
    def change(game: Game) -> None:
        game.time.pass_(milliseconds=1)
        update = {"userId": player_id, "name": name, "updatedAt": ...}
        game.call("upsert_player", bus_event("upsert_player", game.time(), **update))
        assert game.player(player_id).name == name

    return change


@pytest.mark.parametrize(
    ("meanwhile", "alice_points", "bob_points", "alice_tokens"),
    [
        pytest.param(lambda game: game.give("alice", tokens=1), 1040, 760, 1, id="award"),
        pytest.param(lambda game: game.give("alice", points=7), 1047, 760, 0, id="points"),
        pytest.param(lambda game: game.rob("carol", "alice"), 990, 760, 0, id="robbed"),
        pytest.param(profile_of("alice", "Allie"), 1040, 760, 0, id="profile"),
    ],
)
def test_nothing_that_the_attacker_got_meanwhile_is_lost(
    playing: Game,
    meanwhile: Callable[[Game], object],
    alice_points: int,
    bob_points: int,
    alice_tokens: int,
) -> None:
    playing.once_before("transact_write_items", lambda: meanwhile(playing))
    answer = playing.rob("alice", "bob")
    assert answer.status == 200
    alice = playing.player("alice")
    assert (playing.points("alice"), playing.points("bob")) == (alice_points, bob_points)
    assert alice.tokens == alice_tokens
    assert answer.body["tokensLeft"] == alice_tokens
    assert answer.body["attackerPointsAfter"] == alice_points
    heist = playing.heist(answer.body["heistId"])
    assert isinstance(heist, Heist)
    assert heist.attacker_name == alice.name
    playing.assert_sound()


@pytest.mark.parametrize(
    ("meanwhile", "bob_points", "stolen"),
    [
        pytest.param(lambda game: game.give("bob", points=200), 950, 50, id="points"),
        pytest.param(lambda game: game.rob("bob", "carol"), 784, 41, id="his own heist"),
        pytest.param(lambda game: game.give("bob", tokens=1), 760, 40, id="award"),
        pytest.param(profile_of("bob", "Robert"), 760, 40, id="profile"),
    ],
)
def test_nothing_that_the_victim_got_meanwhile_is_lost(
    playing: Game, meanwhile: Callable[[Game], object], bob_points: int, stolen: int
) -> None:
    playing.once_before("transact_write_items", lambda: meanwhile(playing))
    answer = playing.rob("alice", "bob")
    assert (answer.status, answer.body["pointsStolen"]) == (200, stolen)
    assert playing.points("bob") == bob_points
    heist = playing.heist(answer.body["heistId"])
    assert isinstance(heist, Heist)
    assert heist.plan.victim_points_after == bob_points
    assert heist.victim_name == playing.player("bob").name
    playing.assert_sound()


def test_a_victim_robbed_meanwhile_is_protected(playing: Game) -> None:
    playing.once_before("transact_write_items", lambda: playing.rob("carol", "bob"))
    answer = playing.rob("alice", "bob")
    assert answer.body["code"] == "TARGET_PROTECTED"
    assert playing.points("bob") == 760
    assert playing.player("alice").tokens == 1
    playing.assert_sound()


def test_a_token_spent_meanwhile_is_not_spent_again(playing: Game) -> None:
    playing.once_before("transact_write_items", lambda: playing.rob("alice", "carol"))
    answer = playing.rob("alice", "bob")
    assert answer.body["code"] == "NO_TOKENS"
    assert playing.player("alice").tokens_spent == 1
    assert playing.points("bob") == 800
    playing.assert_sound()


def test_an_attacker_who_struck_meanwhile_is_in_cooldown(playing: Game) -> None:
    playing.give("alice", tokens=5)
    playing.once_before("transact_write_items", lambda: playing.rob("alice", "carol"))
    assert playing.rob("alice", "bob").body["code"] == "COOLDOWN_ACTIVE"
    assert playing.player("alice").tokens_spent == 1


def test_two_who_rob_each_other_at_once_both_come_through(playing: Game) -> None:
    playing.once_before("transact_write_items", lambda: playing.rob("bob", "alice"))
    assert playing.rob("alice", "bob").status == 200
    assert playing.points("alice") + playing.points("bob") == 1800
    playing.assert_sound()


def test_a_version_that_never_settles_is_contention_and_nothing_moves(playing: Game) -> None:
    def always(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "transact_write_items" and len(request["TransactItems"]) == 5:
            playing.give("bob", tokens=1)

    playing.tap.before = always
    answer = playing.rob("alice", "bob", "key-1")
    assert (answer.status, answer.body["code"]) == (503, "CONTENTION")
    assert int(answer.headers["Retry-After"]) >= 1
    playing.undisturbed()
    assert playing.heist(heist_id_of("alice", "key-1", str)) is None
    assert playing.rob("alice", "bob", "key-1").status == 200


def test_the_store_itself_refuses_a_player_no_longer_at_the_version_seen(playing: Game) -> None:
    alice, bob = playing.player("alice"), playing.player("bob")
    plan = plan_heist(alice, bob, playing.settings.current, NOW)
    playing.give("bob", tokens=1)
    heist = Heist(attempt("alice", "bob"), plan, None, None)
    with pytest.raises(Contention):
        playing.store.commit_heist(heist, alice, bob, HOUR)
    bob = playing.player("bob")
    playing.give("alice", points=1)
    with pytest.raises(Contention):
        playing.store.commit_heist(heist, alice, bob, HOUR)
    assert playing.heist(heist.attempt.id) is None


# Answers that get lost


@pytest.mark.parametrize("error", [LOST, EndpointConnectionError(endpoint_url="x")])
def test_a_commit_whose_answer_was_lost_is_a_success(playing: Game, error: Exception) -> None:
    playing.fails(error, "transact_write_items", sent=True)
    answer = playing.rob("alice", "bob", "key-1")
    assert (answer.status, answer.body["pointsStolen"]) == (200, 40)
    assert playing.player("alice").tokens_spent == 1
    assert playing.rob("alice", "bob", "key-1").text == answer.text
    playing.assert_sound()


@pytest.mark.parametrize("target", ["bob", "nobody"])
def test_a_metric_or_log_line_that_cannot_be_written_changes_no_answer(
    playing: Game, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("nowhere to write to")

    monkeypatch.setattr(Logger, "info", broken)
    answer = playing.rob("alice", target, "key-1")
    assert answer.status == (200 if target == "bob" else 400)
    assert playing.rob("alice", target, "key-1").text == answer.text
    playing.assert_sound()


def test_a_refusal_whose_answer_was_lost_is_that_refusal(playing: Game) -> None:
    def lose(operation: str) -> None:
        if operation == "put_item":
            playing.undisturbed()
            playing.give("alice", tokens=1)
            raise LOST

    playing.give("dora", points=300)
    playing.tap.after = lose
    answer = playing.rob("dora", "bob", "key-1")
    assert (answer.status, answer.body["code"]) == (400, "NO_TOKENS")
    assert playing.rob("dora", "bob", "key-1").text == answer.text


def test_while_storage_is_down_the_answer_is_503_and_afterwards_the_key_works(
    playing: Game,
) -> None:
    playing.fails(LOST)
    for function, event in (
        ("execute_heist", execute_event("alice", "bob", "key-1")),
        ("get_tokens", execute_event("alice")),
    ):
        answer = playing.request(function, event)
        assert (answer.status, answer.body["code"]) == (503, "DEPENDENCY"), function
        assert "dynamodb" not in answer.text.lower()
    playing.undisturbed()
    assert playing.rob("alice", "bob", "key-1").status == 200


# Limits


def test_the_limit_counts_distinct_attempts_in_a_calendar_minute(playing: Game) -> None:
    playing.restart(HEIST_RATE_LIMIT_PER_MINUTE=2)
    playing.rob("carol", "nobody", "a")
    playing.rob("carol", "nobody", "b")
    limited = playing.rob("carol", "bob", "c")
    assert (limited.status, limited.body["error"]) == (429, "RATE_LIMITED")
    assert limited.headers["Retry-After"] == "57"
    assert playing.heist(heist_id_of("carol", "c", str)) is None
    playing.time.pass_(seconds=56.882)
    assert playing.rob("carol", "bob", "c").status == 429
    playing.time.pass_(milliseconds=1)
    assert playing.rob("carol", "bob", "c").status == 200


def test_one_player_at_the_limit_leaves_the_others_alone(playing: Game) -> None:
    playing.restart(HEIST_RATE_LIMIT_PER_MINUTE=1)
    playing.rob("carol", "nobody")
    assert playing.rob("carol", "nobody").status == 429
    assert playing.rob("alice", "bob").status == 200


def test_replays_and_mismatches_are_neither_counted_nor_turned_away(playing: Game) -> None:
    playing.restart(HEIST_RATE_LIMIT_PER_MINUTE=2)
    playing.rob("carol", "nobody", "a")
    for _ in range(5):
        assert playing.rob("carol", "nobody", "a").replayed
        assert playing.rob("carol", "bob", "a").status == 422
    playing.rob("carol", "nobody", "b")
    assert playing.rob("carol", "nobody", "c").status == 429
    assert playing.rob("carol", "nobody", "b").replayed
    assert playing.rob("carol", "bob", "b").status == 422


def test_an_attempt_stays_counted_though_its_repeat_counted_it_first(playing: Game) -> None:
    """Or else pairs of parallel repeats would get past the limit."""
    playing.restart(HEIST_RATE_LIMIT_PER_MINUTE=1)
    playing.settings.refresh(None)
    playing.once_before("batch_get_item", lambda: playing.rob("carol", "nobody", "a"))
    assert playing.rob("carol", "nobody", "a").replayed
    assert playing.rob("carol", "nobody", "b").status == 429


def test_attempts_are_counted_once_however_often_they_are_sent(playing: Game) -> None:
    minute = NOW.replace(second=0, microsecond=0)
    store = playing.store
    first = store.count_attempt("carol", "a" * 32, minute, 1)
    again = store.count_attempt("carol", "a" * 32, minute, 1)
    other = store.count_attempt("carol", "b" * 32, minute, 1)
    assert [(count.allowed, count.added) for count in (first, again, other)] == [
        (True, True),
        (True, False),
        (False, False),
    ]
    store.uncount_attempt("carol", "a" * 32, minute)
    assert store.count_attempt("carol", "b" * 32, minute, 1).added
    item = playing.stored(keys.rate("carol", "EXECUTE", minute))
    assert item["expiresAt"] == int((minute + HOUR).timestamp())


def test_attempts_whose_ids_begin_alike_are_two(playing: Game) -> None:
    """Ids are hashes, and 48 bits of them collide within minutes for whoever looks for it."""
    minute = NOW.replace(second=0, microsecond=0)
    alike = ("5b0d8c6f2f1e" + "a" * 20, "5b0d8c6f2f1e" + "b" * 20)
    counts = [playing.store.count_attempt("carol", one, minute, 1) for one in alike]
    assert [count.allowed for count in counts] == [True, False]
