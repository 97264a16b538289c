"""The deployed stack as its users see it: HTTP, the event bus, Cognito, mailbox and queues.

Every answer of the API is checked against docs/openapi.yaml as it comes in, so each test is also a
test of the contract's statuses, headers and bodies.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests
import schemathesis
import urllib3
from botocore.config import Config
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response

from heist_core.storage.table import Table
from local.deployment import session
from local.emulator import ACCOUNT, REGION
from local.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from local.stack import Stack

T = TypeVar("T")
R = TypeVar("R")

BASE_PATH = "/api/heist"
CHECKS_BEFORE_A_NEW_SCOUT = 25


def eventually(
    probe: Callable[[], T],
    accept: Callable[[T], object],
    within: float = 180.0,
    pause: float = 0.05,
) -> T:
    """The first answer of `probe` that `accept` takes; fails with the last one when late."""
    deadline = time.monotonic() + within
    while True:
        answer = probe()
        if accept(answer):
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s; last seen: {answer!r}")
        time.sleep(pause)
        pause = max(pause, min(pause * 1.3, 0.5))


def referral(referrer: object, referred: object = None) -> dict[str, object]:
    """A completed referral; of a new player, unless `referred` is given."""
    return {
        "referralId": unique("r"),
        "referrerUserId": referrer,
        "referredUserId": referred or unique("new"),
    }


def earned(player_id: object, points: object = 100) -> dict[str, object]:
    """Points earned, with an event id of their own."""
    return {
        "eventId": unique("e"),
        "userId": player_id,
        "points": points,
        "pointEventType": "TEST_POINTS",
    }


def bus_event(source: str, detail_type: str, detail: object) -> dict[str, object]:
    """An event as a function gets it from the bus."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "source": source,
        "detail-type": detail_type,
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def in_parallel(call: Callable[[T], R], arguments: Iterable[T], at_once: int = 20) -> list[R]:
    """`call` on every argument, `at_once` at a time; answers in the order of the arguments."""
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        return list(pool.map(call, arguments))


def unique(prefix: str = "p") -> str:
    """An id that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:20]}"


def address() -> str:
    """An e-mail address that no other test uses."""
    return f"{unique('mail')}@example.com"


def link_in(mail: Mapping[str, Any]) -> str:
    """Where a mail is ended, as a path below the base path; its text and HTML say the same."""
    [link] = re.findall(r"https?://\S+", mail["BodyText"])
    assert f'href="{link}"' in mail["BodyHtml"]
    return str(link).partition(BASE_PATH)[2]


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str | None:
        """The refusal's code, where the body has one."""
        body = self.body
        return body.get("code") if isinstance(body, dict) else None

    @property
    def replayed(self) -> bool:
        return self.headers.get("idempotent-replay") == "true"


class Contract:
    """docs/openapi.yaml, as a judge of answers."""

    def __init__(self) -> None:
        self._schema = schemathesis.openapi.from_path(ROOT / "docs" / "openapi.yaml")

    def check(self, method: str, path: str, reply: Reply) -> None:
        """Raises AssertionError unless the document allows this answer to this request: its status,
        its media type, its required headers and its body."""
        operation = self._schema.find_operation_by_path(method, path.partition("?")[0])
        if operation is None:
            return
        where = f"{method} {operation.path} -> {reply.status} {reply.content[:500]!r}"
        headers = {name: [value] for name, value in reply.headers.items()}
        asked = requests.Request(method, "http://localhost").prepare()
        answer = Response(reply.status, headers, reply.content, asked, elapsed=0, verify=True)
        assert operation.responses.find_by_status_code(reply.status), f"undocumented: {where}"
        [media_type] = self._schema.get_content_types(operation, answer)
        assert reply.headers.get("content-type", "").startswith(media_type), where
        try:
            operation.validate_response(answer)
        except FailureGroup as failures:
            raise AssertionError(f"{where}: {failures.exceptions}") from None


