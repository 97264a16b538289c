"""What operators change by the API: once for each key, with its entry in the log, or not at all."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from heist_core.domain.award import TokenGrant
from heist_core.domain.errors import Contention
from heist_core.storage import keys, operator
from heist_core.storage.audit import audit_items
from ops.target import OperatorError
from tests.builders import HOUR, Event, action, api_event, stream_event
from tests.fakes import client_error
from tests.integration.game import Answer, Game
from tests.integration.operators import Desk
from tests.integration.stream import Stream

WHY = {"reason": "chargeback"}


def settings(**changes: object) -> dict[str, Any]:
    return {**WHY, "changes": changes, "expectedVersion": 0}


ROUTES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "block": ("POST players/{userId}/block", WHY),
    "unblock": ("POST players/{userId}/unblock", WHY),
    "tokens": ("POST players/{userId}/tokens", {**WHY, "delta": 2}),
    "reverse": ("POST heists/{heistId}/reverse", WHY),
    "settings": ("PUT settings", settings(HEIST_STEAL_PERCENTAGE=7)),
}


def asked(what: str, body: object = None, key: str | None = "key-1", **event: Any) -> Event:
    route, usual = ROUTES[what]
    groups = event.pop("groups", "[operators]")
    caller = event.pop("caller", "olga-id")
    path = {"userId": "bob", "heistId": "none", **event.pop("path", {})}
    headers = {} if key is None else {"idempotency-key": key}
    body = usual if body is None else body
    made = api_event("change_admin", caller, body=body, headers=headers, path=path, **event)
    method, _, rest = route.partition(" ")
    made["routeKey"] = f"{method} /api/heist/admin/{rest}"
    claims = made["requestContext"]["authorizer"]["jwt"]["claims"]
    claims["cognito:groups"], claims["username"] = groups, "olga"
    return made


def change(
    game: Game, what: str, body: object = None, key: str | None = "key-1", **e: Any
) -> Answer:
    return game.request("change_admin", asked(what, body, key, **e))


@pytest.fixture
def played(game: Game) -> Game:
    game.give("alice", points=1000, tokens=1)
    game.give("bob", points=800, tokens=1)
    return game


def robbed(game: Game) -> dict[str, str]:
    return {"heistId": game.rob("alice", "bob").body["heistId"]}


# Each change


def test_a_player_is_blocked_and_unblocked_with_one_entry_each(played: Game, desk: Desk) -> None:
    done = change(played, "block")

    assert done.status == 200
    assert done.body | {"actionId": ""} == {
        "success": True,
        "changed": True,
        "actionId": "",
        "userId": "bob",
        "blocked": True,
        "before": {"blocked": False},
        "after": {"blocked": True},
    }
    assert played.player("bob").blocked
    (entry,) = desk.actions()
    assert entry["id"] == done.body["actionId"]
    assert (entry["who"], entry["whoName"]) == ("olga-id", "olga")
    assert (entry["what"], entry["subject"], entry["why"]) == ("block", "player bob", "chargeback")
    assert (entry["before"], entry["after"]) == ({"blocked": False}, {"blocked": True})

    again = change(played, "block", key="key-2")
    assert (again.status, again.body["changed"], again.body["actionId"]) == (200, False, None)
    assert change(played, "unblock", key="key-3").body["changed"] is True
    assert not played.player("bob").blocked
    assert [one["what"] for one in desk.actions()] == ["block", "unblock"]


def test_granted_tokens_count_as_earned_and_have_a_record(played: Game, desk: Desk) -> None:
    done = change(played, "tokens")

    assert (done.status, done.body["before"], done.body["after"]) == (
        200,
        {"tokens": 1, "totalEarned": 1, "tokensGranted": 0},
        {"tokens": 3, "totalEarned": 3, "tokensGranted": 2},
    )
    bob = played.player("bob")
    assert (bob.tokens, bob.tokens_earned, bob.tokens_granted) == (3, 3, 2)
    record = played.stored(keys.grant("bob", done.body["actionId"]))
    assert record["tokens"] == 2
    balance = played.request("get_tokens", api_event("get_tokens", "bob")).body
    assert (balance["balance"], balance["totalEarned"], balance["totalSpent"]) == (3, 3, 0)
    played.assert_sound()
    (exported,) = desk("export", "bob")["grants"]
    assert exported["tokens"] == 2


def test_the_audit_misses_a_grant_without_its_record(played: Game) -> None:
    change(played, "tokens")
    some = [item for item in played.everything() if keys.kind_of(item) is not keys.Kind.GRANT]
    broken = {one.invariant for one in audit_items(some).violations()}
    assert "granted tokens are those of the records" in broken
    assert "one token per referral" in broken


@pytest.mark.parametrize("by_stream", [True, False])
def test_granted_tokens_reach_the_report_by_stream_or_sweep(
    played: Game, desk: Desk, *, by_stream: bool
) -> None:
    stream = Stream(played)
    change(played, "tokens")
    if by_stream:
        done = played.call("publish_and_count", stream_event(*stream.poll()))
        assert done == {"batchItemFailures": [], "parked": 0}
        assert [pk for pk, _ in played.owed() if pk.startswith("GRANT")] == []
    played.sweep()

    balances = desk("report")["tokenDistribution"]["balances"]

    assert {"balance": 3, "userCount": 1} in balances
    assert played.marked() == []
    assert played.notifier_queue.letters == []
    assert len(played.inbox("bob")) == 1  # of the referral; nobody is told of what was granted


def test_a_heist_is_reversed_once(played: Game, desk: Desk) -> None:
    path = robbed(played)

    done = change(played, "reverse", {**WHY, "refundToken": True}, path=path)
    again = change(played, "reverse", key="key-2", path=path)

    assert done.status == 200
    assert (done.body["pointsReturned"], done.body["tokenRefunded"]) == (40, True)
    assert done.body["before"] == {"attackerPoints": 1040, "victimPoints": 760}
    assert (again.status, again.body["error"]) == (409, "ALREADY_REVERSED")
    assert played.player("alice").tokens == 1
    (entry,) = desk.actions()
    assert (entry["id"], entry["who"]) == (done.body["actionId"], "olga-id")
    played.assert_sound()


def test_what_was_refused_cannot_be_reversed(played: Game) -> None:
    refused = played.rob("alice", "nobody", "k")
    assert refused.status == 400
    heist_id = next(
        keys.id_of(item)
        for item in played.everything()
        if keys.kind_of(item) is keys.Kind.HEIST and item["status"] == "FAILED"
    )
    answer = change(played, "reverse", path={"heistId": heist_id})
    assert (answer.status, answer.body["error"]) == (409, "NOT_REVERSIBLE")


def test_settings_are_changed_by_whoever_saw_the_last_version(played: Game, desk: Desk) -> None:
    done = change(played, "settings")
    late = change(played, "settings", key="key-2")
    body = settings(HEIST_STEAL_PERCENTAGE=7) | {"expectedVersion": 1}
    same = change(played, "settings", body, key="key-3")

    assert done.body | {"actionId": ""} == {
        "success": True,
        "changed": True,
        "actionId": "",
        "version": 1,
        "before": {"HEIST_STEAL_PERCENTAGE": 5},
        "after": {"HEIST_STEAL_PERCENTAGE": 7},
    }
    assert (late.status, late.body["error"]) == (409, "SETTINGS_CHANGED")
    assert (same.status, same.body["changed"], same.body["version"]) == (200, False, 1)
    assert len(desk.actions()) == 1
    assert desk("config")["version"] == 1
    back = settings(HEIST_STEAL_PERCENTAGE="variable") | {"expectedVersion": 1}
    assert change(played, "settings", back, key="key-4").body["after"] == {
        "HEIST_STEAL_PERCENTAGE": 5
    }
    assert desk("config")["settings"]["HEIST_STEAL_PERCENTAGE"]["from"] == "default"
    desk("config", "--back", "1", "--reason", "too mild", "--apply")
    assert desk("config")["settings"]["HEIST_STEAL_PERCENTAGE"]["value"] == 7


@pytest.mark.parametrize("versions", [0, 1, 2])
def test_a_change_of_settings_between_read_and_write_is_a_409(
    played: Game, desk: Desk, versions: int
) -> None:
    another = ("config", "--reason", "else", "--apply", "--set")
    for setting in ("HEIST_ENABLED=false", "HEIST_ENABLED=")[:versions]:
        desk(*another, setting)
    body = settings(HEIST_STEAL_PERCENTAGE=7) | {"expectedVersion": versions}
    played.once_before("transact_write_items", lambda: desk(*another, "HEIST_COOLDOWN_HOURS=5"))
    answer = change(played, "settings", body)
    assert (answer.status, answer.body["error"]) == (409, "SETTINGS_CHANGED")
    assert desk("config")["version"] == versions + 1


def test_a_change_of_settings_by_hand_between_read_and_write_is_kept(
    played: Game, desk: Desk
) -> None:
    for setting in ("HEIST_ENABLED=false", "HEIST_ENABLED="):
        desk("config", "--set", setting, "--reason", "else", "--apply")
    by_hand = {"HEIST_COOLDOWN_HOURS": 5}
    played.once_before("transact_write_items", lambda: played.change(keys.SETTINGS, by_hand))
    body = settings(HEIST_STEAL_PERCENTAGE=7) | {"expectedVersion": 2}
    assert change(played, "settings", body).status == 409
    assert played.stored(keys.SETTINGS)["HEIST_COOLDOWN_HOURS"] == 5


# Keys


@pytest.mark.parametrize("what", ROUTES)
def test_a_repeat_under_a_key_is_answered_from_the_record(
    played: Game, desk: Desk, what: str
) -> None:
    path = robbed(played)
    first = change(played, what, path=path)
    before = played.everything()

    again = change(played, what, path=path)

    assert (again.status, again.text) == (first.status, first.text)
    assert (first.replayed, again.replayed) == (False, True)
    assert played.everything() == before
    other = {**ROUTES[what][1], "reason": "another reason"}
    mismatch = change(played, what, other, path=path)
    assert (mismatch.status, mismatch.body["error"]) == (422, "IDEMPOTENCY_MISMATCH")
    elsewhere = change(played, "block", path={"userId": "alice"})
    assert elsewhere.status == 422
    assert change(played, what, path=path, caller="otto").replayed is False


def test_a_refusal_is_remembered_too(played: Game) -> None:
    path = {"userId": "newcomer"}
    first = change(played, "block", path=path)
    played.give("newcomer", points=1)

    again = change(played, "block", path=path)

    assert (first.status, again.status, again.replayed) == (404, 404, True)
    assert again.text == first.text
    assert not played.player("newcomer").blocked
    assert change(played, "block", key="key-2", path=path).status == 200


def test_members_that_are_not_known_and_order_are_no_other_body(played: Game) -> None:
    change(played, "tokens", {"delta": 1, "reason": "lost"})
    again = change(played, "tokens", {"x": 1, "reason": " lost ", "delta": 1})
    assert (again.status, again.replayed) == (200, True)


def test_an_answer_that_got_lost_is_told_again_and_nothing_is_done_twice(played: Game) -> None:
    played.fails(client_error("InternalServerError"), "transact_write_items", sent=True)
    first = change(played, "tokens")
    played.undisturbed()
    again = change(played, "tokens")

    assert first.status == 503
    assert (again.status, again.replayed) == (200, True)
    assert played.player("bob").tokens == 3
    played.assert_sound()


@pytest.mark.parametrize("what", ["tokens", "block", "reverse", "settings"])
def test_the_same_key_at_the_same_moment_does_it_once(played: Game, desk: Desk, what: str) -> None:
    path = robbed(played)
    others: list[Answer] = []
    played.once_before(
        "transact_write_items", lambda: others.append(change(played, what, path=path))
    )

    late = change(played, what, path=path)

    assert [one.text for one in others] == [late.text]
    assert (others[0].status, late.status, late.replayed) == (200, 200, True)
    assert len(desk.actions()) == 1
    played.assert_sound()


@pytest.mark.parametrize("what", ROUTES)
def test_one_key_at_the_same_moment_for_two_changes_makes_one(
    played: Game, desk: Desk, what: str
) -> None:
    path = robbed(played)
    change(played, "block", key="before", path={"userId": "bob"})
    if what == "block":
        change(played, "unblock", key="before that")
    before = len(desk.actions())
    played.once_before(
        "transact_write_items", lambda: change(played, "tokens", path={"userId": "alice"})
    )

    late = change(played, what, path=path)

    assert (late.status, late.body["error"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert len(desk.actions()) == before + 1


def test_a_refusal_under_a_key_that_another_change_has_just_taken_is_a_mismatch(
    played: Game,
) -> None:
    played.once_before("put_item", lambda: change(played, "tokens"))
    late = change(played, "block", path={"userId": "newcomer"})
    assert (late.status, late.body["error"]) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_heist_meanwhile_does_not_stop_a_grant(played: Game) -> None:
    played.once_before("transact_write_items", lambda: played.give("bob", tokens=1))
    assert change(played, "tokens").body["after"]["tokens"] == 4
    played.assert_sound()


# Dry runs


@pytest.mark.parametrize("what", ROUTES)
def test_a_dry_run_says_what_would_change_and_leaves_no_trace(
    played: Game, desk: Desk, what: str
) -> None:
    path = robbed(played)
    if what == "unblock":
        change(played, "block", key="before")
    before = played.everything()

    dry = change(played, what, {**ROUTES[what][1], "dryRun": True}, key=None, path=path)

    assert played.everything() == before
    done = change(played, what, path=path)
    assert (dry.status, dry.body["actionId"]) == (200, None)
    for name in ("before", "after", "changed"):
        assert dry.body[name] == done.body[name]


def test_a_dry_run_is_refused_as_the_change_would_be(played: Game) -> None:
    path = robbed(played)
    change(played, "reverse", path=path)
    for what, event, status in (
        ("reverse", {"path": path}, 409),
        ("reverse", {}, 404),
        ("block", {"path": {"userId": "nobody"}}, 404),
        ("tokens", {"path": {"userId": "nobody"}}, 404),
    ):
        body = {**ROUTES[what][1], "dryRun": True}
        assert change(played, what, body, key=None, **event).status == status
    no_reason = change(played, "block", {"dryRun": True}, key=None)
    assert no_reason.body["errors"][0]["path"] == ["reason"]


# What is refused before anything is looked at


@pytest.mark.parametrize(
    ("what", "body", "path"),
    [
        ("block", {}, ["reason"]),
        ("block", {"reason": "ab"}, ["reason"]),
        ("block", {"reason": "  ab  "}, ["reason"]),
        ("block", {"reason": "x" * 501}, ["reason"]),
        ("block", {"reason": "two\nlines"}, ["reason"]),
        ("block", {"reason": "\ud800\ud800\ud800"}, ["reason"]),
        ("block", {"reason": "safe \u202e evil"}, ["reason"]),
        ("block", {"reason": None}, ["reason"]),
        ("block", {"reason": 12345}, ["reason"]),
        ("block", {**WHY, "dryRun": "yes"}, ["dryRun"]),
        ("tokens", WHY, ["delta"]),
        *(("tokens", {**WHY, "delta": delta}, ["delta"]) for delta in (0, 6, -1, True, 1.0, "1")),
        ("reverse", {**WHY, "refundToken": 1}, ["refundToken"]),
        ("settings", settings(), ["changes"]),
        ("settings", {**settings(), "changes": []}, ["changes"]),
        ("settings", settings(HEIST_NONE=1), ["changes", "HEIST_NONE"]),
        ("settings", settings(HEIST_ENABLED=None), ["changes"]),
        *(("settings", settings(HEIST_COOLDOWN_HOURS=h), ["changes"]) for h in (1.5, -1, True, "")),
        ("settings", {**WHY, "changes": {"HEIST_ENABLED": False}}, ["expectedVersion"]),
        (
            "settings",
            {**settings(HEIST_ENABLED=False), "expectedVersion": "0"},
            ["expectedVersion"],
        ),
    ],
)
def test_what_is_malformed_names_the_field_and_is_not_remembered(
    played: Game, what: str, body: dict[str, object], path: list[str]
) -> None:
    answer = change(played, what, body)
    assert answer.status == 400, answer
    assert answer.body["errors"][0]["path"] == path
    assert change(played, "block").replayed is False


@pytest.mark.parametrize("key", [None, "", "x" * 129, "ü", "a\tb"])
def test_a_change_needs_a_key(played: Game, key: str | None) -> None:
    answer = change(played, "block", key=key)
    assert (answer.status, answer.body["errors"][0]["path"]) == (400, ["Idempotency-Key"])
    assert not played.player("bob").blocked


@pytest.mark.parametrize("what", ROUTES)
@pytest.mark.parametrize("groups", ["[support]", None])
def test_nobody_but_operators_changes_anything(played: Game, what: str, groups: str | None) -> None:
    before = played.everything()
    for body in (None, {**ROUTES[what][1], "dryRun": True}, "{"):
        answer = change(played, what, body, groups=groups)
        assert (answer.status, answer.body["error"]) == (403, "FORBIDDEN")
    assert played.everything() == before


def test_nothing_new_is_stored_about_somebody_erased(played: Game, desk: Desk) -> None:
    why = ("--reason", "asked for", "--apply")
    desk("erase", "bob", *why)
    before = played.player("bob")
    for what in ("block", "unblock", "tokens"):
        for dry in (True, False):
            answer = change(played, what, {**ROUTES[what][1], "dryRun": dry}, key=what)
            assert (answer.status, answer.body["error"]) == (404, "NOT_FOUND")
    for command in (("block", "bob"), ("unblock", "bob"), ("grant", "bob", "2")):
        with pytest.raises(OperatorError, match="There is no player bob"):
            desk(*command, *why)
    assert played.player("bob") == before


def test_the_command_grants_as_the_route_does(played: Game, desk: Desk) -> None:
    desk("grant", "bob", "2", "--reason", "lost in the move", "--apply")
    assert "nothing was changed" in desk.shown("grant", "bob", "2").lower()
    bob = played.player("bob")
    assert (bob.tokens, bob.tokens_granted) == (3, 2)
    played.assert_sound()
    told = desk("player", "bob")["timeline"]
    assert [one["tokens"] for one in told if one["kind"] == "grant"] == [2]


def test_one_action_grants_once_however_late_its_write_arrives(played: Game) -> None:
    entry = action("grant", "player bob")
    given = TokenGrant(entry.id, "bob", 2, entry.at)
    played.gateway.transact(operator.grant(played.player("bob"), given, entry))

    late = replace(entry, at=entry.at + HOUR)
    with pytest.raises(Contention):
        played.gateway.transact(operator.grant(played.player("bob"), given, late))

    assert played.player("bob").tokens == 3
