"""What operators do: each change with its entry in the log, or neither."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from heist_core import wiring
from heist_core.domain.action import Action
from heist_core.domain.award import TokenGrant
from heist_core.domain.board import Standing
from heist_core.domain.errors import Contention, Malformed
from heist_core.domain.facts import Event
from heist_core.domain.heist import Heist
from heist_core.domain.notices import notices_of
from heist_core.domain.reversal import plan_reversal
from heist_core.storage import inbox_items, items, keys, operator, wire
from heist_core.storage.counting import Generation, put_generation
from heist_core.storage.writes import Step, Transaction
from ops.target import OperatorError
from tests.builders import NOW, action, api_event, award, bus_event, heist, reversal
from tests.fakes import Crash, client_error
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


def changes(game: Game, entry: Action) -> Mapping[str, Transaction]:
    """Every change of an operator that is possible now, all under one entry of the log."""
    game.give("alice", tokens=1)
    game.give("bob", points=800)
    robbed = game.heist(game.rob("alice", "bob").body["heistId"])
    assert isinstance(robbed, Heist)
    game.give("eve", points=1)
    game.gateway.transact(operator.freeze(game.player("eve"), NOW, replace(entry, id="another")))
    alice, bob = game.player("alice"), game.player("bob")
    undone = plan_reversal(robbed, alice, bob, NOW, entry.id, refund_token=False)
    return {
        "reverse": operator.commit_reversal(undone, alice, bob, entry),
        "config": operator.change_settings(None, (), {}, 1, entry),
        "grant": operator.grant(bob, TokenGrant(entry.id, "bob", 2, NOW), entry),
        "block": operator.block(bob, NOW, entry),
        "unblock": operator.unblock(bob, entry),
        "freeze": operator.freeze(bob, NOW, entry),
        "certify": operator.certify("eve", "0a1b", entry),
        "rebuild-stats": (
            Step("generation", {"Put": put_generation(Generation(), Generation(1, 2))}),
            operator.record_action(entry),
        ),
    }


@pytest.mark.parametrize(
    "command",
    ["reverse", "config", "grant", "block", "unblock", "freeze", "certify", "rebuild-stats"],
)
def test_an_entry_of_the_log_is_never_written_over(game: Game, command: str) -> None:
    """And the change that would have done so is not made, though nothing else is against it."""
    entry = action()
    change = changes(game, entry)[command]
    log = keys.action(entry.at, entry.id)
    game.put(operator.action_item(entry))
    before = game.everything()

    with pytest.raises(Contention):
        game.gateway.transact(change)

    assert game.everything() == before
    game.delete(log)
    game.gateway.transact(change)


# Block


def test_a_blocked_player_neither_robs_nor_is_robbed_until_unblocked(
    game: Game, desk: Desk
) -> None:
    game.give("alice", tokens=1, points=100)
    game.give("bob", tokens=1, points=800)
    desk("block", "bob", *BLOCK)

    assert game.rob("bob", "alice").body["code"] == "ATTACKER_BLOCKED"
    assert game.rob("alice", "bob").body == game.rob("alice", "nobody").body
    asked = game.check("alice", "bob").body
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
    game.assert_sound()


def test_a_block_holds_though_the_player_changes_meanwhile(game: Game, desk: Desk) -> None:
    game.give("bob", points=10)
    game.once_before("transact_write_items", lambda: game.give("bob", points=5))

    desk("block", "bob", *BLOCK)

    assert game.player("bob").blocked
    assert game.points("bob") == 15
    assert len(desk.actions()) == 1


@pytest.mark.parametrize("what", ["block", "unblock"])
def test_of_two_operators_who_do_the_same_at_once_one_is_in_the_log(
    what: str, game: Game, desk: Desk
) -> None:
    game.give("bob", points=10)
    if what == "unblock":
        desk("block", "bob", *BLOCK)
    game.once_before("transact_write_items", lambda: desk(what, "bob", *BLOCK))

    told = desk(what, "bob", *BLOCK)

    assert (told["changes"], told["done"]) == (False, False)
    assert [entry["what"] for entry in desk.actions()].count(what) == 1
    assert game.player("bob").blocked == (what == "block")


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


# Settings


WHY = ("--reason", "marketing asked", "--apply")


def values(desk: Desk) -> dict[str, object]:
    """What is in effect, by setting."""
    shown = desk("config")["settings"]
    return {name: setting["value"] for name, setting in shown.items()}


def source(desk: Desk, name: str) -> str:
    found: str = desk("config")["settings"][name]["from"]
    return found


def test_each_setting_is_shown_with_where_it_comes_from(game: Game, desk: Desk) -> None:
    desk.variables["HEIST_COOLDOWN_HOURS"] = "12"
    desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", *WHY)

    assert source(desk, "HEIST_COOLDOWN_HOURS") == "variable"
    assert source(desk, "HEIST_ENABLED") == "default"
    assert source(desk, "HEIST_STEAL_PERCENTAGE") == "settings item, version 1"
    found = values(desk)
    assert (found["HEIST_COOLDOWN_HOURS"], found["HEIST_STEAL_PERCENTAGE"]) == (12, 4)
    assert "marketing asked" in desk.shown("config")


def test_a_change_is_in_effect_for_the_functions_with_version_history_and_log(
    game: Game, desk: Desk
) -> None:
    game.give("alice", tokens=1, points=100)
    game.give("bob", points=1000)
    told = desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", "--set", "HEIST_ENABLED=TRUE", *WHY)

    assert (told["done"], told["version"]) == (True, 1)
    assert told["difference"]["HEIST_STEAL_PERCENTAGE"] == {"before": 5, "after": 4}
    assert game.rob("alice", "bob").body["pointsStolen"] == 40
    [version] = desk("config", "--history")["versions"]
    assert (version["version"], version["author"]) == (1, desk.target.operator)
    [entry] = desk.actions()
    assert (entry["what"], entry["subject"]) == ("config", "settings")
    assert entry["after"] == {"version": 1, "HEIST_STEAL_PERCENTAGE": 4, "HEIST_ENABLED": True}


def test_back_to_any_version_and_to_none_at_all(desk: Desk) -> None:
    desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", *WHY)
    desk("config", "--set", "HEIST_STEAL_PERCENTAGE=9", "--set", "HEIST_COOLDOWN_HOURS=1", *WHY)

    assert desk("config", "--back", "1", *WHY)["version"] == 3
    found = values(desk)
    assert (found["HEIST_STEAL_PERCENTAGE"], found["HEIST_COOLDOWN_HOURS"]) == (4, 24)
    assert desk("config", "--back", "0", *WHY)["version"] == 4
    assert source(desk, "HEIST_STEAL_PERCENTAGE") == "default"
    assert len(desk("config", "--history")["versions"]) == 4
    with pytest.raises(OperatorError, match="no version 7"):
        desk("config", "--back", "7", *WHY)


def test_an_empty_value_goes_back_to_the_variable(desk: Desk) -> None:
    desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", "--set", "HEIST_COOLDOWN_HOURS=1", *WHY)
    desk("config", "--set", "HEIST_STEAL_PERCENTAGE=", *WHY)

    assert source(desk, "HEIST_STEAL_PERCENTAGE") == "default"
    assert values(desk)["HEIST_COOLDOWN_HOURS"] == 1


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("HEIST_STEAL_PERCENTAGE=101", "HEIST_STEAL_PERCENTAGE"),
        ("HEIST_COOLDOWN_HOURS=24h", "HEIST_COOLDOWN_HOURS"),
        ("HEIST_EMAIL_ENABLED=yes", "HEIST_EMAIL_ENABLED"),
        ("HEIST_COOLDOWN_HOUR=1", "one of HEIST_ENABLED"),
        ("HEIST_ENABLED", "NAME=VALUE"),
    ],
)
def test_what_the_functions_would_not_take_is_not_written(
    assignment: str, problem: str, desk: Desk
) -> None:
    with pytest.raises(OperatorError, match=problem):
        desk("config", "--set", assignment, *WHY)
    assert desk("config")["item"] == "none"


def test_a_setting_that_is_given_twice_is_given_once_too_often(desk: Desk) -> None:
    name = "HEIST_STEAL_PERCENTAGE"
    with pytest.raises(OperatorError, match=f"{name} is set twice"):
        desk("config", "--set", f"{name}=4", "--set", f"{name}=5", *WHY)


def test_without_apply_a_change_is_only_shown(desk: Desk) -> None:
    told = desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4")
    assert not told["done"]
    assert "--apply" in desk.shown("config", "--set", "HEIST_STEAL_PERCENTAGE=4")
    assert desk("config")["item"] == "none"
    assert desk.actions() == []
    assert desk("config", "--set", "HEIST_STEAL_PERCENTAGE=", *WHY)["difference"] == {}


def test_of_two_operators_at_once_one_has_to_look_again(game: Game, desk: Desk) -> None:
    def meanwhile() -> None:
        desk("config", "--set", "HEIST_COOLDOWN_HOURS=1", *WHY)

    game.once_before("transact_write_items", meanwhile)
    with pytest.raises(OperatorError, match="Somebody else changed"):
        desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", *WHY)

    found = values(desk)
    assert (found["HEIST_STEAL_PERCENTAGE"], found["HEIST_COOLDOWN_HOURS"]) == (5, 1)
    assert len(desk.actions()) == 1


@pytest.mark.parametrize("seen", [{}, {"HEIST_COOLDOWN_HOURS": 1}, None])
def test_an_edit_by_hand_meanwhile_is_not_lost(
    seen: dict[str, object] | None, game: Game, desk: Desk
) -> None:
    if seen is None:
        desk("config", "--set", "HEIST_COOLDOWN_HOURS=1", *WHY)
    elif seen:
        game.set_settings(**seen)

    def by_hand() -> None:
        game.set_settings(HEIST_ENABLED=False, version=1)

    game.once_before("transact_write_items", by_hand)
    with pytest.raises(OperatorError, match="Somebody else changed"):
        desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", *WHY)
    assert values(desk)["HEIST_ENABLED"] is False


def test_a_version_is_never_written_over_also_if_the_item_was_taken_back_by_hand(
    game: Game, desk: Desk
) -> None:
    desk("config", "--set", "HEIST_COOLDOWN_HOURS=1", *WHY)
    first = game.stored(keys.SETTINGS)

    def meanwhile() -> None:
        desk("config", "--set", "HEIST_COOLDOWN_HOURS=2", *WHY)
        game.put(first)

    game.once_before("transact_write_items", meanwhile)
    with pytest.raises(OperatorError, match="Somebody else changed"):
        desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", *WHY)
    second = game.stored(keys.settings_version(2))
    assert second["HEIST_COOLDOWN_HOURS"] == 2


def test_an_item_by_hand_works_is_shown_as_such_and_can_be_taken_over(
    game: Game, desk: Desk
) -> None:
    game.set_settings(HEIST_STEAL_PERCENTAGE="7")

    assert source(desk, "HEIST_STEAL_PERCENTAGE") == "settings item, by hand"
    assert "by hand" in desk.shown("config")
    told = desk("config", "--set", "HEIST_COOLDOWN_HOURS=1", *WHY)
    assert told["version"] == 1
    assert values(desk)["HEIST_STEAL_PERCENTAGE"] == 7
    [entry] = desk.actions()
    assert entry["before"] == {"version": None, "HEIST_STEAL_PERCENTAGE": "7"}


def test_an_invalid_item_is_said_to_be_and_can_be_put_right(game: Game, desk: Desk) -> None:
    game.set_settings(HEIST_COOLDOWN_HOURS="24h", HEIST_ENABLED=False)

    assert desk.code("config") == 1
    with pytest.raises(OperatorError, match="HEIST_COOLDOWN_HOURS"):
        desk("config", "--set", "HEIST_STEAL_PERCENTAGE=4", *WHY)
    desk("config", "--set", "HEIST_COOLDOWN_HOURS=2", *WHY)
    found = values(desk)
    assert (found["HEIST_COOLDOWN_HOURS"], found["HEIST_ENABLED"]) == (2, False)


# The switch for awards


def refer(game: Game, referrer: str, referred: str, name: str = "Eve") -> None:
    detail = {"referralId": "r", "referrerUserId": referrer, "referredUserId": referred}
    game.call("award_token", bus_event("award_token", **detail, referredUserName=name))


def switch_awards(game: Game, *, on: bool) -> None:
    game.set_settings(HEIST_AWARDS_ENABLED=on)
    game.settings_are_due()


def tokens(game: Game, player_id: str) -> int:
    return game.player(player_id).tokens


def test_while_awards_are_off_they_are_kept_and_given_afterwards(game: Game) -> None:
    switch_awards(game, on=False)
    refer(game, "alice", "eve")
    game.time.pass_(days=20)

    assert game.sweep()["settled"] == 0
    assert (tokens(game, "alice"), game.inbox("alice")) == (0, [])
    game.assert_sound()

    switch_awards(game, on=True)
    game.sweep()

    assert tokens(game, "alice") == 1
    [told] = game.inbox("alice")
    assert told.notice.metadata == {"referredUserName": "Eve"}
    assert game.marked() == []
    game.assert_sound()


def test_a_held_award_is_no_news_for_the_stream(game: Game) -> None:
    switch_awards(game, on=False)
    refer(game, "alice", "eve")
    image = wire.to_wire(game.item(keys.referral("eve")) or {})
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": "1"}}

    for consumer in ("notify_players", "publish_and_count"):
        answer = game.call(consumer, {"Records": [record]})
        assert (answer["batchItemFailures"], answer["parked"]) == ([], 0)

    assert game.inbox("alice") == []
    assert game.bridge.facts == []


@pytest.mark.parametrize("first_on", [True, False])
@pytest.mark.parametrize("then_on", [True, False])
def test_a_referred_player_is_worth_one_token_in_whatever_order(
    first_on: bool, then_on: bool, game: Game
) -> None:
    for on, referrer in ((first_on, "alice"), (then_on, "bob"), (not then_on, "carol")):
        switch_awards(game, on=on)
        refer(game, referrer, "eve")
        refer(game, referrer, "eve")
    switch_awards(game, on=True)
    game.sweep()
    refer(game, "dora", "eve")

    assert [tokens(game, player) for player in ("alice", "bob", "carol", "dora")] == [1, 0, 0, 0]
    game.assert_sound()


def test_two_sweeps_at_once_give_one_token(game: Game) -> None:
    switch_awards(game, on=False)
    refer(game, "alice", "eve")
    switch_awards(game, on=True)
    game.once_before("transact_write_items", game.sweep)

    game.sweep()

    assert tokens(game, "alice") == 1
    assert len(game.inbox("alice")) == 1


def test_an_award_given_by_a_sweep_that_then_died_is_notified_by_the_next(game: Game) -> None:
    switch_awards(game, on=False)
    refer(game, "alice", "eve")
    switch_awards(game, on=True)
    game.fails(Crash(), "transact_write_items", sent=True)
    with pytest.raises(Crash):
        game.sweep()
    game.undisturbed()
    assert (tokens(game, "alice"), game.inbox("alice")) == (1, [])
    game.sweep()

    assert tokens(game, "alice") == 1
    assert len(game.inbox("alice")) == 1
    assert game.marked() == []


@pytest.mark.parametrize("broken", [{"createdAt": "yesterday"}, {"referrerId": None}])
def test_a_held_award_that_cannot_be_read_holds_up_no_other_and_is_not_passed_over(
    broken: dict[str, object], game: Game
) -> None:
    switch_awards(game, on=False)
    for referrer, referred in (("alice", "eve"), ("bob", "fay")):
        refer(game, referrer, referred)
        game.time.pass_(minutes=1)
    whole = game.item(keys.referral("eve")) or {}
    game.put({**whole, **broken})
    switch_awards(game, on=True)

    with pytest.raises(Malformed):
        game.sweep()
    assert [tokens(game, player) for player in ("alice", "bob")] == [0, 1]

    game.put(whole)
    game.sweep()
    assert [tokens(game, player) for player in ("alice", "bob")] == [1, 1]


def test_one_award_that_cannot_be_released_now_holds_up_no_other(game: Game) -> None:
    switch_awards(game, on=False)
    for referrer, referred in (("alice", "eve"), ("bob", "fay")):
        refer(game, referrer, referred)
        game.time.pass_(minutes=1)
    switch_awards(game, on=True)
    game.fails(client_error("ThrottlingException"), "transact_write_items", "PLAYER#alice")
    game.sweep()
    game.undisturbed()
    assert [tokens(game, player) for player in ("alice", "bob")] == [0, 1]
    game.sweep()
    assert [tokens(game, player) for player in ("alice", "bob")] == [1, 1]


def test_more_mails_waiting_than_a_sweep_has_time_for_do_not_hold_up_awards(game: Game) -> None:
    game.give("alice", tokens=5, name="Alice", email="alice@example.com")
    switch_awards(game, on=False)
    refer(game, "bob", "eve")
    game.set_settings(HEIST_COOLDOWN_HOURS=0)
    game.settings_are_due()
    for victim in ("v1", "v2", "v3", "v4"):
        game.give(victim, points=100)
        assert game.rob("alice", victim).status == 200
    game.time.pass_(minutes=2)
    looks = iter([False, False, True])

    wiring.sweep_notifications()(lambda: next(looks, True))

    assert tokens(game, "bob") == 1


# A player's timeline, and their data


@pytest.fixture
def played(game: Game, desk: Desk) -> Game:
    """alice robbed bob of 40 points and was told; eve brought her a token; bob is blocked."""
    game.give("alice", points=1000, name="Alice", email="alice@example.com")
    game.give("bob", points=800, name="Bob\x1b[2J", email="bob@example.com")
    refer(game, "alice", "eve")
    assert game.rob("alice", "bob", "key-1").status == 200
    refer(game, "alice", "zed")
    assert game.rob("alice", "bob", "key-2").body["code"] == "COOLDOWN_ACTIVE"
    game.sweep()
    desk("block", "bob", *BLOCK)
    return game


def test_a_players_whole_timeline_is_on_one_screen(played: Game, desk: Desk) -> None:
    shown = desk.shown("player", "bob")

    for fact in (
        "BLOCKED since",
        "bob@example.com",
        "2026-11: 760",
        "HEIST_LOSS",
        "Heists: 1",
        "-40     robbed by Alice",
        "SENT   HEIST_VICTIM",
        "Oh no! Alice just pulled a heist on you",
        "chargeback",
    ):
        assert fact in shown, fact
    assert "\x1b" not in shown
    alice = desk.shown("player", "alice")
    assert "2 earned, 1 spent" in alice
    assert "refused: COOLDOWN_ACTIVE" in alice
    assert "Referrals: 2" in alice
    assert "brought by   alice" in desk.shown("player", "eve")


def test_a_long_timeline_is_cut_and_says_so(game: Game, desk: Desk) -> None:
    for _ in range(12):
        game.give("bob", points=1)

    assert "Ledger: 12, the newest 10; --limit 0 for all" in desk.shown("player", "bob")
    assert "newest" not in desk.shown("player", "bob", "--limit", "0")


def test_nobody_has_no_timeline_and_no_data(desk: Desk) -> None:
    with pytest.raises(OperatorError, match="no player nobody"):
        desk("player", "nobody")
    with pytest.raises(OperatorError, match="nothing about nobody"):
        desk("export", "nobody")


def test_an_export_holds_all_that_is_about_a_person_and_nothing_else(
    played: Game, desk: Desk
) -> None:
    found = desk("export", "alice")

    assert found["state"][0]["email"] == "alice@example.com"
    assert len(found["heists"]) == 1
    assert [refused["code"] for refused in found["refused"]] == ["COOLDOWN_ACTIVE"]
    assert [award["referrerId"] for award in found["referrals"]] == ["alice", "alice"]
    assert {notice["type"] for notice in found["notices"]} == {"HEIST_SUCCESS", "TOKEN_EARNED"}
    assert len(found["inbox"]) == 3
    assert len(found["ledger"]) == 2
    assert "bob@example.com" not in str(found)
    assert "sourceNetwork" not in str(desk("export", "bob"))


# Erasure


ERASE = ("--reason", "request 17", "--apply")


def test_an_erased_person_is_in_no_record_and_no_sum_has_changed(played: Game, desk: Desk) -> None:
    refer(played, "carol", "bob", name="Bobby")
    played.sweep()
    told = desk("erase", "bob", *ERASE)

    assert told["erased"] == {
        "heists": 1,
        "inbox items": 1,
        "read counts": 1,
        "notices of others": 2,
        "referrals": 1,
    }
    left = str(played.everything())
    assert "bob@example.com" not in left
    assert "Bob" not in left
    assert "Alice" in left
    assert played.points("bob") == 760
    played.assert_sound()
    [message] = [item.notice.metadata for item in played.inbox("alice") if item.notice.heist_id]
    assert message["victimName"] is None
    entries = desk.actions()
    assert entries[-1]["id"] == told["receipt"]
    assert entries[-1]["after"] == {"erased": told["erased"]}


def test_an_erasure_says_what_it_would_do_and_does_it_once(played: Game, desk: Desk) -> None:
    before = played.everything()
    told = desk("erase", "bob", "--reason", "request 17")
    assert (told["done"], told["found"]["heists"]) == (False, 1)
    assert played.everything() == before

    first = desk("erase", "bob", *ERASE)
    again = desk("erase", "bob", *ERASE)
    assert (again["receipt"], again["erased"]) == (first["receipt"], {})


def test_what_a_player_chose_and_whom_they_robbed_goes_with_them(game: Game, desk: Desk) -> None:
    game.restart(HEIST_PAIR_COOLDOWN_HOURS=3)
    game.give("bob", tokens=1)
    game.give("alice", points=800)
    assert game.rob("bob", "alice").status == 200
    chosen = {"hidden": True, "email": {"robbed": "off"}}
    game.request("manage_preferences", api_event("manage_preferences", "bob", body=chosen))
    bob, alice = (desk("export", name)["state"][0] for name in ("bob", "alice"))
    assert (bob["hidden"], bob["emailChoices"]) == (True, {"robbed": "off"})
    assert bob["victims"].keys() == {"alice"}
    assert alice["losses"] == {"2026-11": {"robberies": 1, "points": 40}}
    shown = desk.shown("player", "bob")
    assert "hidden, mail robbed: off" in shown
    assert "2026-11: 1 time" in desk.shown("player", "alice")
    desk("erase", "bob", *ERASE)
    left = game.stored(keys.player("bob"))
    assert not {"hidden", "emailChoices", "victims", "passive", "passiveSwitchedAt"} & left.keys()
    game.assert_sound()


def test_events_that_come_late_do_not_bring_a_person_back(game: Game, desk: Desk) -> None:
    game.give("bob", points=100, tokens=1, name="Bob", email="bob@example.com")
    desk("erase", "bob", *ERASE)
    before = game.item(keys.player("bob"))

    game.call("upsert_player", bus_event("upsert_player", userId="bob", name="Bob"))
    game.call("add_points", bus_event("add_points", userId="bob", eventId="late"))
    refer(game, "bob", "eve")
    detail = {"referrerUserId": "carol", "referredUserId": "bob", "referredUserName": "Bob"}
    game.call("award_token", bus_event("award_token", **detail, referralId="bob@example.com"))
    game.sweep()

    assert game.item(keys.player("bob")) == before
    left = str(game.everything())
    assert "Bob" not in left
    assert "bob@example.com" not in left
    assert tokens(game, "carol") == 1
    assert game.events_queue.letters == []
    game.assert_sound()


def test_what_a_sender_calls_a_referral_goes_with_either_of_its_two(game: Game, desk: Desk) -> None:
    for referrer, referred, address in (("alice", "bob", "bob@x"), ("eve", "carol", "eve@x")):
        detail = {"referrerUserId": referrer, "referredUserId": referred, "referralId": address}
        game.call("award_token", bus_event("award_token", **detail))
    desk("erase", "bob", *ERASE)
    assert "eve@x" in str(game.everything())
    desk("erase", "eve", *ERASE)
    assert "@x" not in str(game.everything())
    game.sweep()
    assert game.owed() == []
    game.assert_sound()


def test_an_erased_player_who_tries_again_leaves_no_record(game: Game, desk: Desk) -> None:
    game.give("bob", points=800, tokens=2)
    game.give("alice", points=100)
    game.sweep()
    desk("erase", "bob", *ERASE)
    before = {item["pk"] for item in game.everything()}
    for key in (None, "k", "k"):
        answer = game.rob("bob", "alice", key)
        assert (answer.status, answer.body["code"], answer.replayed) == (400, "NO_TOKENS", False)
    game.check("bob", "alice")
    game.sweep()
    added = {item["pk"] for item in game.everything()} - before
    assert added == {"RATE#bob"}  # the minute's count: the id and hashes, for an hour
    assert "203.0.113" not in str(game.everything())


def test_nobody_known_by_an_id_is_said_so_before_anything_is_done(game: Game, desk: Desk) -> None:
    game.give("bob", points=10)
    before = game.everything()

    for how in (ERASE, ("--reason", "request 17")):
        with pytest.raises(OperatorError, match="Nobody is known by the id bop"):
            desk("erase", "bop", *how)

    assert game.everything() == before


def test_a_person_never_heard_of_can_be_erased_before_their_events(game: Game, desk: Desk) -> None:
    desk("erase", "bob", "--unknown", *ERASE)
    game.call("upsert_player", bus_event("upsert_player", userId="bob", name="Bob"))
    assert game.player("bob").name is None
    game.assert_sound()


def test_to_the_api_an_erased_player_is_one_never_seen(game: Game, desk: Desk) -> None:
    game.give("bob", points=800, tokens=2)
    game.give("alice", points=100, tokens=1)
    desk("erase", "bob", *ERASE)

    mine = game.request("get_tokens", api_event("get_tokens", "bob"))
    assert mine.body == game.request("get_tokens", api_event("get_tokens", "nobody")).body
    assert game.rob("bob", "alice").body["code"] == "NO_TOKENS"
    assert game.rob("alice", "bob").body == game.rob("alice", "nobody").body
    assert game.inbox("bob") == []


@pytest.mark.parametrize("erased", ["alice", "bob"])
def test_an_erasure_between_read_and_commit_stops_the_heist(erased: str, game: Game) -> None:
    game.give("alice", tokens=1, points=100, name="Alice")
    game.give("bob", points=800, name="Bob")
    game.once_before("transact_write_items", lambda: game.freeze(erased))

    assert game.rob("alice", "bob").body["code"] in ("NO_TOKENS", "TARGET_NOT_FOUND")
    assert game.points("bob") == 800
    game.assert_sound()


@pytest.mark.parametrize("gain", ["award", "held award", "points"])
def test_an_erasure_between_read_and_commit_stops_what_would_be_gained(
    gain: str, game: Game
) -> None:
    if gain == "held award":
        switch_awards(game, on=False)
        refer(game, "alice", "eve")
        switch_awards(game, on=True)

    game.once_before("transact_write_items", lambda: game.freeze("alice"))
    if gain == "award":
        refer(game, "alice", "eve")
    elif gain == "points":
        detail = {"eventId": "e1", "userId": "alice", "points": 5, "pointEventType": "ORDER"}
        game.call("add_points", bus_event("add_points", **detail))
    else:
        assert game.sweep()["waiting"] == 0

    assert (tokens(game, "alice"), game.points("alice")) == (0, 0)
    assert game.ledger("alice") == 0
    assert game.player("alice").erased
    game.assert_sound()


@pytest.mark.parametrize("erased", ["alice", "bob"])
def test_an_old_image_of_a_heist_shows_nobody_the_name(erased: str, game: Game, desk: Desk) -> None:
    game.give("alice", tokens=1, points=100, name="Alice", email="alice@example.com")
    game.give("bob", points=800, name="Bob", email="bob@example.com")
    heist_id = game.rob("alice", "bob").body["heistId"]
    image = wire.to_wire(game.item(keys.heist(heist_id)) or {})
    desk("erase", erased, *ERASE)
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": "1"}}
    game.call("notify_players", {"Records": [record]})

    name = erased.title()
    assert name not in str(game.everything())
    assert game.inbox(erased) == []
    [other] = {"alice", "bob"} - {erased}
    assert next(item.notice.heist_id for item in game.inbox(other)) == heist_id
    assert name not in str(game.ses.mails)
    assert f"{erased}@example.com" not in str(game.ses.mails)
    game.assert_sound()


def test_points_between_read_and_freeze_are_not_lost(game: Game, desk: Desk) -> None:
    game.give("bob", points=10)
    game.once_before("transact_write_items", lambda: game.give("bob", points=5))
    desk("erase", "bob", *ERASE)
    assert game.points("bob") == 15
    game.assert_sound()


@pytest.mark.parametrize("known", [True, False])
def test_of_two_erasures_at_once_the_first_freezes(known: bool, game: Game, desk: Desk) -> None:
    if known:
        game.give("bob", points=10, name="Bob")
    first = game.time() + timedelta(seconds=1)
    game.once_before("transact_write_items", lambda: game.freeze("bob", first))
    desk("erase", "bob", "--unknown", *ERASE)
    assert game.player("bob").erased_at == first
    assert [entry["after"] for entry in desk.actions()].count({"frozen": True}) == 0
    game.assert_sound()


def test_of_two_erasures_that_end_at_once_one_gives_the_receipt(game: Game, desk: Desk) -> None:
    game.give("bob", points=10, name="Bob")
    receipts: list[str] = []

    def other() -> None:
        receipts.append(desk("erase", "bob", *ERASE)["receipt"])

    game.once_before("transact_write_items", other, skip=1)
    told = desk("erase", "bob", *ERASE)
    assert [told["receipt"]] == receipts
    assert len(desk.actions()) == 2  # the freeze and the receipt
    game.assert_sound()


def test_two_erasures_at_once_both_leave_a_closed_board(game: Game, desk: Desk) -> None:
    """Both write the whole board: the one that comes late must not undo the other, nor give up."""
    for name in ("alice", "bob"):
        game.give(name, points=10)
    boards = wiring.boards()
    boards.close("2026-11", game.time(), 2, [Standing(20, "bob"), Standing(10, "alice")])
    stored = game.stored(keys.board_final("2026-11"))
    bobs = operator.forget(stored, "bob")
    assert isinstance(bobs, operator.Redaction)
    game.once_before("update_item", lambda: game.gateway.update_if(bobs.request))
    assert desk("erase", "alice", *ERASE)["erased"] == {"closed leaderboards": 1}
    final = boards.final("2026-11")
    assert final is not None
    assert final.standings == [Standing(20, None), Standing(10, None)]


def test_a_receipt_bumps_the_players_version(game: Game, desk: Desk) -> None:
    game.give("bob", points=10)
    version = game.player("bob").version
    desk("erase", "bob", *ERASE)
    assert game.player("bob").version == version + 2  # the freeze, and the receipt


def test_nobody_who_is_not_frozen_gets_a_receipt(game: Game) -> None:
    game.give("bob", points=10)
    before = game.everything()
    with pytest.raises(Contention):
        game.gateway.transact(operator.certify("bob", "0a1b", action("erase")))
    assert game.everything() == before


def test_an_erasure_that_died_is_finished_by_the_next(played: Game, desk: Desk) -> None:
    played.fails(Crash(), "transact_write_items", sent=True)
    with pytest.raises(Crash):
        desk("erase", "bob", *ERASE)
    played.undisturbed()
    played.assert_sound()
    assert "Bob" in str(played.everything())

    desk("erase", "bob", *ERASE)
    assert "Bob" not in str(played.everything())
    played.assert_sound()


@pytest.mark.parametrize(
    "record",
    [
        items.heist_item(heist()),
        items.heist_item(heist(attacker_name=None)),
        items.reversal_item(reversal()),
        items.award_item(award("alice", "bob")),
    ],
)
def test_names_are_taken_out_of_a_record_that_is_there_and_none_is_made(
    game: Game, record: Mapping[str, object]
) -> None:
    redactions = [operator.forget(record, player) for player in ("alice", "bob")]
    requests = [one.request for one in redactions if isinstance(one, operator.Redaction)]
    assert [game.gateway.update_if(request) for request in requests] == [False, False]
    assert game.everything() == []
    game.put(record)
    assert [game.gateway.update_if(request) for request in requests] == [True, True]
    left = game.stored(keys.key_of(record))
    named = {"attackerName", "victimName", "sourceNetwork", "referralId", "referredName"}
    assert not named & left.keys()


@pytest.mark.parametrize("event", [heist(), award("alice", "bob")])
@pytest.mark.parametrize("erased", ["alice", "bob"])
def test_a_notice_that_took_the_place_of_one_that_names_an_erased_player_stays(
    game: Game, event: Event, erased: str
) -> None:
    for notice in notices_of(event):
        tag = keys.inbox_tag(keys.notice(items.subject_key(event), notice.recipient_id))
        old = inbox_items.inbox_item(1, tag, notice)
        redaction = operator.forget(old, erased)
        game.put({**old, "tag": "another"})
        before = game.everything()
        if isinstance(redaction, operator.Redaction):
            assert not game.gateway.update_if(redaction.request)
        assert game.everything() == before


def test_an_award_of_an_erased_referrer_is_not_held_either(game: Game, desk: Desk) -> None:
    game.give("alice", points=1)
    desk("erase", "alice", *ERASE)
    switch_awards(game, on=False)
    refer(game, "alice", "eve")
    assert game.item(keys.referral("eve")) is None


def test_a_held_award_of_an_erased_referrer_is_given_to_nobody(game: Game, desk: Desk) -> None:
    switch_awards(game, on=False)
    refer(game, "alice", "eve")
    desk("erase", "alice", *ERASE)
    switch_awards(game, on=True)
    game.sweep()
    game.sweep()
    assert tokens(game, "alice") == 0
    game.assert_sound()
