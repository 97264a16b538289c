"""The product's own handlers and clients on an engine, with everything outside made by hand.

Time, ids, settings, mail, bus and queues are the app's; so is the number of Lambda instances.
Only what the product sends decides what happens: nothing of it is replaced but its edges.
"""

import contextlib
import json
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from types import SimpleNamespace
from typing import Any, ClassVar, ParamSpec, TypeVar
from unittest.mock import patch

import boto3
import botocore.endpoint
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.retries import quota
from moto.core.models import botocore_stubber

from functions.add_points import app as add_points
from functions.award_token import app as award_token
from functions.check_target import app as check_target
from functions.count_unread import app as count_unread
from functions.execute_heist import app as execute_heist
from functions.get_tokens import app as get_tokens
from functions.list_notifications import app as list_notifications
from functions.manage_preferences import app as manage_preferences
from functions.mark_notifications_read import app as mark_notifications_read
from functions.notify_players import app as notify_players
from functions.publish_and_count import app as publish_and_count
from functions.send_digests import app as digests_app
from functions.sweep_notifications import app as sweep_notifications
from functions.upsert_player import app as upsert_player
from heist_core import telemetry, wiring
from heist_core.domain.errors import Unavailable
from heist_core.http import api
from heist_core.http.ceiling import Ceiling
from heist_core.mail.mailer import Mailer
from heist_core.messaging.bus import Bus
from heist_core.messaging.dead_letters import DeadLetters
from heist_core.settings import LiveSettings, parse_settings
from heist_core.storage.digests import DigestStore
from heist_core.storage.statistics import StatisticsStore
from heist_core.storage.store import Store
from heist_core.storage.table import Table
from heist_core.tally import DAY, Tally
from heist_core.use_cases import execute_heist as execute_heist_use_case
from heist_core.use_cases.clock import Clock
from heist_core.use_cases.execute_heist import ExecuteHeist, heist_id_of
from heist_core.use_cases.keep_statistics import KeepStatistics
from heist_core.use_cases.notify_players import NotifyPlayers
from heist_core.use_cases.publish_and_count import PublishAndCount
from heist_core.use_cases.publish_event import PublishEvent
from heist_core.use_cases.send_digests import SendDigests
from heist_core.use_cases.sweep_notifications import SweepNotifications
from tests.fakes import fake_links
from tests.proxies import body_of, reply

from .checker import Answer
from .engine import REGION, TABLE
from .model import Rules

P = ParamSpec("P")
R = TypeVar("R")
Hook = Callable[[str, str, AWSPreparedRequest], AWSResponse]
"""Answers one attempt: service, operation, request."""

START = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)
LAMBDA_MILLISECONDS = 29_000
ROUTES: Mapping[str, Callable[[Mapping[str, object], Any], Mapping[str, object]]] = {
    "execute": execute_heist.handler,
    "can-rob": check_target.handler,
    "tokens": get_tokens.handler,
    "notifications": list_notifications.handler,
    "count": count_unread.handler,
    "read": mark_notifications_read.handler,
    "preferences": manage_preferences.handler,
}
EVENTS: Mapping[str, Callable[[Mapping[str, object], Any], object]] = {
    "ReferralCompleted": award_token.handler,
    "UserUpserted": upsert_player.handler,
    "PointsEarned": add_points.handler,
}
SOURCES = {"ReferralCompleted": "referrals", "UserUpserted": "users", "PointsEarned": "points"}
CONSUMERS = {
    "notify_players": notify_players.handler,
    "publish_and_count": publish_and_count.handler,
}
sweep = sweep_notifications.handler
send_digests = digests_app.handler


class MovableClock:
    """Moves when told to; sleeping moves it."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._seconds = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(milliseconds=int(self._seconds * 1000 + 0.001))

    def monotonic(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds


class Immediate(Executor):
    """Runs what is submitted before it returns, so that a seed decides everything."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the caller asks for it
            future.set_exception(error)
        return future


class _Quota(quota.RetryQuota):
    """The SDK's budget for retries; refilled for every seed, since clients outlive them."""

    made: ClassVar[list["_Quota"]] = []

    def __init__(self, initial_capacity: int = 500) -> None:
        super().__init__(initial_capacity)
        self.made.append(self)

    def refill(self) -> None:
        self.release(500)


