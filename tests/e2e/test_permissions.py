"""No role holds more than its function needs: without any one of its grants the function fails.

What the emulator cannot show is listed with the reason in NOT_SEEN_LOCALLY.
"""

import copy
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from heist_core.domain.digests import slot
from heist_core.domain.mail_feedback import MailName
from heist_core.domain.times import season_before, season_of
from heist_core.use_cases.show_leaderboard import VIEW_LASTS
from tests.e2e.test_mail_feedback import told
from tests.e2e.world import Player, World, eventually, link_in, now_iso, unique
from tests.template.processed import as_list, every_combination
from tests.template.test_template import FUNCTIONS, folder

REPORTS = ("heists-per-day", "token-distribution", "top-robbers")
NOT_SEEN_LOCALLY = {
    "dynamodb:DescribeStream": "the emulator's poller reads the stream without the role",
    "dynamodb:GetRecords": "the emulator's poller reads the stream without the role",
    "dynamodb:GetShardIterator": "the emulator's poller reads the stream without the role",
    "dynamodb:ListStreams": "the emulator's poller reads the stream without the role",
    "sqs:SendMessage (destination)": "the emulator keeps no failed invocation",
}
READ_ONCE = {"secretsmanager:GetSecretValue"}
"""What an instance asks for once, and then has."""
OTHER_MONTHS = "/index/" + ("even" if datetime.now(UTC).month % 2 else "odd")
"""Only what closes boards reads it this month; tests/integration/test_grants.py reads both."""


@dataclass(frozen=True)
class Grant:
    """One action on one resource, by where it stands in the role's policy."""

    function: str
    statement: int
    action: str
    resource: int

    def __str__(self) -> str:
        return f"{self.function}-{self.action}-{self.statement}.{self.resource}"


def grants() -> Iterator[Grant]:
    """Those of the policy of each function's own; what all have, for logs, is not seen locally."""
    deployed = next(
        each
        for each in every_combination()
        if each.parameters["Stage"] == "local" and each.parameters["SenderEmail"]
    )
    for logical_id in sorted(FUNCTIONS - {"ServePagesFunction"}):  # which may only log
        policy = deployed.resources[logical_id.removesuffix("Function") + "Grants"]
        for position, statement in enumerate(policy["Properties"]["PolicyDocument"]["Statement"]):
            for action in as_list(statement["Action"]):
                if action not in NOT_SEEN_LOCALLY:
                    for number, resource in enumerate(as_list(statement["Resource"])):
                        grant = Grant(folder(logical_id), position, action, number)
                        closes = grant.function == "keep_leaderboard"
                        if closes or not resource.endswith(OTHER_MONTHS):
                            yield grant


