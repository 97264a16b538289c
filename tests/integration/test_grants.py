"""What each role allows, beside what its function asks for: nothing is granted that no call needs.

That nothing is denied that a call needs, every test of this folder shows: the guard of
tests/policies.py stands before each client.
"""

import io
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from heist_core.domain.mail_feedback import MailName, tags_of
from heist_core.domain.notices import notices_of
from heist_core.storage import inbox_items, keys
from tests.builders import Event, api_event, award, sample, stream_event
from tests.fakes import EVENTS, NOTIFIER, client_error
from tests.imports import checked
from tests.integration.game import FUNCTIONS, Answer, Crowd, Game
from tests.integration.stream import Stream
from tests.old_system import play
from tests.policies import KEYS, TABLE, Access, AccessDeniedError, Use, role_of, statements

# Asked for by Lambda itself, not by the function's code.
BY_LAMBDA = (
    *("logs:", "xray:", "dynamodb:DescribeStream", "dynamodb:GetRecords"),
    *("dynamodb:GetShardIterator", "dynamodb:ListStreams"),
)
POISON = {
    "eventName": "INSERT",
    "dynamodb": {"NewImage": {"pk": {"S": "x"}}, "SequenceNumber": "9"},
}


def to_be_changed(game: Game, route: str, path: dict[str, str], **body: object) -> Answer:
    event = api_event("change_admin", body={"reason": "a test", **body}, path=path)
    event["headers"]["idempotency-key"] = f"{route} {path}"
    event["routeKey"] = f"{'PUT' if route == 'settings' else 'POST'} /api/heist/admin/{route}"
    return game.request("change_admin", event)


def to_be_shown(route: str, path: dict[str, str]) -> Event:
    return {
        **sample("read_admin"),
        "routeKey": f"GET /api/heist/admin/{route}",
        "pathParameters": path,
    }


