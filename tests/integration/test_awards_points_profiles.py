"""Awards, points, profiles, point types and settings, as they come in and lie in the table."""

import json
import urllib.request
from decimal import Decimal
from typing import Any

import pytest

from heist_core.domain.errors import Contention, Unavailable
from heist_core.domain.player import Dated, Player, Profile
from heist_core.domain.times import to_iso
from heist_core.storage import keys, wire
from tests.builders import HOUR, MILLISECOND, NOW, award, bus_event, sample
from tests.integration.game import Game

OK = {"status": "ok"}
REFUSED = {"status": "refused"}


def referral(game: Game, referrer: object, referred: object, **detail: Any) -> Any:
    event = bus_event("award_token", referrerUserId=referrer, referredUserId=referred, **detail)
    return game.call("award_token", event)


def points(game: Game, player: str, amount: int, event_id: str, **detail: Any) -> Any:
    event = bus_event("add_points", userId=player, points=amount, eventId=event_id, **detail)
    return game.call("add_points", event)


def profile(game: Game, **detail: Any) -> Any:
    return game.call(
        "upsert_player",
        bus_event("upsert_player", **{"name": ..., "email": ..., "emailOptOut": ..., **detail}),
    )


# Awards


def test_a_referral_is_one_token_however_often_it_arrives(game: Game) -> None:
    for _ in range(5):
        assert referral(game, "alice", "carol") == OK
    alice = game.player("alice")
    assert (alice.tokens, alice.tokens_earned, alice.last_earned_at) == (1, 1, NOW)


def test_a_referred_player_earns_one_token_ever_whoever_the_referrer_and_referral(
    game: Game,
) -> None:
    referral(game, "alice", "carol", referralId="r1")
    assert referral(game, "bob", "carol", referralId="r2") == OK
    assert referral(game, "alice", "carol", referralId="r3") == OK
    assert (game.player("alice").tokens, game.player("bob").tokens) == (1, 0)
    assert not game.player("bob").exists
    assert len(game.events_queue) == 0


def test_tokens_of_different_referred_players_add_up(game: Game) -> None:
    for friend in ("carol", "dave", 7, "7"):
        referral(game, "alice", friend)
    assert game.player("alice").tokens == 3


def test_a_self_referral_changes_nothing_and_is_kept(game: Game) -> None:
    assert referral(game, "alice", "alice") == REFUSED
    assert game.everything() == []
    (letter,) = game.events_queue
    assert letter["event"]["detail"]["referrerUserId"] == "alice"
    assert "must be different players" in letter["reason"]


def test_awards_are_credited_while_the_game_is_off(game: Game) -> None:
    game.restart(HEIST_ENABLED="false")
    referral(game, "alice", "carol")
    assert game.player("alice").tokens == 1


# Points


@pytest.mark.parametrize("held", [False, True])
def test_a_player_who_appears_while_an_award_finds_none_is_not_taken_for_new(
    game: Game, held: bool
) -> None:
    later = award("alice", "carol", at=NOW + HOUR)
    give = game.store.release_award if held else game.store.commit_award
    if held:
        assert game.store.hold_award(later)
    game.once_before("transact_write_items", lambda: game.give("alice", points=1), skip=1)
    with pytest.raises(Contention):
        give(later)
    assert give(later)
    alice = game.player("alice")
    assert (alice.first_seen_at, alice.tokens, alice.version) == (NOW, 1, 2)


def test_points_of_an_event_count_once_over_all_players(game: Game) -> None:
    points(game, "bob", 800, "e1")
    points(game, "bob", 800, "e1")
    assert points(game, "carol", 800, "e1") == OK
    assert (game.points("bob"), game.points("carol")) == (800, 0)
    assert not game.player("carol").exists
    game.assert_sound()


def test_points_of_one_event_for_two_players_at_once_count_once(game: Game) -> None:
    def deliver(player_id: str) -> None:
        game.call("add_points", bus_event("add_points", eventId="e-1", userId=player_id))

    game.once_before("transact_write_items", lambda: deliver("alice"))
    deliver("bob")
    assert game.points("alice") > 0
    assert game.points("bob") == 0


