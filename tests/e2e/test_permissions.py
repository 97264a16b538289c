"""No role holds more than its function needs: without any one of its grants the function fails.

What the emulator cannot show is listed with the reason in NOT_SEEN_LOCALLY.
"""

import copy
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from heist_core.domain.mail_feedback import MailName
from heist_core.domain.times import season_before, season_of
from heist_core.storage import keys
from heist_core.storage.importing.loading import Loader
from heist_core.storage.importing.pace import Pace
from heist_core.storage.items import heist_item
from heist_core.storage.wire import Item, to_wire
from tests.builders import heist, stream_event, stream_record
from tests.e2e.test_digests import player_with_daily_mail
from tests.e2e.test_importer import old_system
from tests.e2e.test_mail_feedback import told
from tests.e2e.world import (
    Player,
    World,
    address,
    bus_event,
    earned,
    eventually,
    link_in,
    referral,
    unique,
)
from tests.exports import audit_exports
from tests.imports import checked, import_in_parts
from tests.template.processed import Processed, as_list, every_combination
from tests.template.test_template import FUNCTIONS, folder, role_of

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
    """One action on one resource, by where it stands in a policy of the role."""

    function: str
    policy: str
    statement: int
    action: str
    resource: int

    def __str__(self) -> str:
        return f"{self.function}-{self.action}-{self.policy}-{self.statement}.{self.resource}"


def grants() -> Iterator[Grant]:
    """Those of the policies of each role; what all have in it, for logs, is not seen locally."""
    deployed = next(
        each
        for each in every_combination()
        if each.parameters["Stage"] == "local"
        and each.parameters["SenderEmail"]
        and each.parameters["Pages"] == "both"
    )
    for logical_id in sorted(FUNCTIONS - {"ServePagesFunction"}):  # which may only log
        for policy, position, statement in statements(deployed, role_of(logical_id)):
            for action in as_list(statement["Action"]):
                if action not in NOT_SEEN_LOCALLY:
                    for number, resource in enumerate(as_list(statement["Resource"])):
                        grant = Grant(folder(logical_id), policy, position, action, number)
                        closes = grant.function == "keep_leaderboard"
                        if closes or not resource.endswith(OTHER_MONTHS):
                            yield grant