@contextmanager
def without(world: World, grant: Grant) -> Iterator[None]:
    """The function's deployed role, less one grant; put back afterwards."""
    iam = world.client("iam")
    configuration = world.client("lambda").get_function_configuration(
        FunctionName=world.function(grant.function)
    )
    role = configuration["Role"].rpartition("/")[2]
    [attached] = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    arn = attached["PolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]

    less = copy.deepcopy(policy["Document"])
    statement = less["Statement"][grant.statement]
    resources = as_list(statement["Resource"])
    if len(resources) > 1:
        del resources[grant.resource]
    else:
        statement["Action"] = [
            each for each in as_list(statement["Action"]) if each != grant.action
        ]
    less["Statement"] = [each for each in less["Statement"] if each["Action"]]
    if less["Statement"]:
        iam.put_role_policy(RoleName=role, PolicyName="less", PolicyDocument=json.dumps(less))
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    try:
        yield
    finally:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        if less["Statement"]:
            iam.delete_role_policy(RoleName=role, PolicyName="less")


# What each function is for; True if it did all of it.


def invoke(world: World, function: str, payload: object) -> Any:
    answer = world.client("lambda").invoke(
        FunctionName=world.function(function), Payload=json.dumps(payload).encode()
    )
    content = json.loads(answer["Payload"].read() or b"null")
    return {"failed": content} if answer.get("FunctionError") else content


def holds(probe: Callable[[], object], within: float = 3.0) -> bool:
    try:
        eventually(probe, bool, within=within)
    except AssertionError:
        return False
    return True


def tokens_are_told(world: World) -> bool:
    return world.player().get("/tokens").status == 200


def heists_happen_and_are_refused(world: World) -> bool:
    robber, victim = world.robber(), world.victim()
    return [robber.execute(victim).status, robber.execute(victim).status] == [200, 400]


def targets_are_checked(world: World) -> bool:
    return world.player().can_rob(unique("nobody")).status == 200


def with_old_inbox(world: World) -> Player:
    """One item lies in it, from before there were counts of what was read."""
    player = world.robber()
    client, table = world.client("dynamodb"), world.outputs["TableName"]
    partition = {"S": f"INBOX#{player.id}"}
    first = {"pk": partition, "sk": {"S": "0000000001"}}
    eventually(lambda: client.get_item(TableName=table, Key=first), lambda seen: "Item" in seen)
    client.delete_item(TableName=table, Key={"pk": partition, "sk": {"S": "READ"}})
    return player


def inbox_is_listed(world: World) -> bool:
    return with_old_inbox(world).get("/notifications").status == 200


def unread_are_counted(world: World) -> bool:
    reply = with_old_inbox(world).get("/notifications/count")
    return bool(reply.status == 200 and reply.body == {"unreadCount": 1})


def inbox_is_marked_read(world: World) -> bool:
    player = with_old_inbox(world)
    [notice] = player.inbox(1)
    reply = player.post("/notifications/read", {"upTo": notice["id"]})
    return reply.status == 200 and reply.body["updated"] == 1


def bus_event(source: str, detail_type: str, detail: object) -> dict[str, object]:
    return {"source": source, "detail-type": detail_type, "time": now_iso(), "detail": detail}


def refuses(world: World, function: str) -> bool:
    marker = unique("refused")
    invoke(world, function, bus_event("x", "x", {"marker": marker}))
    return holds(lambda: world.dead_letters("EventsDeadLetterQueueUrl", marker))


def tokens_are_awarded(world: World) -> bool:
    detail = {
        "referralId": "r",
        "referrerUserId": unique("p"),
        "referredUserId": unique("p"),
    }
    with world.settings(("award_token",)):  # a fresh instance, which has yet to read the settings
        answer = invoke(world, "award_token", bus_event("referrals", "ReferralCompleted", detail))
    return bool(answer == {"status": "ok"} and refuses(world, "award_token"))


def players_are_updated(world: World) -> bool:
    event = bus_event("users", "UserUpserted", {"userId": unique("p"), "name": "P"})
    answer = invoke(world, "upsert_player", event)
    return bool(answer == {"status": "ok"} and refuses(world, "upsert_player"))


def points_are_added(world: World) -> bool:
    detail = {
        "eventId": unique("e"),
        "userId": unique("p"),
        "points": 1,
        "pointEventType": "QUIZ",
    }
    answer = invoke(world, "add_points", bus_event("points", "PointsEarned", detail))
    return bool(answer == {"status": "ok"} and refuses(world, "add_points"))


def heist_image(attacker: str, victim: str) -> dict[str, dict[str, object]]:
    """A heist record that neither stream consumer has seen."""
    heist_id, at = unique("heist"), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    texts = {
        "pk": f"HEIST#{heist_id}",
        "sk": "HEIST",
        "heistId": heist_id,
        "attackerId": attacker,
        "victimId": victim,
        "status": "SUCCESS",
        "createdAt": at,
        "season": at[:7],
        "cooldownEndsAt": at,
        "owedBucket": "0",
        "owedSince": at,
    }
    numbers = {
        "pointsStolen": 5,
        "attackerPointsBefore": 0,
        "attackerPointsAfter": 5,
        "victimPointsBefore": 100,
        "victimPointsAfter": 95,
        "tokensLeft": 0,
    }
    return {
        **{name: {"S": value} for name, value in texts.items()},
        **{name: {"N": str(value)} for name, value in numbers.items()},
        "owed": {"SS": ["notices", "event", "statistics"]},
    }


def put_owing(world: World, image: dict[str, dict[str, object]]) -> None:
    """Put a record that the stream's consumers ignore: its marker comes with an update."""
    marker = {name: image[name] for name in ("owed", "owedBucket", "owedSince")}
    client, table = world.client("dynamodb"), world.outputs["TableName"]
    client.put_item(
        TableName=table,
        Item={name: value for name, value in image.items() if name not in marker},
    )
    client.update_item(
        TableName=table,
        Key={"pk": image["pk"], "sk": image["sk"]},
        UpdateExpression="SET owed = :owed, owedBucket = :owedBucket, owedSince = :owedSince",
        ExpressionAttributeValues={f":{name}": value for name, value in marker.items()},
    )


def records(*images: object) -> dict[str, object]:
    return {
        "Records": [
            {"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": "1"}}
            for image in images
        ]
    }