def test_points_are_told_with_their_total_and_again_with_the_same_when_the_event_comes_again(
    game: Game,
) -> None:
    points(game, "bob", 800, "e1", pointEventType="QUIZ", occurredAt="2026-10-31T23:59:59.999Z")
    points(game, "bob", 5, "e2")
    first = {
        "userId": "bob",
        "season": "2026-10",
        "points": 800,
        "change": 800,
        "reason": "QUIZ",
        "at": to_iso(NOW),
        "version": 1,
    }
    assert game.bridge.published[0] == ("PointsChanged", first)
    points(game, "carol", 17, "e1")
    assert [event for event in game.bridge.published if event[1]["version"] == 1] == [
        ("PointsChanged", first)
    ] * 2


def test_points_that_the_bus_did_not_hear_of_are_told_when_the_event_comes_again(
    game: Game,
) -> None:
    game.bridge.refused_entries = 1
    with pytest.raises(Unavailable):
        points(game, "bob", 800, "e1")
    assert (game.points("bob"), game.bridge.published) == (800, [])
    assert points(game, "bob", 800, "e1") == OK
    assert [detail["points"] for _, detail in game.bridge.published] == [800]
    assert game.points("bob") == 800
    game.assert_sound()


def test_points_from_before_versions_were_recorded_stay_untold(game: Game) -> None:
    points(game, "bob", 800, "e1")
    game.bridge.published.clear()
    game.client.update_item(
        TableName=game.table,
        Key=wire.to_wire(keys.points_event("e1")),
        UpdateExpression="REMOVE version",
    )
    assert points(game, "bob", 800, "e1") == OK
    assert game.bridge.published == []


def test_points_lie_in_the_month_they_were_earned_in(game: Game) -> None:
    points(game, "bob", 5, "e1", occurredAt="2026-10-31T23:59:59.999Z")
    points(game, "bob", 7, "e2", occurredAt="2026-11-01T00:00:00.000Z")
    points(game, "bob", 11, "e3", occurredAt=...)
    assert game.player("bob").points == {"2026-10": 5, "2026-11": 18}
    game.assert_sound()


@pytest.mark.parametrize("event_id", ["x" * 256, "é" * 256, "🦊" * 250, "a#b/c d"])
def test_whatever_reference_is_allowed_can_be_stored(game: Game, event_id: str) -> None:
    assert points(game, "bob", 5, event_id) == OK
    assert points(game, "bob", 5, event_id) == OK
    assert referral(game, "alice", "carol", referralId=event_id) == OK
    assert game.points("bob") == 5


@pytest.mark.parametrize("amount", [0, -1, 1_000_001, 5.5, "5", True, None])
def test_points_out_of_range_change_nothing_and_are_kept(game: Game, amount: Any) -> None:
    assert points(game, "bob", amount, "e1") == REFUSED
    assert game.everything() == []
    assert len(game.events_queue) == 1


# Profiles


def test_a_profile_is_created_changed_and_removed_field_by_field(game: Game) -> None:
    profile(game, userId="bob", name="Bob", email="bob@example.com", emailOptOut=True)
    bob = game.player("bob")
    assert bob.exists
    profile(game, userId="bob", name=None, updatedAt="2026-11-22T12:02:00Z")
    after = game.player("bob")
    assert after.name is None
    assert after.profile.email == bob.profile.email
    assert after.profile.email_opt_out == bob.profile.email_opt_out
    item = game.stored(keys.player("bob"))
    assert "name" not in item
    assert "nameAt" in item


def test_a_player_exists_by_an_event_that_names_nothing_else(game: Game) -> None:
    profile(game, userId="bob")
    assert game.player("bob").exists


def test_an_older_update_never_overwrites_a_newer_one_and_an_equal_one_does(game: Game) -> None:
    profile(game, userId="bob", name="new", updatedAt="2026-11-22T12:00:00.001Z")
    profile(game, userId="bob", name="old", updatedAt="2026-11-22T12:00:00.000Z")
    assert game.player("bob").name == "new"
    profile(game, userId="bob", name="equal", updatedAt="2026-11-22T12:00:00.001Z")
    assert game.player("bob").name == "equal"


