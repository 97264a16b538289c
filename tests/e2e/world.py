"""The deployed stack as its users see it: HTTP, the event bus, Cognito, mailbox and queues.

Every answer of the API is checked against docs/openapi.yaml as it comes in, so each test is also a
test of the contract's statuses, headers and bodies. Nothing here reads the table.
"""

from __future__ import annotations

import itertools
import json
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import boto3
import yaml
from botocore.config import Config
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")
R = TypeVar("R")

BASE_PATH = "/api/heist"
PASSWORD = "Heist-test-1"
ROUTES = (
    ("GET", "/tokens"),
    ("POST", "/execute"),
    ("GET", "/can-rob/someone"),
    ("GET", "/notifications"),
    ("GET", "/notifications/count"),
    ("POST", "/notifications/read"),
    ("GET", "/heists"),
    ("GET", "/heists/some"),
    ("GET", "/preferences"),
    ("PUT", "/preferences"),
    ("GET", "/admin/players/some"),
    ("POST", "/admin/players/some/block"),
    ("POST", "/admin/players/some/unblock"),
    ("POST", "/admin/players/some/tokens"),
    ("POST", "/admin/heists/some/reverse"),
    ("PUT", "/admin/settings"),
    ("GET", "/admin/heists/some"),
    ("GET", "/admin/actions"),
    ("GET", "/admin/settings"),
    ("GET", "/admin/dead-letters"),
    ("GET", "/admin/audit"),
    ("GET", "/admin/stats/heists-per-day"),
    ("GET", "/admin/stats/token-distribution"),
    ("GET", "/admin/stats/top-robbers"),
)
CHECKS_BEFORE_A_NEW_SCOUT = 25
_OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.yaml"