def parks(world: World, function: str) -> bool:
    marker = unique("poison")
    answer = invoke(world, function, records({"pk": {"S": marker}}))
    return bool(
        answer == {"batchItemFailures": [], "parked": 1}
        and holds(lambda: world.dead_letters("NotifierDeadLetterQueueUrl", marker))
    )


def players_are_notified(world: World) -> bool:
    """New, again after a crash before the mail was sent, and with a record that cannot be read."""
    attacker, address = unique("p"), f"{unique('mail')}@example.com"
    world.profile(attacker, email=address)
    image = heist_image(attacker, unique("p"))
    first = invoke(world, "notify_players", records(image))
    if first != {"batchItemFailures": [], "parked": 0} or len(world.mails_to(address)) != 1:
        return False
    world.client("dynamodb").update_item(
        TableName=world.outputs["TableName"],
        Key={"pk": image["pk"], "sk": {"S": f"NOTICE#{attacker}"}},
        UpdateExpression="SET mailState = :pending",
        ExpressionAttributeValues={":pending": {"S": "PENDING"}},
    )
    invoke(world, "notify_players", records(image))
    return len(world.mails_to(address)) == 2 and parks(world, "notify_players")


def events_are_published_and_counted(world: World) -> bool:
    """Whatever is not done stays on the marker."""
    image = heist_image(unique("p"), unique("p"))
    client, table = world.client("dynamodb"), world.outputs["TableName"]
    key = {"pk": image["pk"], "sk": image["sk"]}
    put_owing(world, image)
    try:
        answer = invoke(world, "publish_and_count", records(image))
        left = client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]["owed"]
        return bool(
            answer == {"batchItemFailures": [], "parked": 0}
            and left == {"SS": ["notices"]}
            and parks(world, "publish_and_count")
        )
    finally:
        client.delete_item(TableName=table, Key=key)  # made up: nobody won these points


def owed_things_are_settled(world: World) -> bool:
    attacker, address = unique("p"), f"{unique('mail')}@example.com"
    world.profile(attacker, email=address)
    owing = heist_image(attacker, unique("p"))
    poison = heist_image(attacker, unique("p"))
    poison["pointsStolen"] = {"S": "five"}
    try:
        put_owing(world, owing)
        put_owing(world, poison)
        swept = invoke(world, "sweep_notifications", {"graceSeconds": -60})
        return bool(
            swept.get("waiting") == 0
            and len(world.mails_to(address)) == 1
            and holds(
                lambda: world.dead_letters("NotifierDeadLetterQueueUrl", str(poison["pk"]["S"]))
            )
        )
    finally:
        for image in (owing, poison):  # made up: no player lost or won these points
            world.client("dynamodb").delete_item(
                TableName=world.outputs["TableName"], Key={"pk": image["pk"], "sk": image["sk"]}
            )