def test_an_update_without_a_date_is_dated_by_its_event(game: Game) -> None:
    profile(game, userId="bob", name="first", updatedAt=..., time=NOW)
    profile(game, userId="bob", name="late", updatedAt=..., time=NOW - MILLISECOND)
    assert game.player("bob").name == "first"
    assert game.player("bob").profile.name == Dated("first", NOW)


def test_an_update_that_changes_nothing_writes_nothing(game: Game) -> None:
    profile(game, userId="bob", name="Bob")
    before = game.player("bob")
    profile(game, userId="bob", name="Bob")
    assert game.player("bob").version == before.version


@pytest.mark.parametrize("known", [True, False])
def test_two_updates_at_once_come_to_the_newer_one(game: Game, known: bool) -> None:
    """The older one has read the player before the newer one writes."""
    if known:
        game.give("bob", points=1)
    game.once_before(
        "update_item",
        lambda: profile(game, userId="bob", name="new", updatedAt="2026-11-22T12:00:00.002Z"),
    )
    profile(
        game, userId="bob", name="old", email="b@example.com", updatedAt="2026-11-22T12:00:00.001Z"
    )
    bob = game.player("bob")
    assert bob.name == "new"
    assert bob.profile.email.value == "b@example.com"


@pytest.mark.parametrize("seen_version", [0, 1])
def test_a_profile_is_saved_only_over_the_version_seen(game: Game, seen_version: int) -> None:
    game.give("bob", points=1)
    game.give("bob", points=1)
    with pytest.raises(Contention):
        game.store.save_profile(Player("bob", version=seen_version), Profile(), NOW)
    game.store.save_profile(Player("bob", version=2), Profile(name=Dated("Bob", NOW)), NOW)
    assert game.player("bob").version == 3


def test_points_and_tokens_survive_a_profile(game: Game) -> None:
    game.give("bob", points=800, tokens=2)
    profile(game, userId="bob", name="Bob", email="b@example.com")
    bob = game.player("bob")
    assert (bob.tokens, bob.points, bob.name) == (2, {"2026-11": 800}, "Bob")


@pytest.mark.parametrize("function", ["award_token", "upsert_player", "add_points"])
def test_an_event_that_storage_does_not_take_is_left_to_lambda(game: Game, function: str) -> None:
    game.fails(Unavailable())
    with pytest.raises(Unavailable):
        game.call(function, sample(function))
    assert len(game.events_queue) == 0
    game.undisturbed()
    assert game.call(function, sample(function)) == OK


# Point types


class Answers(list[dict[str, Any]]):
    """What CloudFormation was answered."""

    def __call__(self, request: Any, timeout: float) -> "Answers":
        assert request.method == "PUT"
        self.append(json.loads(request.data))
        return self

    def close(self) -> None:
        pass


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers = Answers()
    monkeypatch.setattr(urllib.request, "urlopen", answers)
    return answers


def test_seeding_twice_keeps_switched_off_what_an_operator_switched_off(
    game: Game, answers: Answers
) -> None:
    game.call("seed_point_types", sample("seed_point_types"))
    gain = game.stored(keys.point_type("HEIST_GAIN"))
    assert (gain["points"], gain["active"]) == (0, True)
    assert gain["description"]
    game.put({**gain, "active": False, "points": 3, "description": "mine"})

    game.call("seed_point_types", {**sample("seed_point_types"), "RequestType": "Update"})
    again = game.stored(keys.point_type("HEIST_GAIN"))
    assert again["active"] is False
    assert again["points"] == 3
    assert again["description"] == gain["description"]
    assert game.item(keys.point_type("HEIST_LOSS")) is not None
    assert [answer["Status"] for answer in answers] == ["SUCCESS", "SUCCESS"]
    assert len({answer["PhysicalResourceId"] for answer in answers}) == 1


def test_deleting_the_stack_deletes_no_point_type(game: Game, answers: Answers) -> None:
    game.call("seed_point_types", sample("seed_point_types"))
    game.call("seed_point_types", {**sample("seed_point_types"), "RequestType": "Delete"})
    assert len(game.everything()) == 3
    assert answers[1]["Status"] == "SUCCESS"


