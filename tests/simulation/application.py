"""The product's own handlers and clients on an engine, with everything outside made by hand.

Time, ids, settings, mail, bus and queues are the app's; so is the number of Lambda instances.
Only what the product sends decides what happens: nothing of it is replaced but its edges.
"""

import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.endpoint
import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.retries.quota import RetryQuota
from moto.core.models import botocore_stubber

from heist_core import telemetry
from heist_core.domain.errors import Unavailable
from heist_core.http import api
from heist_core.http.ceiling import Ceiling
from heist_core.use_cases import execute_heist
from heist_core.use_cases.clock import Clock
from heist_core.use_cases.execute_heist import heist_id_of
from tests.application import Answer, Instance, call, wired
from tests.builders import Event, api_event, execute_event, sample
from tests.fakes import FakeEventBridge, FakeQueue, FakeSecrets, FakeSes, LambdaContext, SentMail
from tests.proxies import body_of, reply

from .engine import REGION, TABLE
from .model import Rules

Hook = Callable[[str, str, AWSPreparedRequest], AWSResponse]
"""Answers one attempt: service, operation, request."""

START = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)
CONSUMERS = ("notify_players", "publish_and_count")


class Clients:
    """The product's clients, made once by its own configuration, all behind one injector."""

    def __init__(self, answer: Hook, endpoint: str | None = None) -> None:
        """`answer` gets every attempt of every client; `endpoint` is that of a real DynamoDB.

        Signing takes time, and only a real endpoint looks at it.
        """
        self._answer = answer
        self._endpoint = endpoint
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._session = botocore.session.get_session()
        self._session.set_credentials("test", "test")

    def __call__(self, service: str, config: Config) -> Any:
        with self._lock:
            if service not in self._made:
                self._made[service] = self._make(service, config)
        return self._made[service]

    def _make(self, service: str, config: Config) -> Any:
        endpoint = self._endpoint if service == "dynamodb" else None
        if self._endpoint is None:
            config = config.merge(Config(signature_version=UNSIGNED))
        client: Any = self._session.create_client(
            service, region_name=REGION, config=config, endpoint_url=endpoint
        )
        client.meta.events.register("before-send", self._before_send)
        client.meta.events.unregister("before-send", botocore_stubber)  # moto's own, if it runs
        return client

    def _before_send(
        self, request: AWSPreparedRequest, event_name: str, **_: object
    ) -> AWSResponse:
        service, operation = event_name.split(".")[1:]
        return self._answer(service, operation, request)


def notices_in_digest(subject: str) -> int | None:
    """Of how many a mail tells; None: it is no digest."""
    found = re.match("Your day: ([0-9]+) ", subject)
    return None if found is None else int(found[1])


class Outside:
    """SES, SQS, EventBridge and Secrets Manager, as far as the product uses them."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.digests: list[tuple[str, date, int]] = []
        """Address, day and how many notices it tells of."""
        self._now = now
        self._ses, self._queue, self._bridge = FakeSes(), FakeQueue(), FakeEventBridge()
        self._secrets = FakeSecrets()
        self.dead_letters = self._queue.letters
        self.events = self._bridge.published

    @property
    def mails(self) -> list[SentMail]:
        """In the order SES took them; digests apart."""
        return [mail for mail in self._ses if notices_in_digest(mail.subject) is None]

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        body = body_of(request)
        if "Destination" in body:
            answer: Mapping[str, object] = self._ses.send_email(**body)
            mail = self._ses.mails[-1]
            if notices := notices_in_digest(mail.subject):
                self.digests.append((mail.to, self._now().date(), notices))
        elif "QueueUrl" in body:
            answer = self._queue.send_message(**body)
        elif "SecretId" in body:
            answer = self._secrets.get_secret_value(**body)
        else:
            answer = self._bridge.put_events(**body)
        return reply(request, 200, answer)


class _Context(LambdaContext):
    """Lambda's, on the app's clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._started = monotonic()

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds_left - int((self._monotonic() - self._started) * 1000)