@dataclass(frozen=True)
class Clients:
    """The product's clients, made by its own configuration, all behind one injector."""

    dynamodb: Any
    ses: Any
    sqs: Any
    events: Any

    @staticmethod
    def make(answer: Hook, endpoint: str | None = None) -> "Clients":
        """`answer` gets every attempt of every client; `endpoint` is that of a real DynamoDB.

        Signing takes time, and only a real endpoint looks at it.
        """

        def before_send(request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
            service, operation = event_name.split(".")[1:]
            return answer(service, operation, request)

        session = boto3.Session("test", "test", region_name=REGION)
        if endpoint is None:
            session._session.set_default_client_config(Config(signature_version=UNSIGNED))
        with patch.object(quota, "RetryQuota", _Quota):
            clients = Clients(
                session.client(
                    "dynamodb", config=wiring._config(attempts=2), endpoint_url=endpoint
                ),
                session.client("sesv2", config=wiring._config(attempts=1, read_timeout=10)),
                session.client("sqs", config=wiring._config(attempts=2)),
                session.client("events", config=wiring._config(attempts=2)),
            )
        for client in (clients.dynamodb, clients.ses, clients.sqs, clients.events):
            client.meta.events.register("before-send", before_send)
            client.meta.events.unregister("before-send", botocore_stubber)  # moto's own, if it runs
        return clients


@dataclass
class Instance:
    """A warm Lambda: with settings of its own, as old as its last read of them."""

    table: Table
    store: Store
    settings: LiveSettings
    execute: ExecuteHeist
    notify: NotifyPlayers
    statistics_store: StatisticsStore
    statistics: KeepStatistics
    relay: PublishAndCount
    sweep: SweepNotifications
    digests: SendDigests


def notices_in_digest(mail: Mapping[str, Any]) -> int | None:
    """Of how many a mail tells; None: it is no digest."""
    found = re.match("Your day: ([0-9]+) ", mail["Content"]["Simple"]["Subject"]["Data"])
    return None if found is None else int(found[1])


class Outside:
    """SES, SQS and EventBridge, as far as the product uses them."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.mails: list[tuple[str, str]] = []
        """Address and text, in the order SES took them; digests apart."""
        self.digests: list[tuple[str, date, int]] = []
        """Address, day and how many notices it tells of."""
        self._now = now
        self.dead_letters: list[dict[str, Any]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        body = body_of(request)
        if "Destination" in body:
            address = body["Destination"]["ToAddresses"][0]
            notices = notices_in_digest(body)
            if notices is None:
                self.mails.append((address, body["Content"]["Simple"]["Body"]["Text"]["Data"]))
            else:
                self.digests.append((address, self._now().date(), notices))
            return reply(request, 200, {"MessageId": str(len(self.mails) + len(self.digests))})
        if "QueueUrl" in body:
            self.dead_letters.append(json.loads(body["MessageBody"]))
            digest = md5(body["MessageBody"].encode()).hexdigest()
            return reply(request, 200, {"MD5OfMessageBody": digest, "MessageId": "1"})
        for entry in body["Entries"]:
            self.events.append((entry["DetailType"], json.loads(entry["Detail"])))
        return reply(request, 200, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})


class _Context:
    """Lambda's, on the app's clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._started = monotonic()

    def get_remaining_time_in_millis(self) -> int:
        return LAMBDA_MILLISECONDS - int((self._monotonic() - self._started) * 1000)


class _QuietLogger:
    """Prints nothing, and keeps the trace of every error that the product should not know."""

    def __init__(self) -> None:
        self.defects: list[str] = []

    def info(self, *_: object, **__: object) -> None:
        pass

    def exception(self, *_: object, **__: object) -> None:
        if not isinstance(sys.exception(), Unavailable):
            self.defects.append(traceback.format_exc())


class Application:
    """`with app.wired():` puts the product on it. `rules` are those that are in force from when."""

    def __init__(
        self,
        clients: Clients,
        clock: Any,
        *,
        variables: Mapping[str, object],
        instances: int = 3,
        executor: Executor | None = None,
        table: str = TABLE,
        settings_age: Callable[[], float] | None = None,
    ) -> None:
        """`settings_age`: seconds by which instances tell that their settings are stale."""
        self.clock = clock
        self.table = table
        self.outside = Outside(clock.now)
        self.logger = _QuietLogger()
        self.here = threading.local()
        self.rules: list[tuple[datetime, Rules]] = []
        self.time = Clock(now=clock.now, monotonic=clock.monotonic, sleep=clock.advance)
        self._clients = clients
        self._settings_age = settings_age or clock.monotonic
        self._executor = executor or Immediate()
        self.note_rules(variables)
        self._variables = parse_settings(variables)
        self.instances = [self._instance() for _ in range(instances)]
        for made in _Quota.made:
            made.refill()

    def _instance(self) -> Instance:
        table = Table(self._clients.dynamodb, self.table, self.time.sleep)
        store = Store(table, self._executor)
        settings = LiveSettings(self._variables, self._settings_age, lambda: None)
        letters = self._letters()
        mailer = Mailer(self._clients.ses, "heists@example.com", fake_links(), "heist-core")
        notify = NotifyPlayers(store, mailer, letters, settings, self.time)
        publish = PublishEvent(store, Bus(self._clients.events, "bus"))
        statistics_store = StatisticsStore(table)
        statistics = KeepStatistics(statistics_store, self.time)
        return Instance(
            table=table,
            store=store,
            settings=settings,
            execute=ExecuteHeist(store, settings, self.time, Tally(DAY, time.time)),
            notify=notify,
            statistics_store=statistics_store,
            statistics=statistics,
            relay=PublishAndCount(store, publish.bus, statistics),
            sweep=SweepNotifications(
                store, notify, publish, statistics, letters, self.time, settings
            ),
            digests=SendDigests(store, DigestStore(table), mailer, letters, settings, self.time),
        )

    def _letters(self, _: str = "") -> DeadLetters:
        return DeadLetters(self._clients.sqs, "https://queue.example.com/letters")

    @property
    def instance(self) -> Instance:
        return getattr(self.here, "instance", self.instances[0])

    @contextlib.contextmanager
    def wired(self) -> Iterator[None]:
        """The product's edges lead here."""
        bus = Bus(self._clients.events, "bus")
        edges: dict[str, Any] = {
            "clock": lambda: self.time,
            "new_id": lambda: self.here.new_id,
            "store": lambda: self.instance.store,
            "settings": lambda: self.instance.settings,
            "dead_letters": self._letters,
            "record_executor": lambda: self._executor,
            "bus": lambda: bus,
            "execute_heist": lambda: self.instance.execute,
            "notify_players": lambda: self.instance.notify,
            "sweep_notifications": lambda: self.instance.sweep,
            "send_digests": lambda: self.instance.digests,
            "keep_statistics": lambda: self.instance.statistics,
            "publish_and_count": lambda: self.instance.relay,
        }
        quiet: dict[str, Any] = {
            "logger": lambda: self.logger,
            "count": lambda *_, **__: None,
        }
        sleepless = SimpleNamespace(sleep=self.clock.advance)
        with (
            patch.multiple(wiring, **edges),
            patch.multiple(telemetry, **quiet),
            patch.object(botocore.endpoint, "time", sleepless),
            patch.object(execute_heist_use_case, "REFUSALS_STORED_A_DAY", sys.maxsize),
            patch.object(api, "ceiling", Ceiling(lambda: self.clock.now().timestamp())),
            patch.dict(os.environ, {"USER_ID_CLAIM": "sub"}),
        ):
            yield

    # Rules

    def note_rules(self, settings: Mapping[str, object]) -> None:
        """These settings hold from now on; older ones may still be gone by for a minute."""
        rules = Rules(
            enabled=bool(settings["HEIST_ENABLED"]),
            cooldown_hours=int(str(settings["HEIST_COOLDOWN_HOURS"])),
            protection_hours=int(str(settings["HEIST_TARGET_COOLDOWN_HOURS"])),
            percentage=int(str(settings["HEIST_STEAL_PERCENTAGE"])),
            most=int(str(settings["HEIST_MAX_STEAL_POINTS"])),
            least=int(str(settings["HEIST_MIN_TARGET_POINTS"])),
            attempts_a_minute=int(str(settings["HEIST_RATE_LIMIT_PER_MINUTE"])),
            robberies=int(str(settings["HEIST_MAX_ROBBERIES_PER_SEASON"])),
            share=int(str(settings["HEIST_MAX_LOSS_PERCENTAGE"])),
            pair_hours=int(str(settings["HEIST_PAIR_COOLDOWN_HOURS"])),
            newcomer_hours=int(str(settings["HEIST_NEWCOMER_HOURS"])),
            lock_hours=int(str(settings["HEIST_PASSIVE_LOCK_HOURS"])),
        )
        self.rules.append((self.clock.now(), rules))

    def rules_of(self, at: datetime) -> list[Rules]:
        """Those in force at some time in the minute before."""
        newest = [
            n for n, (since, _) in enumerate(self.rules) if since <= at - timedelta(minutes=1)
        ]
        first = newest[-1] if newest else 0
        return [rules for since, rules in self.rules[first:] if since <= at] or [self.rules[0][1]]

    # Calls

    def context(self) -> _Context:
        return _Context(self.clock.monotonic)

    def api(
        self,
        route: str,
        caller: str,
        *,
        body: object = None,
        key: str | None = None,
        target: str = "",
        new_id: str = "",
    ) -> Answer:
        """One HTTP request, behind the authorizer."""
        self.here.new_id = new_id
        event = {
            "routeKey": f"{'GET' if body is None else 'PUT'} /api/heist/{route}",
            "headers": {} if key is None else {"idempotency-key": key},
            "body": None if body is None else json.dumps(body),
            "pathParameters": {"targetUserId": target} if target else None,
            "requestContext": {
                "authorizer": {"jwt": {"claims": {"sub": caller}}},
                "http": {"sourceIp": "203.0.113.9"},
            },
        }
        answer: Mapping[str, Any] = ROUTES[route](event, self.context())
        return Answer(int(answer["statusCode"]), answer["headers"], str(answer["body"]))

    def event(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """One event off the bus; raises what the function raises."""
        event = {
            "source": SOURCES[detail_type],
            "detail-type": detail_type,
            "time": self.clock.now().isoformat(),
            "detail": detail,
        }
        EVENTS[detail_type](event, self.context())


def heist_id(attacker: str, key: str | None, new_id: str) -> str:
    return heist_id_of(attacker, key, lambda: new_id)