def test_cloudformation_gets_an_answer_when_seeding_fails(game: Game, answers: Answers) -> None:
    game.fails(Unavailable("table heist-secret"))
    game.call("seed_point_types", sample("seed_point_types"))
    (answer,) = answers
    assert answer["Status"] == "FAILED"
    assert "heist-secret" not in answer["Reason"]
    event = sample("seed_point_types")
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        assert answer[name] == event[name]


def test_in_sam_local_nobody_waits_for_an_answer(
    game: Game, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")
    game.call("seed_point_types", sample("seed_point_types"))
    assert game.item(keys.point_type("HEIST_GAIN")) is not None
    assert answers == []


# Settings


def test_the_settings_item_is_in_effect_on_a_warm_instance_within_a_minute(game: Game) -> None:
    game.give("alice", tokens=3)
    game.give("bob", points=800)
    assert game.rob("alice", "nobody").body["code"] == "TARGET_NOT_FOUND"
    game.set_settings(HEIST_ENABLED=False, HEIST_STEAL_PERCENTAGE=50)
    game.time.pass_(seconds=29.999)
    assert game.rob("alice", "nobody").body["code"] == "TARGET_NOT_FOUND"
    game.time.pass_(milliseconds=1)
    assert game.rob("alice", "bob").body["code"] == "FEATURE_DISABLED"
    game.set_settings(HEIST_STEAL_PERCENTAGE="10", HEIST_MAX_STEAL_POINTS=Decimal(50))
    game.settings_are_due()
    assert game.rob("alice", "bob").body["pointsStolen"] == 50


def test_the_settings_item_stays_in_effect_between_its_readings(game: Game) -> None:
    game.give("alice", tokens=1)
    game.give("bob", points=800)
    game.set_settings(HEIST_ENABLED=False, HEIST_AWARDS_ENABLED=False)
    game.settings_are_due()
    for number in range(3):
        assert game.check("alice", "bob").body["code"] == "FEATURE_DISABLED"
        assert game.rob("alice", "bob").body["code"] == "FEATURE_DISABLED"
        names = {"referrerUserId": "carol", "referredUserId": f"friend-{number}"}
        game.call("award_token", bus_event("award_token", **names))
    assert game.player("carol").tokens == 0


def test_an_invalid_item_changes_nothing_and_its_removal_goes_back(game: Game) -> None:
    game.restart(HEIST_MIN_TARGET_POINTS="30")
    game.give("bob", points=25)
    game.give("alice", tokens=1)

    def minimum() -> object:
        game.settings_are_due()
        return game.rob("alice", "bob").body["message"]

    assert minimum() == "Target must have at least 30 points"
    game.set_settings(HEIST_MIN_TARGET_POINTS=40)
    assert minimum() == "Target must have at least 40 points"
    game.set_settings(HEIST_MIN_TARGET_POINTS="lots")
    assert minimum() == "Target must have at least 40 points"
    game.set_settings()
    assert minimum() == "Target must have at least 30 points"


def test_a_changed_cooldown_holds_at_once_for_heists_of_before(game: Game) -> None:
    game.give("alice", tokens=2)
    for victim in ("bob", "carol"):
        game.give(victim, points=800)
    game.rob("alice", "bob")
    game.time.pass_(hours=1)
    assert game.rob("alice", "carol").body["code"] == "COOLDOWN_ACTIVE"
    game.set_settings(HEIST_COOLDOWN_HOURS=1)
    game.settings_are_due()
    assert game.rob("alice", "carol").status == 200


def test_a_player_never_seen_has_zeros_and_nulls(game: Game) -> None:
    answer = game.request("get_tokens", sample("get_tokens"))
    assert answer.body == {
        "balance": 0,
        "totalEarned": 0,
        "totalSpent": 0,
        "lastEarnedAt": None,
        "lastSpentAt": None,
    }


def test_tokens_tell_what_was_earned_and_spent(game: Game) -> None:
    game.give("alice", tokens=2)
    game.give("bob", points=800)
    game.time.pass_(minutes=1)
    game.rob("alice", "bob")
    event = sample("get_tokens")
    event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = "alice"
    assert game.request("get_tokens", event).body == {
        "balance": 1,
        "totalEarned": 2,
        "totalSpent": 1,
        "lastEarnedAt": "2026-11-22T12:00:03.117Z",
        "lastSpentAt": "2026-11-22T12:01:03.117Z",
    }
