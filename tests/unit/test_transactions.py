"""Requests to DynamoDB, word for word: the riskiest text of the application.

Whether their conditions hold against an engine is tested in tests/integration.
"""

import re
from dataclasses import replace
from typing import Any

import pytest

from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import notices_of
from heist_core.domain.owed import Owed
from heist_core.domain.player import Dated, Player
from heist_core.domain.statistics import Robber, Takings
from heist_core.storage import counting, items, keys, operator, transactions
from heist_core.storage.counting import Generation, Holding
from heist_core.storage.writes import Request, Step, Transaction
from tests.builders import (
    MILLISECOND,
    NOW,
    action,
    award,
    earned,
    heist,
    player,
    refused,
    reversal,
)

NEW = "attribute_not_exists(pk)"
NOT_ERASED = "attribute_not_exists(erasedAt)"
SUBJECT = keys.heist("h1")
WITHIN_LIMIT = (
    "contains(attempts, :attempt) OR attribute_not_exists(attempts) OR size(attempts) < :limit"
)
NOTICE = notices_of(heist())[0]
CLAIM = MailRecord(MailState.SENDING, 1, "owner-1", NOW)
ROBBER = Robber("alice", {"2026-11-22T12": Takings(2, 90), "2026-10-21T11": Takings(5, 500)}, 7)
UNCOUNTED = "attribute_exists(pk) AND (attribute_not_exists(countedIn) OR countedIn < :generation)"


def values(request: Request) -> dict[str, object]:
    wire = request.get("ExpressionAttributeValues", {})
    assert isinstance(wire, dict)
    return items.from_wire(wire)


def step_of(steps: Any, name: str, kind: str) -> dict[str, Any]:
    (found,) = [step.action[kind] for step in steps if step.name == name]
    assert isinstance(found, dict)
    return found


def commit_reversal(**changes: Any) -> Transaction:
    attacker = replace(player("alice", version=7, tokens=3), tokens_spent=4)
    undone = reversal(**changes)
    return operator.commit_reversal(undone, attacker, player("bob", version=9), action("reverse"))


def every_request() -> dict[str, Request]:
    """One example of every request that is built, those inside transactions included."""
    seen = player(name="Alice", email="a@example.com")
    singles = {
        "record_refusal": transactions.record_refusal(refused()),
        "save_profile": transactions.save_profile(seen, seen.profile),
        "save_first_profile": transactions.save_profile(Player("a"), Player("a").profile),
        "count_attempt": transactions.count_attempt("a", "5b0d8c6f2f1e", NOW, 10),
        "uncount_attempt": transactions.uncount_attempt("a", "5b0d8c6f2f1e", NOW),
        "count_check": transactions.count_check("a", NOW, 30),
        "claim_mail": transactions.move_mail(SUBJECT, MailRecord(MailState.PENDING), CLAIM),
        "end_mail": transactions.move_mail(SUBJECT, CLAIM, MailRecord(MailState.SENT, 1)),
        "settle": transactions.settle(SUBJECT, [Owed.EVENT]),
        "put_back": transactions.put_back(SUBJECT, NOW),
        "clear_marker": transactions.clear_marker(SUBJECT),
        "note_only": transactions.note_only(SUBJECT, NOTICE),
        "hold_award": transactions.hold_award(award()),
        "set_aside": transactions.set_aside(SUBJECT),
        "mark_read": transactions.mark_read("a", "0000000001", "0a1b2c3d", NOW),
        "seed_point_type": transactions.seed_point_type("HEIST_GAIN", "text"),
        "put_generation": counting.put_generation(Generation(1, 2), Generation(2, 2)),
        "first_generation": counting.put_generation(Generation(), Generation(1, 2)),
    }
    transacted = {
        "commit_heist": transactions.commit_heist(heist(), player("alice"), player("bob")),
        "commit_reversal": commit_reversal(),
        "commit_refund": commit_reversal(refunded=True, lifted=True)[1:2],
        "commit_award": transactions.commit_award(award()),
        "release_award": transactions.release_award(award()),
        "commit_points": transactions.commit_points(earned()),
        "deliver_notice": transactions.deliver_notice(SUBJECT, NOTICE, 1, "0a1b2c3d", NOW),
        "ask_mail_again": transactions.ask_mail_again(
            SUBJECT, "alice", MailRecord(MailState.FAILED), "mail#1", NOW
        ),
        "change_settings": operator.change_settings(
            {"HEIST_ENABLED": True, "version": 2}, ("HEIST_ENABLED",), {}, 3, action()
        ),
        "first_settings": operator.change_settings(None, (), {}, 1, action())[:1],
        "freeze": operator.freeze(player("bob"), NOW, action()),
        "freeze_unknown": operator.freeze(Player("bob"), NOW, action())[:1],
        "certify": operator.certify("bob", "0a1b", action()),
        "block": operator.block(player("bob"), NOW, action()),
        "unblock": operator.unblock(player("bob"), action()),
        "count_facts": counting.count_facts(3, [heist()], {"alice": ROBBER}, NOW),
        "count_refusal": counting.count_facts(3, [refused()], {}, NOW),
        "count_first": counting.count_facts(3, [heist()], {"alice": Robber("alice")}, NOW)[2:],
        "move_holdings": counting.move_holdings(
            3, [(Holding("alice", 7, 2), Holding("alice", 8, 3))]
        ),
        "move_first": counting.move_holdings(3, [(Holding("alice"), Holding("alice", 1, 0))])[:1],
    }
    for name, transaction in transacted.items():
        for step in transaction:
            (request,) = step.action.values()
            singles[f"{name}.{step.name}"] = request
    return singles


