"""The application as its handlers see it: the real code and storage, a stopped clock, fake mail."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

from mypy_boto3_dynamodb import DynamoDBClient

from heist_core import wiring
from heist_core.domain.action import Action
from heist_core.domain.award import EarnedPoints
from heist_core.domain.heist import Attempt, Heist, RefusedHeist
from heist_core.domain.notices import InboxItem
from heist_core.domain.player import Player
from heist_core.domain.reversal import Reversal
from heist_core.http import api
from heist_core.http.ceiling import Ceiling
from heist_core.mail.links import UnsubscribeLinks
from heist_core.messaging.bus import Bus
from heist_core.settings import DECLARED, LiveSettings
from heist_core.storage import audit, keys, operator, wire
from heist_core.storage.importing.loading import Verified
from heist_core.storage.statistics import StatisticsStore
from heist_core.storage.store import Store
from heist_core.storage.table import Table
from heist_core.use_cases.add_points import Adding, AddPoints
from heist_core.use_cases.execute_heist import Outcome
from heist_core.use_cases.reverse_heist import Reversed, ReverseHeist
from ops.importer.checked import CheckedExport
from tests.application import Answer as Answer
from tests.application import Instance, call, wired
from tests.builders import Event, action, api_event, award, earned, execute_event
from tests.exports import BUCKET, FakeS3, audit_exports
from tests.fakes import (
    EVENTS,
    NOTIFIER,
    FakeClock,
    FakeEventBridge,
    FakeSecrets,
    FakeSes,
    LambdaContext,
    Queues,
    Tap,
    Tapped,
)
from tests.imports import IMPORT_BUCKET, import_in_parts
from tests.policies import Guard

P = ParamSpec("P")
T = TypeVar("T")

FUNCTIONS = (
    *("get_tokens", "execute_heist", "check_target"),
    *("list_notifications", "mark_notifications_read", "count_unread", "list_heists"),
    *("manage_preferences", "unsubscribe"),
    *("show_player", "list_targets", "show_leaderboard", "keep_leaderboard"),
    *("award_token", "upsert_player", "add_points", "record_mail_feedback"),
    *("notify_players", "publish_and_count", "sweep_notifications", "seed_point_types"),
    *("audit_table", "show_statistics", "read_admin", "change_admin", "send_digests"),
    "import_part",
)
PLENTY = 29.0


class Game:
    """Calls functions through their `app.handler`; what they reach are its attributes."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self.client = client
        self.table = table
        self.tap = Tap()
        self.guard = Guard()
        self.time = FakeClock()
        self.ses = FakeSes()
        self.secrets = FakeSecrets()
        self.exports = FakeS3()
        self.queues = Queues()
        self.events_queue = self.queues.sent[EVENTS]
        self.notifier_queue = self.queues.sent[NOTIFIER]
        self.bridge = FakeEventBridge()
        self.gateway = Table(self._client("dynamodb"), table)
        self.instance = Instance()
        self._ids = itertools.count(1)

    def _client(self, service: str, _: object = None) -> Any:
        clients = {
            "dynamodb": self.client,
            "sesv2": self.ses,
            "secretsmanager": self.secrets,
            "sqs": self.queues,
            "events": self.bridge,
            "s3": self.exports,
        }
        return Tapped(clients[service], self.tap, self.guard)

    @contextmanager
    def wired(self) -> "Iterator[Game]":
        """The functions of this process are those of this game."""
        with (
            patch.object(api, "ceiling", Ceiling()),
            wired(
                lambda: self.instance,
                self._client,
                self.time.clock,
                lambda: f"{next(self._ids):012x}".ljust(32, "0"),
                TABLE_NAME=self.table,
                AUDIT_BUCKET=BUCKET,
                IMPORT_BUCKET=IMPORT_BUCKET,
            ),
        ):
            yield self

    def audit_exports(self, *tables: Iterable[wire.Item]) -> Mapping[str, object]:
        """The audit in steps, on exports of these tables, as far as it asks for another."""
        audit_table = partial(self.call, "audit_table")
        return audit_exports(audit_table, self.exports.as_client, *tables)

    def import_in_parts(self, export: CheckedExport) -> Verified:
        """What the table holds of it afterwards."""
        return import_in_parts(partial(self.call, "import_part"), self.exports.as_client, export)

    def restart(self, **variables: object) -> None:
        """A new instance: nothing is remembered, and these settings are its variables."""
        for name in DECLARED:
            os.environ.pop(name, None)
        os.environ.update({name: str(value) for name, value in variables.items()})
        self.instance = Instance()

    @property
    def store(self) -> Store:
        return wiring.store()

    @property
    def statistics_store(self) -> StatisticsStore:
        return wiring.statistics_store()

    @property
    def settings(self) -> LiveSettings:
        return wiring.settings()

    @property
    def links(self) -> UnsubscribeLinks:
        return wiring.unsubscribe_links()

    # Calls

    def call(self, function: str, event: Mapping[str, Any]) -> Any:
        """A function through its handler, as Lambda calls it, and under its role."""
        assert function in FUNCTIONS
        with self.guard.calling(function):
            return call(function, event, LambdaContext())

    def request(self, function: str, event: Event) -> Answer:
        return Answer.of(self.call(function, event))

    def rob(self, attacker: str, victim: str, key: str | None = None) -> Answer:
        return self.request("execute_heist", execute_event(attacker, victim, key))

    def check(self, attacker: str, victim: str) -> Answer:
        event = api_event("check_target", attacker, path={"targetUserId": victim})
        return self.request("check_target", event)

    def execute(self, attempt: Attempt) -> Outcome:
        return wiring.execute_heist()(attempt, PLENTY)

    def reverse(self, heist_id: str, *, refund: bool = False) -> Reversed:
        """What an operator asks for, each time as an action of its own."""
        wanted = replace(self._action(), what="reverse", subject=f"heist {heist_id}")
        reverse = ReverseHeist(self.store, self.time.clock)
        return reverse(heist_id, wanted, refund_token=refund)

    def block(self, player_id: str) -> None:
        self.gateway.transact(operator.block(self.player(player_id), self.time(), self._action()))

    def freeze(self, player_id: str, at: datetime | None = None) -> None:
        """The beginning of an erasure."""
        player = self.player(player_id)
        self.gateway.transact(operator.freeze(player, at or self.time(), self._action()))

    def _action(self) -> Action:
        return replace(action(), id=f"action-{next(self._ids)}")

    def prefer(self, player_id: str, **preferences: Any) -> None:
        seen = self.player(player_id)
        chosen = replace(seen.preferences, **preferences)
        self.store.save_preferences(seen, chosen, self.time())

    def sweep(self) -> Any:
        """The schedule's tick, once the stream's grace is over."""
        self.time.pass_(minutes=2)
        return self.call("sweep_notifications", {"source": "aws.events"})

    # Facts

    def give(
        self,
        player_id: str,
        *,
        points: int = 0,
        tokens: int = 0,
        name: str | None = None,
        email: str | None = None,
    ) -> None:
        """What a player has, by the ways of the application."""
        if points:
            self.earn(earned(player_id, points, f"order-{next(self._ids)}", self.time()))
        for _ in range(tokens):
            self.store.commit_award(award(player_id, f"friend-{next(self._ids)}", at=self.time()))
        if name or email:
            seen = self.store.player(player_id)
            profile = seen.profile
            self.store.save_profile(
                seen,
                type(profile)(
                    name=profile.name.updated(name, self.time()),
                    email=profile.email.updated(email, self.time()),
                ),
                self.time(),
            )

    def earn(self, points: EarnedPoints) -> Adding:
        """Points of an event, of which nobody is told."""
        unheard = Bus(FakeEventBridge().client, "unheard")
        return AddPoints(self.store, unheard, self.time.clock)(points)

    def player(self, player_id: str) -> Player:
        return self.store.player(player_id)

    def points(self, player_id: str) -> int:
        return self.player(player_id).points_in(self.time().strftime("%Y-%m"))

    def ledger(self, player_id: str, season: str = "2026-11") -> int:
        """What the ledger of a season adds up to."""
        total = Decimal(0)
        for item in self.everything():
            if item["pk"] == f"LEDGER#{player_id}" and str(item["sk"]).startswith(season):
                points = item["points"]
                assert isinstance(points, Decimal)
                total += points
        return int(total)

    def assert_sound(self) -> None:
        """Every invariant of the table holds."""
        assert list(audit.audit_items(self.everything()).violations()) == []

    def inbox(self, player_id: str) -> list[InboxItem]:
        page, _, _ = self.store.inbox_page(
            player_id, unread_only=False, before=None, limit=100, now=self.time()
        )
        return page

    def heist(self, heist_id: str) -> Heist | RefusedHeist | None:
        return self.store.heist(heist_id)

    def reversal(self, heist_id: str) -> Reversal | None:
        return self.store.reversal(heist_id)

    # The table itself

    def everything(self, **filtered: Any) -> list[dict[str, object]]:
        """Every item; `filtered` are further members of the scan."""
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.table, ConsistentRead=True, **filtered
        )
        return [wire.from_wire(item) for page in pages for item in page["Items"]]

    def item(self, key: keys.Key) -> dict[str, object] | None:
        answer = self.client.get_item(
            TableName=self.table, Key=wire.to_wire(key), ConsistentRead=True
        )
        return wire.from_wire(answer["Item"]) if "Item" in answer else None

    def stored(self, key: keys.Key) -> dict[str, object]:
        """An item that has to be there."""
        item = self.item(key)
        assert item is not None, key
        return item

    def put(self, item: Mapping[str, object]) -> None:
        self.client.put_item(TableName=self.table, Item=wire.to_wire(item))

    def change(self, key: keys.Key, attributes: Mapping[str, object]) -> None:
        """By hand, of an item that is there."""
        self.put({**self.stored(key), **attributes})

    def delete(self, key: keys.Key) -> None:
        self.client.delete_item(TableName=self.table, Key=wire.to_wire(key))

    def set_settings(self, **values: object) -> None:
        """What an operator writes; nothing removes the item. In effect at the next reading."""
        self.delete(keys.SETTINGS)
        if values:
            self.put({**keys.SETTINGS, **values})

    def settings_are_due(self) -> None:
        self.time.pass_(seconds=30)

    def owed(self) -> list[tuple[str, frozenset[str]]]:
        """What the sweeper would find, however new."""
        found = self.store.owed_before(self.time() + timedelta(days=1))
        return [(record.key["pk"], record.owed()) for record in found]

    def marked(self) -> list[dict[str, object]]:
        """Every item that still has any part of a marker."""
        parts = ("owed", "owedBucket", "owedSince")
        some = " OR ".join(f"attribute_exists({part})" for part in parts)
        return self.everything(FilterExpression=some)

    # Interference

    def once_before(self, operation: str, act: Callable[[], object], skip: int = 0) -> None:
        """Do something just before the next call of an operation is sent, as somebody else."""
        left = itertools.count(skip, -1)

        def before(called: str, request: Mapping[str, Any]) -> None:
            if called == operation and next(left) == 0:
                act()

        self.tap.before = before

    def fails(
        self, error: BaseException, operation: str = "", about: str = "", *, sent: bool = False
    ) -> None:
        """Each call raises it, or those of an operation; those `sent` are carried out before."""

        def strike(called: str, request: Mapping[str, Any]) -> None:
            if operation in ("", called) and about in str(request):
                raise error

        if sent:
            self.tap.after = lambda called: strike(called, {})
        else:
            self.tap.before = strike

    def undisturbed(self) -> None:
        self.tap.close()


class Crowd(ThreadPoolExecutor):
    """Whoever submits what runs: if a function that is called does, it runs under its role."""

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return super().submit(copy_context().run, partial(call, *args, **kwargs))


def succeeded(answers: Iterable[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status == 200]