class Answers(BaseHTTPRequestHandler):
    """Where CloudFormation would listen."""

    seen: list[Any]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def reports_are_shown(world: World) -> bool:
    operator = world.operator()
    return [operator.get(f"/admin/stats/{name}").status for name in REPORTS] == [200] * 3


def operators_are_shown_all(world: World) -> bool:
    """A player with refusals and referrals, their heist, and what the game as a whole has."""
    operator, robber = world.operator(), world.robber()
    heist_id = robber.rob(world.victim())["heistId"]
    robber.execute(unique("nobody"), unique("key"))
    sqs = world.client("sqs")
    for queue in ("EventsDeadLetterQueueUrl", "NotifierDeadLetterQueueUrl"):
        sqs.send_message(QueueUrl=world.outputs[queue], MessageBody='{"reason": "x", "event": {}}')
    story = operator.get(f"/admin/players/{robber.id}")
    routes = (f"heists/{heist_id}", "actions", "settings", "dead-letters", "audit")
    replies = [story, *(operator.get(f"/admin/{route}") for route in routes)]
    return [reply.status for reply in replies] == [200] * 6


def operators_change_all_they_may(world: World) -> bool:
    """Each change once, and its repeat; the setting hinders nobody, whichever it is."""
    operator, robber = world.operator(), world.robber()
    heist_id = robber.rob(world.victim())["heistId"]
    seen = operator.get("/admin/settings").body
    now = {each["name"]: each["value"] for each in seen["settings"]}
    changes = {"HEIST_MAX_ROBBERIES_PER_SEASON": 1000 - now["HEIST_MAX_ROBBERIES_PER_SEASON"]}
    settings = {"changes": changes, "expectedVersion": seen["version"]}
    statuses = []
    for path, body in (
        (f"players/{robber.id}/block", {}),
        (f"players/{robber.id}/unblock", {}),
        (f"players/{robber.id}/tokens", {"delta": 1}),
        (f"heists/{heist_id}/reverse", {}),
        ("settings", settings),
    ):
        call = operator.put if path == "settings" else operator.post
        key = {"Idempotency-Key": unique("key")}
        asked = {**body, "reason": "a test"}
        statuses += [call(f"/admin/{path}", asked, key).status for _ in range(2)]
    return statuses == [200] * 10