EVERY = every_request()


@pytest.mark.parametrize("name", EVERY)
def test_every_request_defines_exactly_what_it_uses(name: str) -> None:
    request = EVERY[name]
    expressions = " ".join(
        str(request.get(part, "")) for part in ("UpdateExpression", "ConditionExpression")
    )
    used_values = set(re.findall(r":\w+", expressions))
    used_names = set(re.findall(r"#\w+", expressions))
    names = request.get("ExpressionAttributeNames", {})
    assert isinstance(names, dict)

    assert used_values == set(values(request))
    assert used_names == set(names)
    assert ("Key" in request) != ("Item" in request)
    assert "Item" not in request or "UpdateExpression" not in request


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("record_refusal", NEW),
        ("commit_heist.heist", NEW),
        ("commit_heist.attacker", "version = :seen"),
        ("commit_heist.victim", "version = :seen"),
        ("commit_heist.gain", None),
        ("commit_heist.loss", None),
        ("commit_reversal.reversal", NEW),
        ("commit_reversal.attacker", "version = :seen"),
        ("commit_reversal.victim", "version = :seen"),
        ("commit_reversal.given", None),
        ("commit_reversal.returned", None),
        ("commit_reversal.action", NEW),
        ("commit_refund.attacker", "version = :seen"),
        ("commit_award.referral", NEW),
        ("commit_award.referrer", NOT_ERASED),
        ("note_only", NEW),
        ("freeze.player", "version = :seen"),
        ("freeze.action", NEW),
        ("freeze_unknown.player", "attribute_not_exists(version)"),
        (
            "certify.player",
            "attribute_exists(erasedAt) AND attribute_not_exists(erasureReceipt)",
        ),
        ("certify.action", NEW),
        ("hold_award", NEW),
        ("release_award.referral", "attribute_exists(heldAt)"),
        ("release_award.referrer", NOT_ERASED),
        (
            "change_settings.settings",
            "attribute_exists(pk) AND HEIST_ENABLED = :HEIST_ENABLED AND version = :version",
        ),
        ("change_settings.version", NEW),
        ("change_settings.action", NEW),
        ("first_settings.settings", NEW),
        ("commit_points.event", NEW),
        ("commit_points.player", NOT_ERASED),
        ("commit_points.ledger", None),
        ("block.player", "version = :seen"),
        ("block.action", NEW),
        ("unblock.player", "version = :seen"),
        ("unblock.action", NEW),
        ("deliver_notice.notice", NEW),
        ("deliver_notice.inbox", NEW),
        ("save_profile", "version = :seen"),
        ("save_first_profile", "attribute_not_exists(version)"),
        (
            "count_attempt",
            WITHIN_LIMIT,
        ),
        ("uncount_attempt", None),
        ("count_check", "attribute_not_exists(checks) OR checks < :limit"),
        ("claim_mail", "mailState = :seen"),
        ("end_mail", "mailState = :seen AND mailOwner = :seenOwner"),
        ("ask_mail_again.mail", "mailState = :seen"),
        ("ask_mail_again.marker", "attribute_exists(pk)"),
        ("put_back", "attribute_exists(owedBucket)"),
        ("settle", "attribute_exists(owedBucket)"),
        ("clear_marker", "attribute_not_exists(owed)"),
        ("set_aside", "attribute_exists(owedBucket)"),
        ("mark_read", "attribute_exists(unread) AND tag = :tag"),
        ("seed_point_type", None),
        ("put_generation", "#read = :read AND written = :written"),
        ("first_generation", NEW),
        ("count_facts.fact", UNCOUNTED),
        ("count_facts.day", None),
        ("count_facts.robber", "version = :seen"),
        ("count_refusal.fact", UNCOUNTED),
        ("count_refusal.day", None),
        ("count_first.robber", NEW),
        ("move_holdings.holding", "version = :seen"),
        ("move_holdings.balances", None),
        ("move_first.holding", NEW),
    ],
)
def test_every_request_has_its_condition(name: str, condition: str | None) -> None:
    assert EVERY[name].get("ConditionExpression") == condition


