"""`make stress`: everybody at once, while a fifth of all writes fail.

On an engine that is truly concurrent. Threads call the real handlers, each as a Lambda instance of
its own. Afterwards the table's stream is held against the model, commit by commit, and every
answer that any client got is held against it.
"""
# ruff: noqa: T201 - a command line

import argparse
import itertools
import random
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from heist_core import settings, wiring
from heist_core.domain.action import Action
from heist_core.domain.errors import Unavailable
from heist_core.storage.audit import audit_items
from heist_core.use_cases.clock import Clock
from heist_core.use_cases.reverse_heist import ReverseHeist
from tests.application import Answer
from tests.engines import ENGINES, Engine

from .application import START, Application, Clients, heist_id
from .checker import Asked, Checker, iso, plain
from .faults import FaultInjector
from .model import REFUSALS, Rules
from .scheduler import Crashed, Deviation

PLAYERS = tuple(f"hot-{number}" for number in range(8))
STRANGER = "stranger"
CONCURRENT = ("dynamodb-local", "ministack")
WORKERS = 16
REPEATS = 5
"""A client repeats so often at most, with the same key: when told to, or without an answer."""
FAULTS = 0.25
BRIEF = 0.05
"""Seconds that anything sleeps at most."""
SETTINGS_SECONDS = 0.5
"""How long instances go by the settings that they read: a run is short."""
_SETTINGS: dict[str, object] = {
    "HEIST_ENABLED": True,
    "HEIST_COOLDOWN_HOURS": 1,
    "HEIST_TARGET_COOLDOWN_HOURS": 1,
    "HEIST_STEAL_PERCENTAGE": 5,
    "HEIST_MAX_STEAL_POINTS": 100,
    "HEIST_MIN_TARGET_POINTS": 10,
    "HEIST_EMAIL_ENABLED": True,
    "HEIST_RATE_LIMIT_PER_MINUTE": 4,
    "HEIST_MAX_ROBBERIES_PER_SEASON": 0,
    "HEIST_MAX_LOSS_PERCENTAGE": 100,
    "HEIST_PAIR_COOLDOWN_HOURS": 2,
    "HEIST_NEWCOMER_HOURS": 8760,
    "HEIST_PASSIVE_LOCK_HOURS": 1,
}


_CHANGES: Mapping[float, Mapping[str, object]] = {
    0.20: {"HEIST_MAX_ROBBERIES_PER_SEASON": 1},
    0.23: {"HEIST_MAX_LOSS_PERCENTAGE": 20},
    0.26: {},
    0.40: {"HEIST_ENABLED": False},
    0.45: {},
}
"""The settings that are other than at the start, from that share of the run on."""


class RunningClock:
    """Runs by itself, and can be moved on; sleeping is real but short."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._began = time.monotonic()

    def now(self) -> datetime:
        passed = time.monotonic() - self._began + self._ahead
        return START + timedelta(milliseconds=int(passed * 1000))

    @property
    def clock(self) -> Clock:
        return Clock(self.now, time.monotonic, lambda seconds: time.sleep(min(seconds, BRIEF)))

    def leap(self, seconds: float) -> None:
        self._ahead += seconds


@dataclass
class Report:
    """What a run did, and what was wrong with it."""

    operations: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    commits: Counter[str] = field(default_factory=Counter)
    repeats: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    faulted_share: float = 0.0
    points: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By season: earned, held by the players, and booked in their ledgers."""
    deviations: list[str] = field(default_factory=list)

    @property
    def successes(self) -> int:
        return self.commits["successes"]

    @property
    def refusals(self) -> set[str]:
        return {code for code in self.answers if code in REFUSALS}

    def check_the_run_itself(self) -> None:
        """A run that saw too little proves nothing."""
        if missing := REFUSALS - self.refusals:
            self.deviations.append(f"never refused for {sorted(missing)}")
        if self.successes < self.operations // 5:
            self.deviations.append(f"only {self.successes} heists succeeded")
        if self.faulted_share < 0.2:
            self.deviations.append(f"only {self.faulted_share:.1%} of the writes were faulted")

    def text(self) -> str:
        unsure = ", ".join(
            f"{number} by {count}" for number, count in sorted(self.repeats.items()) if number
        )
        refused = self.answers["IDEMPOTENCY_MISMATCH"]
        replays = f"{self.counts['replays']} replays; another target {refused} times refused"
        answered = f"{self.repeats.total()} got a definite answer, repeats asked for: {unsure}"
        faulted = f"{self.faulted_share:.1%} of writes faulted"
        lines = [
            f"{self.operations} operations in {self.seconds:.0f} s, {faulted}",
            f"  commits         {_listed(self.commits)}",
            f"  answers         {_listed(self.answers)}",
            f"  faults          {_listed(self.faults)}",
            f"  engine's own    {_listed(self.counts)}",
            f"  same key        {replays}",
            f"  clients         {answered}",
        ]
        lines += [
            f"  points {season}  earned {earned}, held {held}, booked {booked}"
            for season, (earned, held, booked) in sorted(self.points.items())
        ]
        lines += [f"DEVIATION: {one}" for one in self.deviations]
        lines.append(f"{len(self.deviations)} deviations")
        return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