def eventually(
    probe: Callable[[], T], accept: Callable[[T], object], within: float = 60.0, pause: float = 0.05
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


def in_parallel(call: Callable[[T], R], arguments: Iterable[T], at_once: int = 20) -> list[R]:
    """`call` on every argument, `at_once` at a time; answers in the order of the arguments."""
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        return list(pool.map(call, arguments))


def stay_within_one_minute(seconds_needed: float) -> None:
    """Wait for the next UTC minute if this one has fewer than `seconds_needed` left."""
    left = 60 - time.time() % 60
    if left < seconds_needed:
        time.sleep(left + 0.05)


def unique(prefix: str = "p") -> str:
    """An id that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:20]}"


def link_in(mail: Mapping[str, Any]) -> str:
    """Where a mail is ended, as a path below the base path; its text and HTML say the same."""
    [link] = re.findall(r"https?://\S+", mail["BodyText"])
    assert f'href="{link}"' in mail["BodyHtml"]
    return str(link).partition(BASE_PATH)[2]


def now_iso() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
        self._document = yaml.safe_load(_OPENAPI.read_text())
        resource = DRAFT202012.create_resource(self._document)
        self._registry: Registry[Any] = Registry().with_resource("urn:api", resource)
        self._validators: dict[str, Draft202012Validator] = {}

    def check(self, method: str, path: str, reply: Reply) -> None:
        """Raise AssertionError unless the document allows this answer to this request."""
        template = self._template(path.split("?", maxsplit=1)[0])
        operation = self._document["paths"].get(template, {}).get(method.lower())
        if operation is None:
            return
        where = f"{method} {template} -> {reply.status} {reply.content[:500]!r}"
        response = operation["responses"].get(str(reply.status))
        assert response is not None, f"undocumented status: {where}"
        pointer = f"/paths/{_escaped(template)}/{method.lower()}/responses/{reply.status}"
        if "$ref" in response:
            pointer = response["$ref"].removeprefix("#")
            response = self._resolved(response)
        for name, header in response.get("headers", {}).items():
            if self._resolved(header).get("required"):
                assert name.lower() in reply.headers, f"header {name} is missing: {where}"
        [media_type] = response["content"]
        assert reply.headers.get("content-type", "").startswith(media_type), where
        validator = self._validator(f"{pointer}/content/{_escaped(media_type)}/schema")
        body = reply.body if media_type == "application/json" else reply.content.decode()
        error = next(iter(validator.iter_errors(body)), None)
        assert error is None, f"{where}\n{error}"

    def _template(self, path: str) -> str:
        """The path of the document that this one is of; itself where it is spelled out there."""
        if path in self._document["paths"]:
            return path
        for template in self._document["paths"]:
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
                return str(template)
        return path

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self._document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        return node

    def _validator(self, pointer: str) -> Draft202012Validator:
        if pointer not in self._validators:
            self._validators[pointer] = Draft202012Validator(
                {"$ref": f"urn:api#{quote(pointer)}"}, registry=self._registry
            )
        return self._validators[pointer]


def _escaped(segment: str) -> str:
    return segment.replace("~", "~0").replace("/", "~1")


@dataclass
class Player:
    """A caller with an account in the stack's user pool."""

    world: World = field(repr=False)
    id: str
    token: str = field(repr=False)
    id_token: str = field(repr=False)

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

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Reply:
        encoded = json.dumps(body).encode()
        return self.call(
            "POST", path, encoded, {"Content-Type": "application/json", **(headers or {})}
        )

    def put(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Reply:
        encoded = json.dumps(body).encode()
        return self.call(
            "PUT", path, encoded, {"Content-Type": "application/json", **(headers or {})}
        )

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
    """The stack that `outputs` (the file `make run` writes) describes."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        self.outputs = outputs
        api = urlsplit(str(outputs["ApiUrl"]))
        assert api.hostname is not None
        self._host, self._port, self._prefix = api.hostname, api.port or 80, api.path.rstrip("/")
        self.contract = Contract()
        self._names = itertools.count(1)
        self._scout: Player | None = None
        self._scout_checks = 0
        self._functions: list[str] = []

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's AWS."""
        make: Any = boto3.client  # its stubs want the service as a literal
        return make(
            service,
            endpoint_url=self.outputs["Endpoint"],
            region_name=self.outputs["Region"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                max_pool_connections=50,
                read_timeout=60,
                retries={"max_attempts": 1, "mode": "standard"},
            ),
        )

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
        return self.sign_up(f"e2e-{next(self._names)}-{uuid.uuid4().hex[:12]}")

    def players(self, count: int) -> list[Player]:
        return in_parallel(lambda _: self.player(), range(count), at_once=4)

    def sign_up(self, username: str) -> Player:
        cognito = self.client("cognito-idp")
        pool = self.outputs["UserPoolId"]
        cognito.admin_create_user(UserPoolId=pool, Username=username, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(
            UserPoolId=pool, Username=username, Password=PASSWORD, Permanent=True
        )
        return self.sign_in(username)

    def sign_in(self, username: str) -> Player:
        cognito = self.client("cognito-idp")
        pool, app = self.outputs["UserPoolId"], self.outputs["UserPoolClientId"]
        issued = cognito.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=app,
            AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]
        user = cognito.admin_get_user(UserPoolId=pool, Username=username)
        player_id = next(a["Value"] for a in user["UserAttributes"] if a["Name"] == "sub")
        return Player(self, player_id, issued["AccessToken"], issued["IdToken"])

    def operator(self, *groups: str) -> Player:
        """A new account in these groups, by default in that of operators."""
        username = f"operator-{next(self._names)}-{uuid.uuid4().hex[:12]}"
        self.sign_up(username)
        pool, cognito = self.outputs["UserPoolId"], self.client("cognito-idp")
        for group in groups or ("operators",):
            if group not in ("operators", "support"):
                with suppress(cognito.exceptions.GroupExistsException):
                    cognito.create_group(UserPoolId=pool, GroupName=group)
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=username, GroupName=group)
        return self.sign_in(username)

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

    def award(self, referrer: str, tokens: int = 1) -> None:
        for _ in range(tokens):
            self.deliver(
                "award_token",
                "referrals",
                "ReferralCompleted",
                {
                    "referralId": unique("r"),
                    "referrerUserId": referrer,
                    "referredUserId": unique("new"),
                },
            )

    def earn(self, player_id: str, points: int, **more: object) -> None:
        detail = {
            "eventId": unique("e"),
            "userId": player_id,
            "points": points,
            "pointEventType": "TEST_POINTS",
        }
        self.deliver("add_points", "points", "PointsEarned", {**detail, **more})

    def profile(self, player_id: str, at: str | None = None, **fields: object) -> None:
        """A profile update; fields that are None here are absent, see `deliver` for null."""
        present = {name: value for name, value in fields.items() if value is not None}
        self.deliver("upsert_player", "users", "UserUpserted", {"userId": player_id, **present}, at)

    def deliver(
        self, function: str, source: str, detail_type: str, detail: object, at: str | None = None
    ) -> None:
        """Hand an event to its function as the bus would, and wait until it was handled."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "source": source,
            "detail-type": detail_type,
            "account": "000000000000",
            "time": at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self.outputs["Region"],
            "resources": [],
            "detail": detail,
        }
        answer = self.client("lambda").invoke(
            FunctionName=self.function(function), Payload=json.dumps(event).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()

    # Events, as the other systems send them

    def emit(
        self, source: str, detail_type: str, *details: object, at: datetime | None = None
    ) -> None:
        """Put events on the stack's bus."""
        entries = [
            {
                "EventBusName": self.outputs["EventBusName"],
                "Source": source,
                "DetailType": detail_type,
                "Detail": json.dumps(detail),
                **({} if at is None else {"Time": at}),
            }
            for detail in details
        ]
        events = self.client("events")
        for start in range(0, len(entries), 10):
            answer = events.put_events(Entries=entries[start : start + 10])
            assert answer["FailedEntryCount"] == 0, answer

    def dead_letters(self, output: str, holding: str) -> list[Any]:
        """The messages of a dead-letter queue whose text holds `holding`; nothing is consumed."""
        answer = self._emulator(
            f"/_ministack/sqs/messages?{urlencode({'QueueUrl': self.outputs[output]})}"
        )
        bodies = [message["Body"] for message in _messages(answer) if holding in message["Body"]]
        return [json.loads(body) for body in bodies]

    def refused_event(self, holding: str) -> Any:
        """The one entry of the events dead-letter queue that holds this text, once it is there."""
        found = eventually(
            lambda: self.dead_letters("EventsDeadLetterQueueUrl", holding), lambda seen: seen
        )
        assert len(found) == 1, found
        return found[0]

    def mails_to(self, address: str) -> list[Any]:
        """The mails that were sent to an address, oldest first."""
        answer = self._emulator("/_ministack/ses/messages")
        sent = [mail for mails in answer["messages"].values() for mail in mails]
        return sorted(
            (mail for mail in sent if address in mail["To"]),
            key=lambda mail: float(mail["Timestamp"]),
        )

    def first_mail_to(self, address: str) -> Any:
        """The first mail to an address, once it is there."""
        return eventually(lambda: self.mails_to(address), lambda seen: seen)[0]

    def _emulator(self, path: str) -> Any:
        endpoint = urlsplit(self.outputs["Endpoint"])
        assert endpoint.hostname is not None
        connection = HTTPConnection(endpoint.hostname, endpoint.port, timeout=30)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

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

    def await_points(self, target: str, points: int) -> None:
        """Wait until a player has exactly these points (at least the minimum of a target)."""
        eventually(
            lambda: self.ask(target), lambda verdict: verdict["targetPoints"] == points, pause=0.15
        )

    # Configuration

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


def _messages(node: Any) -> Iterator[dict[str, Any]]:
    """Every object with a Body in the emulator's answer, however it groups them."""
    if isinstance(node, dict):
        if "Body" in node:
            yield node
        else:
            for value in node.values():
                yield from _messages(value)
    elif isinstance(node, list):
        for value in node:
            yield from _messages(value)