def test_the_table_above_misses_no_request() -> None:
    (mark,) = [
        mark
        for mark in test_every_request_has_its_condition.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    ]
    assert {case[0] for case in mark.args[1]} == set(EVERY)


STATISTICS = {"put_generation", "first_generation", "count_facts.robber", "count_first.robber"}
"""Read anew when they are refused."""


@pytest.mark.parametrize(
    "name", [name for name in EVERY if EVERY[name].get("Item") and name not in STATISTICS]
)
def test_a_put_that_may_be_refused_asks_for_what_stands_there(name: str) -> None:
    request = EVERY[name]
    assert ("ConditionExpression" in request) == (
        request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    )


PLAYER_WRITES = [name for name, request in EVERY.items() if "STATE" in str(request.get("Key", ""))]


def test_every_write_to_a_player_bumps_the_version() -> None:
    assert len(PLAYER_WRITES) == 15
    for name in PLAYER_WRITES:
        request = EVERY[name]
        added = str(request["UpdateExpression"]).partition("ADD ")[2]
        assert "version :one" in added, name
        assert values(request)[":one"] == 1, name


def test_a_heist_is_five_steps_and_no_item_is_in_two_of_them() -> None:
    steps = transactions.commit_heist(heist(), player("alice"), player("bob"))
    assert [step.name for step in steps] == ["heist", "attacker", "victim", "gain", "loss"]
    places = [_place(step) for step in steps]
    assert len(set(places)) == 5


def _place(step: Step) -> str:
    (request,) = step.action.values()
    item: Any = request.get("Key") or request.get("Item")
    return str((item["pk"], item["sk"]))


def test_the_attackers_side_of_a_heist() -> None:
    attacker = replace(player("alice", version=7, tokens=3), tokens_spent=4)
    steps = transactions.commit_heist(heist(), attacker, player("bob", version=9))
    update = step_of(steps, "attacker", "Update")
    assert items.from_wire(update["Key"]) == {"pk": "PLAYER#alice", "sk": "STATE"}
    assert update["UpdateExpression"] == (
        "SET #season = :points, tokens = :tokens, tokensSpent = :spent, "
        "lastSpentAt = :at, lastHeistAt = :at ADD version :one"
    )
    assert update["ExpressionAttributeNames"] == {"#season": "points#2026-11"}
    assert values(update) == {
        ":points": 1040,
        ":tokens": 2,
        ":spent": 5,
        ":at": "2026-11-22T12:00:03.117Z",
        ":one": 1,
        ":seen": 7,
    }