class Stream:
    """Reads a table's stream while it is written, so that the end need not wait for it."""

    def __init__(self, endpoint: str, arn: str) -> None:
        session = boto3.Session("test", "test", region_name="us-east-1")
        self._client = session.client("dynamodbstreams", endpoint_url=endpoint)
        shards = self._client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        (shard,) = shards
        self._shard = {"StreamArn": arn, "ShardId": shard["ShardId"]}
        self._iterator = self._first()
        self._read: list[Mapping[str, Any]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while self._next_page() or not self._over.wait(0.5):
            pass

    def _first(self) -> str:
        answer = self._client.get_shard_iterator(**self._shard, ShardIteratorType="TRIM_HORIZON")
        first: str = answer["ShardIterator"]
        return first

    def _next_page(self) -> bool:
        try:
            page = self._client.get_records(ShardIterator=self._iterator, Limit=1000)
        except self._client.exceptions.TrimmedDataAccessException:
            if self._read:
                raise
            # DynamoDB Local, where the first writes on an empty table were cancelled.
            page = self._client.get_records(ShardIterator=self._first(), Limit=1000)
        self._iterator = page["NextShardIterator"]
        self._read += page["Records"]
        return bool(page["Records"])

    def records(self) -> Sequence[Mapping[str, Any]]:
        """All records in the order of the commits; for when nobody writes any more."""
        self._over.set()
        self._thread.join()
        while self._next_page():
            pass
        return self._read


class StressRun:
    """One run on one table; `seed` decides requests and faults, the engine's threads the order."""

    def __init__(
        self,
        engine: Engine,
        table: str,
        seed: int = 0,
        variables: Mapping[str, object] | None = None,
    ) -> None:
        self.engine = engine
        self.table = table
        self.seed = seed
        self.clock = RunningClock()
        self.report = Report()
        self.faults = FaultInjector(random.Random(seed))
        self._http = URLLib3Session(max_pool_connections=4 * WORKERS)
        self._calls = ThreadPoolExecutor(2 * WORKERS)
        endpoint = str(engine.client.meta.endpoint_url)
        self.app = Application(
            Clients(self._answer, endpoint),
            self.clock.clock,
            variables={**_SETTINGS, **(variables or {})},
            instances=WORKERS,
            executor=self._calls,
            table=table,
        )
        self.checker = Checker(self._rules_of, self.clock.now)
        self.heard: list[tuple[Asked, Answer, datetime]] = []
        view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        engine.client.update_table(TableName=table, StreamSpecification=view)  # type: ignore[arg-type]
        arn = engine.client.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        self._stream = Stream(endpoint, arn)
        self._recent: deque[tuple[str, str, str]] = deque(maxlen=100)
        self._definite: set[str] = set()
        self._undecided: list[tuple[str, str, str]] = []
        self._numbers = itertools.count()
        self._points_sent = 0
        self._points_known = 0
        self._lock = threading.Lock()

    def _answer(self, service: str, operation: str, request: AWSPreparedRequest) -> AWSResponse:
        send = self._send if service == "dynamodb" else self.app.outside.send
        return self.faults.answer(operation, request, send)

    def _send(self, request: AWSPreparedRequest) -> AWSResponse:
        response = self._http.send(request)
        if response.status_code != 200:
            text = response.text
            for name in ("TransactionConflict", "ConditionalCheckFailed", "TransactionInProgress"):
                self.report.counts[name] += name in text
            if response.status_code >= 500:
                self.report.counts["5xx"] += 1
        return response

    def _rules_of(self, _: datetime) -> list[Rules]:
        """Time leaps here while instances keep settings: any that ever held may be gone by."""
        return [rules for _, rules in self.app.rules]

    # The run

    def run(self, operations: int, progress: Callable[[str], None] = lambda _: None) -> Report:
        started = time.monotonic()
        with self.app.wired(), patch.object(settings, "SETTINGS_ITEM_SECONDS", SETTINGS_SECONDS):
            self._open()
            self.faults.rate = FAULTS
            over = threading.Event()
            watcher = threading.Thread(target=self._watch, args=(over,), daemon=True)
            watcher.start()
            turns = iter(range(operations))
            workers = [
                threading.Thread(target=self._work, args=(number, turns, operations, progress))
                for number in range(WORKERS)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            over.set()
            watcher.join()
            self._close()
        self.report.operations = operations
        self._check()
        self.report.seconds = time.monotonic() - started
        self.close()
        return self.report

    def checked(self) -> Report:
        """Hold everything against the model; fails on a deviation."""
        self._check()
        assert not self.report.deviations, self.report.text()
        return self.report

    def close(self) -> None:
        self._calls.shutdown()

    def _open(self) -> None:
        """All are from before it was kept when somebody came, so that none of them is new."""
        self.checker.here_before.update(PLAYERS)
        for who in PLAYERS:
            self._operator_puts({"pk": f"PLAYER#{who}", "sk": "STATE", "version": 1})
            self.earn(who, 5000)
            for _ in range(10 if who != PLAYERS[0] else 1):
                self.award(who)

    def _work(
        self, number: int, turns: Iterator[int], operations: int, progress: Callable[[str], None]
    ) -> None:
        rng = random.Random(self.seed * 1000 + number)
        self.app.here.instance = self.app.instances[number]
        while True:
            with self._lock:
                turn = next(turns, None)
            if turn is None:
                return
            share = turn / operations
            if turn % max(1, operations // 20) == 0:
                progress(f"{share:4.0%}  {len(self.heard)} answers")
            try:
                self._direct(turn, share, operations)
                self._something(rng)
            except Deviation as deviation:
                self._deviates(str(deviation))
            except Exception as error:  # noqa: BLE001 - a defect, like any other deviation
                self._deviates(f"unknown to the product: {error!r}")

    def _direct(self, turn: int, share: float, operations: int) -> None:
        """What the run is like as it goes on: time, settings, seasons."""
        if not 0.60 < share < 0.68:
            self.clock.leap(900)
        for at, changed in _CHANGES.items():
            if turn == int(operations * at):
                settings = {**_SETTINGS, **changed}
                self._operator_puts({"pk": "SETTINGS", "sk": "HEIST", **settings})
                self.app.note_rules(settings)
        if turn == int(operations * 0.8):  # everybody begins at 0
            self.clock.leap(31 * 86_400)

    def _something(self, rng: random.Random) -> None:
        chance = rng.random()
        who = rng.choice(PLAYERS)
        if chance < 0.72:
            self._heist(rng)
        elif chance < 0.84:
            for lucky in rng.sample(PLAYERS[1:], 3):  # the first has to do without
                self.award(lucky, f"friend-{rng.randrange(999)}" if rng.random() < 0.2 else "")
        elif chance < 0.93:
            self.earn(who, rng.choice((3, 12, 300, 900)), again=rng.random() < 0.2)
        elif chance < 0.94:
            self._block_for_a_moment(who)
        elif chance < 0.95:
            self._reverse(rng)
        elif chance < 0.955:
            self._be_passive_for_a_moment(rng, who)
        elif chance < 0.958:
            self._meet_a_newcomer(rng)
        elif chance < 0.97:
            at = iso(self.clock.now())
            self._event("upsert_player", {"userId": who, "name": f"{who} at {at}", "updatedAt": at})
        else:
            route, target = rng.choice((("get_tokens", ""), ("check_target", rng.choice(PLAYERS))))
            self._read(route, who, target)

    # What clients ask

    def _heist(self, rng: random.Random) -> None:
        attacker, victim = rng.sample(PLAYERS, 2)
        victim = rng.choices((victim, attacker, STRANGER), (40, 1, 1))[0]
        key: str | None = f"key-{next(self._numbers)}"
        chance = rng.random()
        if chance < 0.3 and self._recent:
            attacker, victim, key = rng.choice(list(self._recent))
            if chance < 0.1:
                victim = rng.choice([who for who in PLAYERS if who != victim])
        elif chance < 0.35:
            key = None
        if key is not None:
            self._recent.append((attacker, victim, key))
        told_to_repeat = 0
        while told_to_repeat <= REPEATS:
            answer = self.ask(attacker, victim, key)
            if answer is not None and answer.status != 503:
                self.report.repeats[told_to_repeat] += 1
                return
            if key is None:
                return
            told_to_repeat += answer is not None
        self._undecided.append((attacker, victim, str(key)))
        self._deviates(f"no definite answer after {REPEATS} repeats: {attacker} {victim} {key}")

    def ask(self, attacker: str, victim: str, key: str | None) -> Answer | None:
        """One request, remembered for the check. None: the process died under it."""
        new_id = f"{next(self._numbers)}-{threading.get_ident()}"
        heist = heist_id(attacker, key, new_id)
        asked = self.checker.asks(heist, attacker, victim, exact=False)
        asked = replace(asked, decided=heist in self._definite)
        try:
            answer = self.app.rob(attacker, victim, key, new_id)
        except Crashed:
            self.report.counts["crashed clients' calls"] += 1
            return None
        with self._lock:
            self.heard.append((asked, answer, self.clock.now()))
            if answer.status in (200, 400):
                self._definite.add(heist)
        return answer

    def award(self, who: str, referred: str = "") -> None:
        """A token for a referral; `referred` may have been referred before."""
        number = next(self._numbers)
        referred = referred or f"friend-{number}"
        detail = {"referralId": f"{number}", "referrerUserId": who, "referredUserId": referred}
        self._event("award_token", detail)

    def earn(self, who: str, points: int, *, again: bool = False) -> None:
        number = next(self._numbers)
        detail: dict[str, object] = {
            "eventId": f"event-{number}",
            "userId": who,
            "points": points,
            "pointEventType": "ORDER_COMPLETED",
        }
        with self._lock:
            self._points_sent += points
        self._event("add_points", detail)
        if again:
            self._event("add_points", detail)
        with self._lock:
            self._points_known += points

    def _block_for_a_moment(self, who: str) -> None:
        """Some of the others' requests come in between."""

        for blocked in (True, False):
            block = partial(wiring.block_player(), who, self._action("block"), blocked=blocked)
            self._until_done(block)
            time.sleep(BRIEF)

    def _be_passive_for_a_moment(self, rng: random.Random, who: str) -> None:
        """Who robbed lately may not; others try to rob them meanwhile, and they others."""
        if self._switch(who, passive=True) != 200:
            return
        for _ in range(2):
            other = rng.choice([one for one in PLAYERS if one != who])
            for pair in ((who, other), (other, who)):
                self.ask(*pair, f"key-{next(self._numbers)}")
        while self._switch(who, passive=False) == 409:
            self.clock.leap(600)

    def _switch(self, who: str, *, passive: bool) -> int:
        """The status of an answer, for which a client asks until it comes."""
        while True:
            try:
                answer = self.app.request("manage_preferences", who, body={"passive": passive})
            except Crashed:
                continue
            if answer.status in (200, 409):
                self.report.counts[f"switches answered {answer.status}"] += 1
                return answer.status
            if answer.status != 503:
                raise Deviation(f"preferences of {who}: {answer.status} {answer.text}")

    def _meet_a_newcomer(self, rng: random.Random) -> None:
        newcomer = f"newcomer-{next(self._numbers)}"
        self.award(newcomer)
        self.ask(newcomer, rng.choice(PLAYERS), f"key-{next(self._numbers)}")
        for robber in PLAYERS[1:]:
            self.ask(robber, newcomer, f"key-{next(self._numbers)}")

    def _reverse(self, rng: random.Random) -> None:
        with self._lock:
            heists = [
                asked.heist_id for asked, answer, _ in self.heard[-500:] if answer.status == 200
            ]
        if not heists:
            return
        heist, action = rng.choice(heists), self._action("reverse")
        store, clock = wiring.store(), self.app.clock
        self._until_done(lambda: ReverseHeist(store, clock)(heist, action, refund_token=False))

    def _action(self, what: str) -> Action:
        number = next(self._numbers)
        return Action(f"{number}", self.clock.now(), "somebody", what, "", "because", {}, {})

    def _until_done(self, work: Callable[[], object]) -> None:
        """Operators and the bus repeat what failed."""
        while True:
            try:
                work()
            except (Crashed, Unavailable):
                continue
            return

    def _event(self, function: str, detail: Mapping[str, object]) -> None:
        detail = {"occurredAt": iso(self.clock.now()), **detail}
        self._until_done(lambda: self.app.event(function, detail))

    def _read(self, route: str, who: str, target: str) -> None:
        try:
            answer = self.app.request(route, who, path={"targetUserId": target})
        except Crashed:
            return
        if answer.status not in (200, 429, 503):
            raise Deviation(f"{route} for {who}: {answer.status} {answer.text}")

    # What is checked meanwhile

    def _watch(self, over: threading.Event) -> None:
        """Snapshots of all players in one transaction: conserved, and nothing negative."""
        while not over.wait(0.2):
            least = self._points_known
            keys = [
                {"pk": {"S": f"PLAYER#{who}"}, "sk": {"S": sort}}
                for who in PLAYERS
                for sort in ("STATE", "SEASONS")
            ]
            try:
                found = self.engine.client.transact_get_items(
                    TransactItems=[{"Get": {"TableName": self.table, "Key": key}} for key in keys]
                )
            except ClientError:
                self.report.counts["snapshots refused"] += 1
                continue
            states = [plain(one.get("Item")) or {} for one in found["Responses"]]
            held = sum(
                int(value)
                for state in states
                for name, value in state.items()
                if name.startswith("points#")
            )
            if not least <= held <= self._points_sent:
                self._deviates(f"snapshot: {held} points of {least} to {self._points_sent}")
            for state in states:
                numbers = [
                    int(state.get(name, 0)) for name in ("tokens", "tokensEarned", "tokensSpent")
                ]
                if min(numbers) < 0 or numbers[0] != numbers[1] - numbers[2]:
                    self._deviates(f"snapshot: tokens, earned and spent are {numbers}")
            self.report.counts["snapshots"] += 1

    # And afterwards

    def _close(self) -> None:
        self.faults.calm_down()
        self.clock.leap(3600)
        for attacker, victim, key in self._undecided:
            answer = self.ask(attacker, victim, key)
            if answer is None or answer.status == 503:
                self._deviates(f"no definite answer without faults: {attacker} {victim} {key}")
        for defect in self.app.logger.defects:
            self._deviates(defect)

    def _check(self) -> None:
        report = self.report
        report.faults = self.faults.seen
        report.faulted_share = self.faults.faulted_writes / max(1, self.faults.writes)
        try:
            self._check_commits(self._stream.records())
            report.commits = self.checker.counts
            for asked, answer, until in self.heard:
                self.checker.hears(asked, answer, until)
        except Deviation as deviation:
            self._deviates(str(deviation))
        report.answers = self.checker.answers
        report.counts["replays"] = self.checker.replays
        audit = audit_items(self._items())
        for violation in audit.violations():
            self._deviates(f"audit: {violation}")
        for season, earned in audit.earned.items():
            stories = audit.players.values()
            held = sum(simulation.points.get(season, 0) for simulation in stories)
            booked = sum(simulation.ledger.get(season, 0) for simulation in stories)
            report.points[season] = (earned, held, booked)
            if not earned == held == booked:
                self._deviates(f"{season}: {earned} earned, {held} held, {booked} booked")

    def _check_commits(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Hold all commits against the model, in their order."""
        for record in records:
            part = record["dynamodb"]
            self.checker.changed(part["Keys"], part.get("OldImage"), part.get("NewImage"))
        self.checker.committed()
        self.report.counts["changes checked"] = len(records)

    def _items(self) -> Iterator[dict[str, Any]]:
        pages = self.engine.client.get_paginator("scan").paginate(TableName=self.table)
        for page in pages:
            for item in page["Items"]:
                yield plain(item) or {}

    def _operator_puts(self, item: Mapping[str, object]) -> None:
        wire = {name: TypeSerializer().serialize(value) for name, value in item.items()}
        self.engine.client.put_item(TableName=self.table, Item=wire)

    def _deviates(self, what: str) -> None:
        self.report.deviations.append(what)


@contextmanager
def concurrent_engine(home: Path, names: Sequence[str] = CONCURRENT) -> Iterator[Engine]:
    """DynamoDB Local; or MiniStack, where there is no Maven to fetch it."""
    for name in names:
        try:
            context = ENGINES[name](home)
            engine = context.__enter__()
        except pytest.skip.Exception as missing:
            reason = missing
            continue
        try:
            yield engine
        finally:
            context.__exit__(None, None, None)
        return
    raise reason


def main() -> int:
    parser = argparse.ArgumentParser(prog="stress", description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=CONCURRENT, help="the best that is here")
    options = parser.parse_args()
    names = [options.engine] if options.engine else CONCURRENT
    with tempfile.TemporaryDirectory() as home, concurrent_engine(Path(home), names) as engine:
        print(f"on {engine.name}, {WORKERS} at once, {len(PLAYERS)} players", flush=True)
        with engine.table() as table:
            report = StressRun(engine, table, options.seed).run(
                options.operations, lambda line: print(line, file=sys.stderr, flush=True)
            )
    report.check_the_run_itself()
    print(report.text())
    return 1 if report.deviations else 0


if __name__ == "__main__":
    sys.exit(main())