@dataclass
class Player:
    """A caller with an account in the stack's user pool."""

    world: World = field(repr=False)
    id: str
    token: str = field(repr=False)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """`path` is what follows the base path."""
        return self.world.call(
            method, path, body, {"Authorization": f"Bearer {self.token}", **(headers or {})}
        )

    def get(self, path: str) -> Reply:
        return self.call("GET", path)

    def send(
        self, method: str, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """`body` as JSON."""
        json_body = {"Content-Type": "application/json", **(headers or {})}
        return self.call(method, path, json.dumps(body).encode(), json_body)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Reply:
        return self.send("POST", path, body, headers)

    def put(self, path: str, body: object) -> Reply:
        return self.send("PUT", path, body)

    def execute(self, target: object, key: str | None = None) -> Reply:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.post("/execute", {"targetUserId": target}, headers)

    def rob(self, target: str) -> Any:
        """The body of a heist that has to succeed."""
        reply = self.execute(target, key=uuid.uuid4().hex)
        assert reply.status == 200, reply
        return reply.body

    def can_rob(self, target: str) -> Reply:
        return self.get(f"/can-rob/{quote(target, safe='')}")

    def tokens(self) -> Any:
        reply = self.get("/tokens")
        assert reply.status == 200, reply
        return reply.body

    def notifications(self, **query: object) -> Any:
        reply = self.get("/notifications" + (f"?{urlencode(query)}" if query else ""))
        assert reply.status == 200, reply
        return reply.body

    def mark_read(self, body: object) -> Any:
        reply = self.post("/notifications/read", body)
        assert reply.status == 200, reply
        return reply.body

    def inbox(self, count: int, **query: object) -> list[Any]:
        """The inbox, once it holds `count` notifications."""
        page = eventually(
            lambda: self.notifications(**query), lambda seen: len(seen["notifications"]) >= count
        )
        assert len(page["notifications"]) == count, page
        notifications: list[Any] = page["notifications"]
        return notifications


class World:
    """A stack as its users see it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.outputs = asdict(stack.outputs)
        api = urlsplit(stack.outputs.ApiUrl)
        assert api.hostname is not None
        self._host, self._port, self._prefix = api.hostname, api.port or 80, api.path.rstrip("/")
        self.contract = Contract()
        self._scout: Player | None = None
        self._scout_checks = 0
        self._functions: list[str] = []
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's AWS, which many threads may use at once."""
        if service not in self._clients:
            make: Any = session().client  # its stubs want the service as a literal
            self._clients[service] = make(
                service,
                endpoint_url=self.outputs["Endpoint"],
                config=Config(
                    max_pool_connections=50,
                    read_timeout=60,
                    retries={"max_attempts": 1, "mode": "standard"},
                ),
            )
        return self._clients[service]

    @cached_property
    def table(self) -> Table:
        """The stack's table, for what nobody can be asked for or brought about from outside."""
        return Table(self.client("dynamodb"), self.outputs["TableName"])

    # HTTP

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request, sent as it is: nothing is normalised on the way."""
        connection = HTTPConnection(self._host, self._port, timeout=90)
        try:
            connection.request(method, self._prefix + BASE_PATH + path, body, dict(headers or {}))
            response = connection.getresponse()
            reply = Reply(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()
        self.contract.check(method, BASE_PATH + path, reply)
        return reply

    # Players

    def player(self) -> Player:
        """A new account, of whom the game has never heard."""
        return self.sign_up(unique("e2e"))

    def sign_up(self, username: str) -> Player:
        return Player(self, self.stack.sign_up(username), self.stack.token(username))

    def operator(self, *groups: str) -> Player:
        """A new account in these groups, by default in that of operators."""
        username = unique("operator")
        player_id = self.stack.sign_up(username)
        pool, cognito = self.outputs["UserPoolId"], self.stack.cognito
        for group in groups or ("operators",):
            if group not in ("operators", "support"):
                with suppress(cognito.exceptions.GroupExistsException):
                    cognito.create_group(UserPoolId=pool, GroupName=group)
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=username, GroupName=group)
        return Player(self, player_id, self.stack.token(username))

    def robber(self, tokens: int = 1, name: str | None = None, email: str | None = None) -> Player:
        """A new player who can rob."""
        player = self.player()
        if name is not None or email is not None:
            self.profile(player.id, name=name, email=email)
        self.award(player.id, tokens)
        return player

    def victim(
        self,
        points: int = 100,
        name: str | None = None,
        email: str | None = None,
        player_id: str | None = None,
    ) -> str:
        """The id of a new player with points, who need not have an account."""
        player_id = player_id or unique("victim")
        if name is not None or email is not None:
            self.profile(player_id, name=name, email=email)
        self.earn(player_id, points)
        return player_id

    # Events, delivered and awaited: for setting the scene

    def award(self, referrer: str, tokens: int = 1, **more: object) -> None:
        for _ in range(tokens):
            self.deliver(
                "award_token", "referrals", "ReferralCompleted", {**referral(referrer), **more}
            )

    def earn(self, player_id: str, points: int, **more: object) -> None:
        self.deliver("add_points", "points", "PointsEarned", {**earned(player_id, points), **more})

    def profile(self, player_id: str, **fields: object) -> None:
        """A profile update; fields that are None here are absent, see `deliver` for null."""
        present = {name: value for name, value in fields.items() if value is not None}
        self.deliver("upsert_player", "users", "UserUpserted", {"userId": player_id, **present})

    def deliver(self, function: str, source: str, detail_type: str, detail: object) -> None:
        """Hand an event to its function as the bus would, and wait until it was handled."""
        answer = self.invoke(function, bus_event(source, detail_type, detail))
        assert "failed" not in answer, answer

    def invoke(self, function: str, payload: object) -> Any:
        """What a function returns; `{"failed": …}` if it raised."""
        answer = self.client("lambda").invoke(
            FunctionName=self.function(function), Payload=json.dumps(payload).encode()
        )
        content = json.loads(answer["Payload"].read() or b"null")
        return {"failed": content} if answer.get("FunctionError") else content

    # Dead letters and mails

    def dead_letters(self, output: str, holding: str) -> list[Any]:
        """The messages of a dead-letter queue whose text holds `holding`; nothing is consumed."""
        queue = self.outputs[output]
        url = f"{self.outputs['Endpoint']}/_ministack/sqs/messages"
        answer = urllib3.request("GET", url, fields={"QueueUrl": queue}, timeout=30).json()
        letters = answer["messages"][ACCOUNT][REGION][queue]
        return [json.loads(one["Body"]) for one in letters if holding in one["Body"]]

    def refused_event(self, holding: str) -> Any:
        """The one entry of the events dead-letter queue that holds this text, once it is there."""
        found = eventually(
            lambda: self.dead_letters("EventsDeadLetterQueueUrl", holding), lambda seen: seen
        )
        assert len(found) == 1, found
        return found[0]

    def mails_to(self, address: str) -> list[Any]:
        """The mails that were sent to an address, oldest first."""
        sent = [mail for mail in self.stack.mails() if address in mail["To"]]
        return sorted(sent, key=lambda mail: float(mail["Timestamp"]))

    def first_mail_to(self, address: str) -> Any:
        """The first mail to an address, once it is there."""
        return eventually(lambda: self.mails_to(address), lambda seen: seen)[0]

    # What one player cannot see of another: asked by scouts with a token of their own

    def ask(self, target: str) -> Any:
        """The can-rob answer on a player by someone who could rob them."""
        if self._scout is None or self._scout_checks >= CHECKS_BEFORE_A_NEW_SCOUT:
            self._scout, self._scout_checks = self.robber(), 0
        self._scout_checks += 1
        reply = self._scout.can_rob(target)
        assert reply.status == 200, reply
        return reply.body

    def points_of(self, target: str) -> int:
        """The points of a player who is neither protected nor below the minimum."""
        verdict = self.ask(target)
        assert verdict["eligible"], verdict
        points: int = verdict["targetPoints"]
        return points

    # Configuration

    def resource(self, logical_id: str) -> str:
        """The name or address that a resource of the stack was given."""
        client, stack = self.client("cloudformation"), self.outputs["EventBusName"]
        found = client.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def function(self, folder: str) -> str:
        """The deployed name of a function: that of `execute_heist` ends in `-execute-heist`."""
        if not self._functions:
            pages = self.client("lambda").get_paginator("list_functions").paginate()
            self._functions = [
                found["FunctionName"] for page in pages for found in page["Functions"]
            ]
        ending = "-" + folder.replace("_", "-")
        (name,) = (name for name in self._functions if name.endswith(ending))
        return name

    @contextmanager
    def settings(self, functions: Sequence[str], **variables: str) -> Iterator[None]:
        """Deployed functions with other environment variables, put back afterwards."""
        client = self.client("lambda")

        def change(name: str, variables: Mapping[str, str]) -> None:
            function = self.function(name)
            client.update_function_configuration(
                FunctionName=function, Environment={"Variables": dict(variables)}
            )
            client.get_waiter("function_updated_v2").wait(
                FunctionName=function, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
            )

        before = {}
        for name in functions:
            configuration = client.get_function_configuration(FunctionName=self.function(name))
            before[name] = configuration["Environment"]["Variables"]
        try:
            in_parallel(lambda name: change(name, {**before[name], **variables}), functions)
            yield
        finally:
            in_parallel(lambda name: change(name, before[name]), functions)