def test_the_victims_side_of_a_heist() -> None:
    steps = transactions.commit_heist(heist(), player("alice"), player("bob", version=9))
    update = step_of(steps, "victim", "Update")
    assert items.from_wire(update["Key"]) == {"pk": "PLAYER#bob", "sk": "STATE"}
    assert update["UpdateExpression"] == (
        "SET #season = :points, lastRobbedAt = :at ADD version :one"
    )
    assert update["ExpressionAttributeNames"] == {"#season": "points#2026-11"}
    assert values(update) == {
        ":points": 760,
        ":at": "2026-11-22T12:00:03.117Z",
        ":one": 1,
        ":seen": 9,
    }


def test_both_ledger_entries_of_a_heist_cancel_out() -> None:
    steps = transactions.commit_heist(heist(), player("alice"), player("bob"))
    gain = items.from_wire(step_of(steps, "gain", "Put")["Item"])
    loss = items.from_wire(step_of(steps, "loss", "Put")["Item"])
    reference = "2026-11#HEIST#5b0d8c6f2f1e4a31b7d3a9c2e4f60718"
    assert (gain["pk"], gain["sk"]) == ("LEDGER#alice", reference)
    assert (loss["pk"], loss["sk"]) == ("LEDGER#bob", reference)
    assert (gain["pointEventType"], gain["points"]) == ("HEIST_GAIN", 40)
    assert (loss["pointEventType"], loss["points"]) == ("HEIST_LOSS", -40)


def test_both_sides_of_a_reversal() -> None:
    steps = commit_reversal(returned=30)
    attackers, victims = (step_of(steps, name, "Update") for name in ("attacker", "victim"))
    assert items.from_wire(attackers["Key"]) == keys.player("alice")
    assert items.from_wire(victims["Key"]) == keys.player("bob")
    for request in (attackers, victims):
        assert request["UpdateExpression"] == "SET #season = :points ADD version :one"
        assert request["ExpressionAttributeNames"] == {"#season": "points#2026-11"}
    assert values(attackers) == {":points": 1010, ":one": 1, ":seen": 7}
    assert values(victims) == {":points": 790, ":one": 1, ":seen": 9}


def test_a_refund_is_a_token_not_spent_and_may_lift_the_cooldown() -> None:
    request = step_of(commit_reversal(refunded=True), "attacker", "Update")
    assert request["UpdateExpression"] == (
        "SET #season = :points, tokens = :tokens, tokensSpent = :spent ADD version :one"
    )
    assert values(request) == {":points": 1000, ":tokens": 4, ":spent": 3, ":one": 1, ":seen": 7}
    request = step_of(commit_reversal(refunded=True, lifted=True), "attacker", "Update")
    assert request["UpdateExpression"] == (
        "SET #season = :points, tokens = :tokens, tokensSpent = :spent "
        "REMOVE lastHeistAt ADD version :one"
    )


def test_both_ledger_entries_of_a_reversal_cancel_out() -> None:
    steps = commit_reversal(returned=30)
    given, returned = (
        items.from_wire(step_of(steps, name, "Put")["Item"]) for name in ("given", "returned")
    )
    reference = "2026-11#REVERSAL#5b0d8c6f2f1e4a31b7d3a9c2e4f60718"
    assert (given["pk"], given["sk"]) == ("LEDGER#alice", reference)
    assert (returned["pk"], returned["sk"]) == ("LEDGER#bob", reference)
    assert given["pointEventType"] == returned["pointEventType"] == "HEIST_REVERSAL"
    assert (given["points"], returned["points"]) == (-30, 30)


def test_a_reversal_is_six_steps_and_no_item_is_in_two_of_them() -> None:
    steps = commit_reversal()
    assert [step.name for step in steps] == [
        *("reversal", "attacker", "victim", "given", "returned", "action")
    ]
    assert len({_place(step) for step in steps}) == 6