def point_types_are_seeded(world: World) -> bool:
    handler = type("Handler", (Answers,), {"seen": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        invoke(world, "seed_point_types", {"RequestType": "Update", "ResponseURL": url})
        server.shutdown()
    [answer] = handler.seen  # type: ignore[attr-defined]
    return bool(answer["Status"] == "SUCCESS")


def history_is_listed(world: World) -> bool:
    """A page, and one heist of it."""
    robber = world.robber()
    heist_id = robber.rob(world.victim())["heistId"]
    page, one = robber.get("/heists"), robber.get(f"/heists/{heist_id}")
    return bool(
        (page.status, one.status) == (200, 200)
        and [each["heistId"] for each in page.body["heists"]] == [heist_id]
        and one.body == page.body["heists"][0]
    )


def preferences_are_kept(world: World) -> bool:
    player = world.player()
    put = player.put("/preferences", {"passive": True, "email": {"token": "daily"}})
    return bool(put.status == 200 and player.get("/preferences").body == put.body)


def mails_are_ended(world: World) -> bool:
    address = f"{unique('mail')}@example.com"
    world.robber().rob(world.victim(email=address))
    path = link_in(world.first_mail_to(address))
    return [world.call(method, path).status for method in ("GET", "POST")] == [200, 200]


def mails_that_come_back_are_recorded(world: World) -> bool:
    address = f"{unique('mail')}@example.com"
    victim = world.victim(email=address)
    heist_id = world.robber().rob(victim)["heistId"]
    world.first_mail_to(address)
    event = told(world, MailName("heist", heist_id, victim), address)
    answer = invoke(world, "record_mail_feedback", event)
    client, table = world.client("dynamodb"), world.outputs["TableName"]
    key = {"pk": {"S": f"HEIST#{heist_id}"}, "sk": {"S": f"NOTICE#{victim}"}}
    notice = client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    recorded = answer == {"status": "ok"} and notice["mailState"] == {"S": "BOUNCED"}
    return bool(recorded and refuses(world, "record_mail_feedback"))


def playing(world: World, points: int, tokens: int = 0) -> Player:
    player = world.robber(tokens)
    world.earn(player.id, points)
    return player


def home_is_shown(world: World) -> bool:
    """Also where the board was never counted, and by a player with a place on it."""
    player = with_old_inbox(world)
    world.earn(player.id, 50)
    forget_the_curve(world)
    reply = player.get("/me")
    return bool(reply.status == 200 and reply.body["rank"] and reply.body["unreadCount"] == 1)


def targets_are_listed(world: World) -> bool:
    """The robber of one's own among them."""
    victim, robber = playing(world, 500, tokens=1), playing(world, 100, tokens=1)
    robber.rob(victim.id)
    reply = victim.get("/targets")
    return bool(reply.status == 200 and reply.body["targets"][0]["userId"] == robber.id)


def leaderboard_is_shown(world: World) -> bool:
    """A view that has to be taken, and a month that is not there."""
    forget_the_curve(world)
    player = playing(world, 50)
    time.sleep(VIEW_LASTS.total_seconds())
    board, around = player.get("/leaderboard"), player.get("/leaderboard/around")
    unknown = player.get("/leaderboard?season=2020-01")
    return [board.status, around.status, unknown.status] == [200, 200, 404]


def forget_the_curve(world: World) -> None:
    season = season_of(datetime.now(UTC))
    key = {"pk": {"S": f"BOARD#{season}"}, "sk": {"S": "CURVE"}}
    world.client("dynamodb").delete_item(TableName=world.outputs["TableName"], Key=key)


def leaderboard_is_kept(world: World) -> bool:
    """Counted, and a month closed and announced; for that the month before needs a player."""
    forget_the_curve(world)
    client, table = world.client("dynamodb"), world.outputs["TableName"]
    before = season_before(season_of(datetime.now(UTC)))
    index = "odd" if int(before[-2:]) % 2 else "even"
    player = {"pk": {"S": f"PLAYER#{unique('late')}"}, "sk": {"S": "STATE"}}
    final = {"pk": {"S": f"BOARD#{before}"}, "sk": {"S": "FINAL"}}
    place = {f"{index}Board": {"S": f"BOARD#{before}#0"}, f"{index}Place": {"S": "0" * 11 + "5#0"}}
    points = {"version": {"N": "1"}, f"points#{before}": {"N": "5"}}
    client.delete_item(TableName=table, Key=final)
    client.put_item(TableName=table, Item={**player, **place, **points})
    try:
        answer = invoke(world, "keep_leaderboard", {})
        return bool(answer.get("players") is not None and answer.get("closed") == before)
    finally:
        client.delete_item(TableName=table, Key=player)
        client.delete_item(TableName=table, Key=final)


def damage_is_found(world: World) -> bool:
    """Scan finds a suspect, whose state and ledger are then read at one moment."""
    table, damaged = world.outputs["TableName"], unique("damaged")
    key = {"pk": {"S": f"PLAYER#{damaged}"}, "sk": {"S": "STATE"}}
    client = world.client("dynamodb")
    client.put_item(
        TableName=table, Item={**key, "version": {"N": "1"}, "points#2026-11": {"N": "5"}}
    )
    try:
        return bool(invoke(world, "audit_table", {}).get("violations", 0) > 0)
    finally:
        client.delete_item(TableName=table, Key=key)


def digests_are_sent(world: World) -> bool:
    """One of a robbery, and one that was doubtful twice is kept."""
    now = datetime.now(UTC)
    table, client = world.outputs["TableName"], world.client("dynamodb")
    ids = (unique("victim") for _ in itertools.count())
    who = next(one for one in ids if slot(one, now.date()) < now)
    address, doubted = f"{unique('mail')}@example.com", unique("doubted")
    world.victim(email=address, player_id=who)
    with world.settings(("notify_players",), HEIST_EMAIL_DEFAULT="daily"):
        world.robber(tokens=1).rob(who)
        head = {"pk": {"S": f"DIGEST#{who}"}, "sk": {"S": "NEXT"}}
        eventually(lambda: client.get_item(TableName=table, Key=head).get("Item"), bool)
    long_ago = {"S": "2026-01-01T00:00:00.000Z"}
    client.put_item(
        TableName=table,
        Item={
            "pk": {"S": f"DIGEST#{doubted}"},
            "sk": {"S": "NEXT"},
            **{name: {"N": "1"} for name in ("awaited", "upTo", "version")},
            "mailState": {"S": "SENDING"},
            "mailAttempts": {"N": "2"},
            "mailOwner": {"S": "nobody"},
            "mailLeaseUntil": long_ago,
            "owedBucket": {"S": "digest-0"},
            "owedSince": long_ago,
        },
    )
    with world.settings(("send_digests",), HEIST_DIGEST_HOUR_UTC="0"):
        answer = invoke(world, "send_digests", {})
    kept = {"pk": {"S": f"DIGEST#{doubted}"}, "sk": {"S": "UNSENT#0000000001"}}
    try:
        parked = client.get_item(TableName=table, Key=kept).get("Item")
        letters = world.dead_letters("NotifierDeadLetterQueueUrl", doubted)
        return bool("failed" not in answer and parked and letters and world.mails_to(address))
    finally:
        for key in (kept, {**kept, "sk": {"S": "NEXT"}}, head):
            client.delete_item(TableName=table, Key=key)


WORKS: dict[str, Callable[[World], bool]] = {
    "get_tokens": tokens_are_told,
    "execute_heist": heists_happen_and_are_refused,
    "check_target": targets_are_checked,
    "list_notifications": inbox_is_listed,
    "mark_notifications_read": inbox_is_marked_read,
    "count_unread": unread_are_counted,
    "list_heists": history_is_listed,
    "show_player": home_is_shown,
    "list_targets": targets_are_listed,
    "show_leaderboard": leaderboard_is_shown,
    "keep_leaderboard": leaderboard_is_kept,
    "manage_preferences": preferences_are_kept,
    "unsubscribe": mails_are_ended,
    "record_mail_feedback": mails_that_come_back_are_recorded,
    "award_token": tokens_are_awarded,
    "upsert_player": players_are_updated,
    "add_points": points_are_added,
    "notify_players": players_are_notified,
    "publish_and_count": events_are_published_and_counted,
    "show_statistics": reports_are_shown,
    "read_admin": operators_are_shown_all,
    "change_admin": operators_change_all_they_may,
    "sweep_notifications": owed_things_are_settled,
    "send_digests": digests_are_sent,
    "seed_point_types": point_types_are_seeded,
    "audit_table": damage_is_found,
}


@pytest.mark.parametrize("function", WORKS)
def test_each_function_does_its_work_under_its_own_role(world: World, function: str) -> None:
    assert WORKS[function](world)


@pytest.mark.parametrize("grant", list(grants()), ids=str)
def test_no_grant_can_be_taken_away_unnoticed(world: World, grant: Grant) -> None:
    fresh = world.settings((grant.function,)) if grant.action in READ_ONCE else nullcontext()
    with without(world, grant), fresh:
        assert not WORKS[grant.function](world)