def every_function_does_all_it_can(game: Game, folder: Path) -> None:
    export = checked(play(seed=7, players=10).write(folder), game.time())
    assert game.import_in_parts(export).sums == export.sums()
    held = sample("award_token")
    held["detail"] = {**held["detail"], "referredUserId": "late"}
    game.set_settings(HEIST_AWARDS_ENABLED=False)
    game.call("award_token", held)
    game.set_settings(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    for player in ("alice", "bob"):
        game.give(player, points=900, tokens=4, email=f"{player}@example.com")
    game.settings_are_due()
    for name in ("award_token", "upsert_player", "add_points", "record_mail_feedback"):
        game.call(name, sample(name))
        game.call(name, {**sample(name), "detail": {}})
    game.call("seed_point_types", sample("seed_point_types"))
    game.call("get_tokens", sample("get_tokens"))
    game.settings_are_due()
    game.call("check_target", sample("check_target"))

    stream = Stream(game)
    for round_of_two in range(2):  # told by the stream, then by the sweeper
        game.restart()
        won = game.rob("alice", "bob", f"key-{round_of_two}")
        assert won.status == 200, won
        game.rob("alice", "nobody")
        game.reverse(won.body["heistId"])
        game.give("alice", tokens=2)
        records = stream.poll()
        if round_of_two == 0:
            for _ in range(2):
                game.settings_are_due()
                for name in ("notify_players", "publish_and_count"):
                    game.call(name, stream_event(*records, POISON))
    game.once_before("query", game.settings_are_due)  # a run is long enough to read them twice
    game.sweep()
    heist_id = won.body["heistId"]
    history = api_event("list_heists", path={"heistId": heist_id})
    for route in ("/api/heist/heists", "/api/heist/heists/{heistId}"):
        assert game.request("list_heists", {**history, "routeKey": f"GET {route}"}).status == 200
    game.settings_are_due()
    for route in ("GET", "PUT"):
        chosen = {**sample("manage_preferences"), "routeKey": f"{route} /api/heist/preferences"}
        assert game.request("manage_preferences", chosen).status == 200
    link = sample("unsubscribe")
    link["pathParameters"] = {"token": game.links.to("alice", "robbed").rpartition("/")[2]}
    game.restart(HEIST_COOLDOWN_HOURS=0, HEIST_TARGET_COOLDOWN_HOURS=0)
    assert game.call("unsubscribe", link)["statusCode"] == 200
    (friend, *_) = (
        keys.id_of(item)
        for item in game.everything()
        if str(item["sk"]) == "NOTICE#alice" and str(item["pk"]).startswith("REFERRAL#")
    )
    for about, subject in (("heist", heist_id), ("referral", friend)):
        bounced = sample("record_mail_feedback")
        tags = tags_of(MailName(about, subject, "alice"))
        game.change(keys.notice(keys.SUBJECTS[about](subject), "alice"), {"mailState": "SENT"})
        bounced["detail"]["mail"] |= {
            "destination": ["alice@example.com"],
            "tags": {name: [value] for name, value in tags.items()},
        }
        assert game.call("record_mail_feedback", bounced) == {"status": "ok"}
    poisoned = game.stored(keys.heist(heist_id))
    game.put(
        {
            **poisoned,
            "pointsStolen": "many",
            "owed": {"notices"},
            "owedBucket": "0",
            "owedSince": poisoned["createdAt"],
        }
    )
    game.sweep()

    digests_are_sent(game)

    for event in ({}, {"unreadOnly": "true"}):
        listed = game.request("list_notifications", api_event("list_notifications", query=event))
    (newest, *_) = listed.body["notifications"]
    for body in ({"upTo": newest["id"]}, {"notificationIds": [newest["id"]]}):
        game.request("mark_notifications_read", api_event("mark_notifications_read", body=body))
    old = inbox_items.inbox_item(1, "0a1b2c3d", notices_of(award("veteran"))[0])
    game.put({**old, "expiresAt": int(game.time().timestamp()) + 60})
    for route in ("count_unread", "show_player", "mark_notifications_read", "count_unread"):
        assert game.request(route, api_event(route, "veteran")).status == 200
    for report in ("heists-per-day", "token-distribution", "top-robbers"):
        asked = sample("show_statistics")
        asked["routeKey"] = f"GET /api/heist/admin/stats/{report}"
        assert game.request("show_statistics", asked).status == 200
    game.call("audit_table", sample("audit_table"))
    game.audit_exports(*[game.everything()] * 2)
    for queue in (EVENTS, NOTIFIER):
        game.queues.put({"what": "ever"}, queue)
    game.put(poisoned)
    path = {"userId": "alice", "heistId": heist_id}
    for what in ("block", "unblock"):
        assert to_be_changed(game, f"players/{{userId}}/{what}", path).body["changed"]
    for who in ("alice", "bob"):  # counted by the stream, and by the sweeper
        given = {**path, "userId": who}
        assert to_be_changed(game, "players/{userId}/tokens", given, delta=1).status == 200
        counted = stream_event(*stream.poll() if who == "alice" else ())
        done = {"batchItemFailures": [], "parked": 0}
        assert game.call("publish_and_count", counted) == done
    game.sweep()
    game.time.pass_(hours=1)
    again = game.rob("alice", "bob", "to-be-reversed")
    assert again.status == 200, again
    undone = {"userId": "alice", "heistId": again.body["heistId"]}
    assert to_be_changed(game, "heists/{heistId}/reverse", undone).status == 200
    version = to_be_shown("settings", path)
    seen = game.request("read_admin", version).body["version"]
    new = {"changes": {"HEIST_MIN_TARGET_POINTS": 1}, "expectedVersion": seen}
    assert to_be_changed(game, "settings", path, **new).body["changed"]
    for shown in ("players/{userId}", "heists/{heistId}", "actions", "settings", "dead-letters"):
        assert game.request("read_admin", to_be_shown(shown, path)).status == 200
    assert game.request("read_admin", to_be_shown("audit", path)).status == 200
    for _ in range(2):  # of an odd month, and of an even one in which that is closed
        for name in ("show_player", "list_targets", "show_leaderboard"):
            game.settings_are_due()
            assert game.request(name, api_event(name, "bob")).status == 200
        game.call("keep_leaderboard", sample("keep_leaderboard"))
        game.time.pass_(days=9)
        game.give("alice", points=100, tokens=1)
        game.give("bob", points=100)
    closed = api_event("show_leaderboard", query={"season": "2026-11"})
    assert game.request("show_leaderboard", closed).body["final"]

    game.change(keys.player("alice"), {"tokens": 99})
    assert game.call("audit_table", sample("audit_table"))["violations"]


def digests_are_sent(game: Game) -> None:
    """Of a heist and a token, told by the stream and by the sweeper; one that SES refuses."""
    game.give("daisy", points=900, email="daisy@example.com")
    body = {"email": {"robbed": "daily", "token": "daily"}}
    game.request("manage_preferences", api_event("manage_preferences", "daisy", body=body))
    stream = Stream(game)
    stream.poll()
    game.give("daisy", tokens=1)
    game.call("notify_players", stream_event(*stream.poll()))
    assert game.rob("alice", "daisy", "key-daisy").status == 200
    game.sweep()
    game.settings_are_due()
    game.once_before("query", game.settings_are_due, skip=4)  # a run may read them twice
    assert game.call("send_digests", sample("send_digests"))["sent"] == 1
    game.time.pass_(days=1)
    game.give("daisy", tokens=1)
    game.sweep()
    game.ses.fails(client_error("MessageRejected"))
    game.call("send_digests", sample("send_digests"))
    letter = game.notifier_queue.letters[-1]
    assert game.call("send_digests", {"resend": letter}) == {"settled": True}


def granted(folder: str) -> Iterator[Use]:
    role = role_of(folder)
    for statement in statements(role):
        yield from (use for use in statement.grants(role) if not use.action.startswith(BY_LAMBDA))


@pytest.mark.parametrize("engine", ["moto"], indirect=True)
def test_nothing_is_granted_that_no_call_needs(
    game: Game, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO())
    every_function_does_all_it_can(game, tmp_path)
    unused = {use for folder in FUNCTIONS for use in granted(folder)} - game.guard.used
    assert unused == set()


@pytest.mark.parametrize("engine", ["moto"], indirect=True)
def test_threads_of_a_function_are_held_to_its_role(game: Game) -> None:
    with Crowd(1) as threads, game.guard.calling("get_tokens"):
        assert threads.submit(game.player, "alice").result().id == "alice"
        with pytest.raises(AccessDeniedError):
            threads.submit(game.give, "alice", points=1).result()


@pytest.mark.parametrize("folder", FUNCTIONS)
@pytest.mark.parametrize(
    ("action", "pk"),
    [
        ("PutItem", "ACTIONS#2026-11"),
        ("UpdateItem", "ACTIONS#2026-11"),
        ("PutItem", "PLAYER#mallory"),
        ("PutItem", "SETTINGS"),
        ("UpdateItem", "SETTINGS"),
        ("UpdateItem", "LEDGER#mallory"),
    ],
)
def test_no_function_may_write_what_only_operators_or_conditions_may(
    folder: str, action: str, pk: str
) -> None:
    """One function adds to the log and to the settings; it alone, and by nothing but a put."""
    access = Access(f"dynamodb:{action}", TABLE, {KEYS: [pk]})
    role = role_of(folder)
    uses = [use for one in statements(role) for use in one.uses(role, access)]
    its_own = ("ACTIONS#2026-11", "SETTINGS")
    may = folder == "change_admin" and action == "PutItem" and pk in its_own
    assert bool(uses) == may
