"""The application as its handlers see it: its own wiring, with only the edges exchanged."""

import importlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from unittest.mock import patch

from botocore.config import Config

from heist_core import wiring
from heist_core.use_cases.clock import Clock

from .fakes import EVENTS, NOTIFIER, SameThread

MakeClient = Callable[[str, Config], Any]
"""What makes the client of a service, with the configuration that the wiring wants."""

_MADE_ONCE = {
    name: make.__wrapped__ for name, make in vars(wiring).items() if hasattr(make, "cache_clear")
}
_VARIABLES = {
    "EVENTS_DLQ_URL": EVENTS,
    "NOTIFIER_DLQ_URL": NOTIFIER,
    "EVENT_BUS_NAME": "heist-core",
    "SENDER_EMAIL": "heists@example.com",
    "MAIL_CONFIGURATION": "${MailConfiguration}",
    "UNSUBSCRIBE_KEY_ID": "${UnsubscribeKey.Id}",
    "API_URL": "https://api.example.com",
}


class Instance:
    """One Lambda instance: what the wiring makes when it is first used is kept here."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], object] = {}
        self._lock = threading.RLock()

    def part(self, name: str, *arguments: str) -> object:
        made = name, *arguments
        with self._lock:
            if made not in self._made:
                self._made[made] = _MADE_ONCE[name](*arguments)
        return self._made[made]


@contextmanager
def wired(
    instance: Callable[[], Instance],
    client: MakeClient,
    clock: Clock,
    new_id: Callable[[], str],
    executor: Executor | None = None,
    **variables: str,
) -> Iterator[None]:
    """The functions of this process run on `instance()`, and with these variables."""
    threads = executor or SameThread()
    edges: dict[str, Any] = {
        "_client": client,
        "clock": lambda: clock,
        "new_id": new_id,
        "ThreadPoolExecutor": lambda _: threads,
    }

    def part(name: str, *arguments: str) -> object:
        return instance().part(name, *arguments)

    parts: dict[str, Any] = {name: partial(part, name) for name in _MADE_ONCE}
    with (
        patch.multiple(wiring, **parts | edges),
        patch.dict(os.environ, {**_VARIABLES, **variables}),
    ):
        yield


def call(function: str, event: Mapping[str, Any], context: object) -> Any:
    """A function through its handler, as Lambda calls it."""
    return importlib.import_module(f"functions.{function}.app").handler(event, context)


@dataclass(frozen=True)
class Answer:
    """What a route answered, as the client sees it."""

    status: int
    headers: Mapping[str, str]
    text: str

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Answer":
        return cls(answer["statusCode"], answer["headers"], answer["body"])

    @cached_property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """One word for what was said."""
        if self.status == 200:
            return "SUCCESS"
        return str(self.body.get("code") or self.body.get("error"))

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotent-Replay") == "true"