def statements(deployed: Processed, role: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Those of the managed policies of a role, with the policy's logical id and the place."""
    for attached in deployed.resources[role]["Properties"]["ManagedPolicyArns"]:
        policy = attached.removeprefix("${").removesuffix("}")
        document = deployed.resources[policy]["Properties"]["PolicyDocument"]
        for position, statement in enumerate(document["Statement"]):
            yield policy, position, statement


@contextmanager
def without(world: World, grant: Grant) -> Iterator[None]:
    """The function's deployed role, less one grant; put back afterwards."""
    iam = world.client("iam")
    configuration = world.client("lambda").get_function_configuration(
        FunctionName=world.function(grant.function)
    )
    role = configuration["Role"].rpartition("/")[2]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    [arn] = [each["PolicyArn"] for each in attached if f"-{grant.policy}-" in each["PolicyArn"]]
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
    first = keys.inbox_item(player.id, "0000000001")
    eventually(lambda: world.table.get(first), bool)
    world.table.delete(keys.read_count(player.id))
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


def takes(world: World, function: str, source: str, detail_type: str, detail: object) -> bool:
    """An event of its own, and one that it refuses."""
    marker = unique("refused")
    taken = world.invoke(function, bus_event(source, detail_type, detail))
    world.invoke(function, bus_event("x", "x", {"marker": marker}))
    return taken == {"status": "ok"} and refused(world, "EventsDeadLetterQueueUrl", marker)


def refused(world: World, queue: str, marker: str) -> bool:
    return bool(world.dead_letters(queue, marker))


def tokens_are_awarded(world: World) -> bool:
    with world.settings(("award_token",)):  # a fresh instance, which has yet to read the settings
        return takes(world, "award_token", "referrals", "ReferralCompleted", referral(unique()))


def players_are_updated(world: World) -> bool:
    detail = {"userId": unique(), "name": "P"}
    return takes(world, "upsert_player", "users", "UserUpserted", detail)


def points_are_added(world: World) -> bool:
    return takes(world, "add_points", "points", "PointsEarned", earned(unique()))


def made_up_heist(attacker: str) -> Item:
    """The record of a heist that neither stream consumer has seen; nobody won these points."""
    return heist_item(heist(attacker, unique(), unique("heist"), at=datetime.now(UTC)))


def put_owing(world: World, record: Item) -> None:
    """Put a record that the stream's consumers ignore: its marker comes with an update."""
    marker = {name: record[name] for name in ("owed", "owedBucket", "owedSince")}
    rest = {name: value for name, value in record.items() if name not in marker}
    world.table.put({"Item": to_wire(rest)})
    world.table.update(
        {
            "Key": to_wire(keys.key_of(record)),
            "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in marker),
            "ExpressionAttributeValues": to_wire({f":{name}": marker[name] for name in marker}),
        }
    )


DONE = {"batchItemFailures": [], "parked": 0}


def parks(world: World, function: str) -> bool:
    marker = unique("poison")
    answer = world.invoke(function, stream_event(stream_record({"pk": marker, "sk": "HEIST"})))
    return answer == {**DONE, "parked": 1} and refused(world, "NotifierDeadLetterQueueUrl", marker)


def players_are_notified(world: World) -> bool:
    """New, again after a crash before the mail was sent, and with a record that cannot be read."""
    attacker, theirs = unique(), address()
    world.profile(attacker, email=theirs)
    record = made_up_heist(attacker)
    news = stream_event(stream_record(record))
    if world.invoke("notify_players", news) != DONE or len(world.mails_to(theirs)) != 1:
        return False
    notice = world.table.get(keys.notice(keys.key_of(record), attacker)) or {}
    world.table.put({"Item": to_wire({**notice, "mailState": "PENDING"})})
    world.invoke("notify_players", news)
    return len(world.mails_to(theirs)) == 2 and parks(world, "notify_players")


def events_are_published_and_counted(world: World) -> bool:
    """Whatever is not done stays on the marker."""
    record = made_up_heist(unique())
    put_owing(world, record)
    try:
        answer = world.invoke("publish_and_count", stream_event(stream_record(record)))
        left = (world.table.get(keys.key_of(record)) or {})["owed"]
        return answer == DONE and left == {"notices"} and parks(world, "publish_and_count")
    finally:
        world.table.delete(keys.key_of(record))


def owed_things_are_settled(world: World) -> bool:
    attacker, theirs = unique(), address()
    world.profile(attacker, email=theirs)
    owing, poison = made_up_heist(attacker), {**made_up_heist(attacker), "pointsStolen": "five"}
    try:
        put_owing(world, owing)
        put_owing(world, poison)
        swept = world.invoke("sweep_notifications", {"graceSeconds": -60})
        return bool(
            swept.get("waiting") == 0
            and len(world.mails_to(theirs)) == 1
            and refused(world, "NotifierDeadLetterQueueUrl", str(poison["pk"]))
        )
    finally:
        world.table.delete(keys.key_of(owing))
        world.table.delete(keys.key_of(poison))


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
    shown = (f"players/{robber.id}", f"heists/{heist_id}")
    routes = (*shown, "actions", "settings", "dead-letters", "audit")
    return [operator.get(f"/admin/{route}").status for route in routes] == [200] * 6


def operators_change_all_they_may(world: World) -> bool:
    """Each change once, and its repeat; the setting hinders nobody."""
    operator, robber = world.operator(), world.robber()
    heist_id = robber.rob(world.victim())["heistId"]
    version = operator.get("/admin/settings").body["version"]
    changes = {"HEIST_MAX_ROBBERIES_PER_SEASON": 1000}
    settings = {"changes": changes, "expectedVersion": version}
    statuses = []
    for method, path, body in (
        ("POST", f"players/{robber.id}/block", {}),
        ("POST", f"players/{robber.id}/unblock", {}),
        ("POST", f"players/{robber.id}/tokens", {"delta": 1}),
        ("POST", f"heists/{heist_id}/reverse", {}),
        ("PUT", "settings", settings),
    ):
        key, asked = {"Idempotency-Key": unique("key")}, {**body, "reason": "a test"}
        statuses += [operator.send(method, f"/admin/{path}", asked, key).status for _ in range(2)]
    world.table.delete(keys.SETTINGS)
    return statuses == [200] * 10


def point_types_are_seeded(world: World) -> bool:
    handler = type("Handler", (Answers,), {"seen": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        world.invoke("seed_point_types", {"RequestType": "Update", "ResponseURL": url})
        server.shutdown()
    answers = [each["Status"] for each in handler.seen]  # type: ignore[attr-defined]
    return answers == ["SUCCESS"]


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
    theirs = address()
    world.robber().rob(world.victim(email=theirs))
    path = link_in(world.first_mail_to(theirs))
    return [world.call(method, path).status for method in ("GET", "POST")] == [200, 200]


def mails_that_come_back_are_recorded(world: World) -> bool:
    theirs = address()
    victim = world.victim(email=theirs)
    heist_id = world.robber().rob(victim)["heistId"]
    world.first_mail_to(theirs)
    event = told(world, MailName("heist", heist_id, victim), theirs)
    source, detail_type, detail = (event[name] for name in ("source", "detail-type", "detail"))
    if not takes(world, "record_mail_feedback", source, detail_type, detail):
        return False
    notice = world.table.get(keys.notice(keys.heist(heist_id), victim)) or {}
    return bool(notice["mailState"] == "BOUNCED")


def playing(world: World, points: int, tokens: int = 0) -> Player:
    player = world.robber(tokens)
    world.earn(player.id, points)
    return player


def home_is_shown(world: World) -> bool:
    """Also where the board was never counted, and by a player with a place on it."""
    player = with_old_inbox(world)
    world.earn(player.id, 50)
    forget_the_board(world)
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
    player = playing(world, 50)
    forget_the_board(world)
    board, around = player.get("/leaderboard"), player.get("/leaderboard/around")
    unknown = player.get("/leaderboard?season=2020-01")
    return [board.status, around.status, unknown.status] == [200, 200, 404]


def forget_the_board(world: World) -> None:
    """This month's views and curve, which are made where they are missing."""
    curve = keys.board_curve(season_of(datetime.now(UTC)))
    for view in world.table.partition(curve["pk"], "VIEW#"):
        world.table.delete(keys.key_of(view))
    world.table.delete(curve)


def leaderboard_is_kept(world: World) -> bool:
    """Counted, and a month closed and announced; for that the month before needs a player."""
    forget_the_board(world)
    before = season_before(season_of(datetime.now(UTC)))
    index = "odd" if int(before[-2:]) % 2 else "even"
    place = {f"{index}Board": f"BOARD#{before}#0", f"{index}Place": "0" * 11 + "5#0"}
    late = {**keys.player(unique("late")), "version": 1, f"points#{before}": 5, **place}
    world.table.delete(keys.board_final(before))
    world.table.put({"Item": to_wire(late)})
    try:
        answer = world.invoke("keep_leaderboard", {})
        return bool(answer.get("players") is not None and answer.get("closed") == before)
    finally:
        world.table.delete(keys.key_of(late))
        world.table.delete(keys.board_final(before))


def damage_is_found(world: World) -> bool:
    """Scan and export find a suspect, whose state and ledger are then read at one moment."""
    damaged = {**keys.player(unique("damaged")), "version": 1, "points#2026-11": 5}
    world.table.put({"Item": to_wire(damaged)})
    audit_table = partial(world.invoke, "audit_table")
    bucket, s3 = world.resource("AuditBucket"), world.client("s3")
    try:
        scanned = audit_table({})
        with suppress(KeyError):  # of an answer that tells of an error
            in_steps = audit_exports(audit_table, s3, [damaged], [damaged], bucket=bucket)
            return bool(scanned["violations"] and in_steps["violations"])
        return False
    finally:
        world.table.delete(keys.key_of(damaged))


def parts_are_imported(world: World) -> bool:
    """Of every kind, into the table and compared with it."""
    with TemporaryDirectory() as folder:
        old_system(Path(folder), *(unique("imported") for _ in range(4)))
        export = checked(Path(folder), datetime.now(UTC))
    call = partial(world.invoke, "import_part")
    bucket = world.resource("ImportBucket")
    try:
        return import_in_parts(call, world.client("s3"), export, bucket).sums == export.sums()
    finally:  # what a missing grant kept out: others audit this table
        with ThreadPoolExecutor() as pool:
            for _, _, units in export.kinds():
                Loader(world.table, Pace(), pool).load(units)


def digests_are_sent(world: World) -> bool:
    """One of a robbery, and one that was doubtful twice is kept."""
    theirs, doubted = address(), unique("doubted")
    who = player_with_daily_mail(world, theirs).id
    world.robber().rob(who)
    eventually(lambda: world.table.get(keys.digest(who)), bool)
    long_ago = "2026-01-01T00:00:00.000Z"
    doubtful = {
        **keys.digest(doubted),
        **dict.fromkeys(("awaited", "upTo", "version"), 1),
        "mailState": "SENDING",
        "mailAttempts": 2,
        "mailOwner": "nobody",
        "mailLeaseUntil": long_ago,
        "owedBucket": "digest-0",
        "owedSince": long_ago,
    }
    world.table.put({"Item": to_wire(doubtful)})
    answer = world.invoke("send_digests", {})
    kept = keys.unsent_digest(doubted, "0000000001")
    try:
        return bool(
            "failed" not in answer
            and world.table.get(kept)
            and refused(world, "NotifierDeadLetterQueueUrl", doubted)
            and world.mails_to(theirs)
        )
    finally:
        for key in (kept, keys.digest(doubted), keys.digest(who)):
            world.table.delete(key)


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
    "import_part": parts_are_imported,
}


@pytest.fixture(scope="module", autouse=True)
def digests_from_midnight(world: World) -> Iterator[None]:
    with world.settings(("send_digests",), HEIST_DIGEST_HOUR_UTC="0"):
        yield


@pytest.mark.parametrize("function", WORKS)
def test_each_function_does_its_work_under_its_own_role(world: World, function: str) -> None:
    assert WORKS[function](world)


@contextmanager
def stopped_early(world: World, function: str) -> Iterator[None]:
    """After three seconds, in which it does its work; else it waits out what a new role lacks."""
    client, name = world.client("lambda"), world.function(function)
    before = client.get_function_configuration(FunctionName=name)["Timeout"]
    client.update_function_configuration(FunctionName=name, Timeout=3)
    try:
        eventually(lambda: WORKS[function](world), bool)
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Timeout=before)


@pytest.mark.parametrize("grant", list(grants()), ids=str)
def test_no_grant_can_be_taken_away_unnoticed(world: World, grant: Grant) -> None:
    with ExitStack() as prepared:
        if grant.action in READ_ONCE:
            prepared.enter_context(world.settings((grant.function,)))
        if grant.function == "seed_point_types":
            prepared.enter_context(stopped_early(world, grant.function))
        with without(world, grant):
            assert not WORKS[grant.function](world)