class _QuietLogger:
    """Prints nothing, and keeps the trace of every error that the product should not know."""

    def __init__(self) -> None:
        self.defects: list[str] = []

    def info(self, *_: object, **__: object) -> None:
        pass

    def error(self, *_: object, exc_info: BaseException | None, **__: object) -> None:
        if exc_info is not None and not isinstance(exc_info, Unavailable):
            self.defects += traceback.format_exception(exc_info)

    def exception(self, *_: object, **__: object) -> None:
        self.error(exc_info=sys.exception())


class Application:
    """`with app.wired():` puts the product on it. `rules` are those that are in force from when."""

    def __init__(
        self,
        clients: Clients,
        clock: Clock,
        *,
        variables: Mapping[str, object],
        instances: int = 3,
        executor: Executor | None = None,
        table: str = TABLE,
    ) -> None:
        self.clock = clock
        self.outside = Outside(clock.now)
        self.logger = _QuietLogger()
        self.here = threading.local()
        self.rules: list[tuple[datetime, Rules]] = []
        self.instances = [Instance() for _ in range(instances)]
        self._clients = clients
        self._executor = executor
        self._variables = {name: str(value) for name, value in variables.items()}
        self._variables["TABLE_NAME"] = table
        self.note_rules(variables)

    @property
    def instance(self) -> Instance:
        return getattr(self.here, "instance", self.instances[0])

    @contextmanager
    def wired(self) -> Iterator[None]:
        """The product's edges lead here."""
        uncounted = dict.fromkeys(("count", "count_even_none"), lambda *_, **__: None)
        quiet: dict[str, Any] = {"logger": lambda: self.logger, **uncounted}
        with (
            wired(
                lambda: self.instance,
                self._clients,
                self.clock,
                lambda: self.here.new_id,
                self._executor,
                **self._variables,
            ),
            patch.multiple(telemetry, **quiet),
            patch.object(botocore.endpoint, "time", SimpleNamespace(sleep=self.clock.sleep)),
            patch.object(RetryQuota, "acquire", lambda *_: True),  # else clients tire with seeds
            patch.object(execute_heist, "REFUSALS_STORED_A_DAY", sys.maxsize),
            patch.object(api, "ceiling", Ceiling(lambda: self.clock.now().timestamp())),
        ):
            yield

    # Rules

    def note_rules(self, settings: Mapping[str, Any]) -> None:
        """These settings hold from now on; older ones may still be gone by for a minute."""
        rules = Rules(**{one.name: settings[f"HEIST_{one.name.upper()}"] for one in fields(Rules)})
        self.rules.append((self.clock.now(), rules))

    def rules_of(self, at: datetime) -> list[Rules]:
        """Those in force at some time in the minute before."""
        newest = [
            n for n, (since, _) in enumerate(self.rules) if since <= at - timedelta(minutes=1)
        ]
        first = newest[-1] if newest else 0
        return [rules for since, rules in self.rules[first:] if since <= at] or [self.rules[0][1]]

    # Calls

    def call(self, function: str, event: Event) -> Any:
        return call(function, event, _Context(self.clock.monotonic))

    def request(self, function: str, caller: str, **request: Any) -> Answer:
        """One HTTP request, behind the authorizer."""
        return Answer.of(self.call(function, api_event(function, caller, **request)))

    def rob(self, attacker: str, victim: str, key: str | None, new_id: str = "") -> Answer:
        """`new_id` is the heist's, if it has no key."""
        self.here.new_id = new_id
        return Answer.of(self.call("execute_heist", execute_event(attacker, victim, key)))

    def event(self, function: str, detail: Mapping[str, object]) -> None:
        """One event off the bus; raises what the function raises."""
        self.call(
            function, {**sample(function), "time": self.clock.now().isoformat(), "detail": detail}
        )


def heist_id(attacker: str, key: str | None, new_id: str) -> str:
    return heist_id_of(attacker, key, lambda: new_id)