def test_an_award_adds_one_token_whatever_stands() -> None:
    update = step_of(transactions.commit_award(award()), "referrer", "Update")
    assert items.from_wire(update["Key"]) == keys.player("alice")
    assert update["UpdateExpression"] == (
        "SET lastEarnedAt = :at ADD tokens :one, tokensEarned :one, version :one"
    )
    assert values(update) == {":at": "2026-11-22T12:00:03.117Z", ":one": 1}


def test_points_go_to_the_season_of_their_moment() -> None:
    late = earned(at=NOW.replace(month=10))
    steps = transactions.commit_points(late)
    update = step_of(steps, "player", "Update")
    assert update["UpdateExpression"] == "ADD #season :points, version :one"
    assert update["ExpressionAttributeNames"] == {"#season": "points#2026-10"}
    assert values(update) == {":points": 800, ":one": 1}
    entry = items.from_wire(step_of(steps, "ledger", "Put")["Item"])
    assert (entry["pk"], entry["sk"]) == ("LEDGER#bob", "2026-10#EVENT#order-1")
    assert entry["points"] == 800


def test_points_of_one_event_are_unique_over_all_players() -> None:
    first = step_of(transactions.commit_points(earned("bob")), "event", "Put")
    second = step_of(transactions.commit_points(earned("carol")), "event", "Put")
    assert first["Item"]["pk"] == second["Item"]["pk"] == {"S": "POINTS#order-1"}


def test_a_profile_sets_what_is_there_and_removes_what_is_not() -> None:
    seen = player("alice", version=3, name="Alice", email="a@example.com")
    profile = replace(seen.profile, email=Dated(None, NOW + MILLISECOND))
    request = transactions.save_profile(seen, profile)
    assert request["UpdateExpression"] == (
        "ADD version :one SET #name = :name, #nameAt = :nameAt, #emailAt = :emailAt "
        "REMOVE #email, #emailOptOut, #emailOptOutAt"
    )
    assert values(request) == {
        ":name": "Alice",
        ":nameAt": "2026-11-22T12:00:03.117Z",
        ":emailAt": "2026-11-22T12:00:03.118Z",
        ":one": 1,
        ":seen": 3,
    }


def test_an_attempt_is_counted_in_a_set_that_expires() -> None:
    minute = NOW.replace(second=0, microsecond=0)
    request = transactions.count_attempt("alice", "5b0d8c6f2f1e", minute, 10)
    assert items.from_wire(request["Key"]) == {  # type: ignore[arg-type]
        "pk": "RATE#alice",
        "sk": "EXECUTE#2026-11-22T12:00",
    }
    assert request["UpdateExpression"] == "ADD attempts :attempts SET expiresAt = :expiry"
    assert request["ReturnValues"] == "ALL_OLD"
    assert values(request) == {
        ":attempts": {"5b0d8c6f2f1e"},
        ":attempt": "5b0d8c6f2f1e",
        ":limit": 10,
        ":expiry": int(minute.timestamp()) + 3600,
    }


def test_a_claimed_mail_has_an_owner_and_a_lease_and_an_ended_one_neither() -> None:
    claim, end = EVERY["claim_mail"], EVERY["end_mail"]
    assert claim["UpdateExpression"] == (
        "SET mailState = :state, mailAttempts = :attempts, "
        "mailOwner = :owner, mailLeaseUntil = :lease"
    )
    assert values(claim) == {
        ":seen": "PENDING",
        ":state": "SENDING",
        ":attempts": 1,
        ":owner": "owner-1",
        ":lease": "2026-11-22T12:00:03.117Z",
    }
    assert end["UpdateExpression"] == (
        "SET mailState = :state, mailAttempts = :attempts REMOVE mailOwner, mailLeaseUntil"
    )
    assert values(end)[":seenOwner"] == "owner-1"


def test_seeding_keeps_what_an_operator_changed() -> None:
    assert "active = if_not_exists(active, :true)" in str(
        EVERY["seed_point_type"]["UpdateExpression"]
    )


def test_what_is_owed_is_spread_over_the_buckets() -> None:
    used = {keys.owed_bucket(keys.heist(f"heist-{number}")) for number in range(200)}
    assert used == set(keys.OWED_BUCKETS)
    assert keys.SET_ASIDE_BUCKET not in used
