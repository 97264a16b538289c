"""Many clients at once against one: `make bench-load`, two to four minutes.

On the embedded AWS over HTTP with real tokens, and on DynamoDB Local in threads. Prints the
throughput as a ratio to one client's, and fails when an answer is neither a success, a named
refusal, 429 nor a few 503, or when something was lost: afterwards the audit must be clean, points
must add up, and every success that a client received must be booked and notified to both players.
"""

import argparse
import itertools
import os
import random
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from heist_core.domain.award import Award, EarnedPoints
from heist_core.domain.errors import RateLimited, Unavailable
from heist_core.domain.heist import Attempt, Heist
from heist_core.domain.player import Player
from heist_core.settings import LiveSettings, parse_settings
from heist_core.storage import keys, wire
from heist_core.storage.audit import Audit, audit_items
from heist_core.storage.store import Store
from heist_core.storage.table import Table
from heist_core.tally import DAY, Tally
from heist_core.use_cases.clock import Clock
from heist_core.use_cases.execute_heist import ExecuteHeist
from local.console import plain_streams, say, show
from local.players import wait_until
from local.stack import Stack, running_stack
from tests.engines import dynamodb_local, forget_aws_settings
from tests.integration.game import Game

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLIENTS = 16
SECONDS = 6.0
ROBBERS = 200
POINTS = 3000
TOKENS_IN_THREADS, TOKENS_OVER_HTTP = 15, 40
"""Of each robber: more than both loads spend, so that the second still consists of heists."""
UNAVAILABLE_SHARE = 0.01
"""So many answers may be 503."""
NO_LIMITS: dict[str, int] = {
    "HEIST_COOLDOWN_HOURS": 0,
    "HEIST_TARGET_COOLDOWN_HOURS": 0,
    "HEIST_RATE_LIMIT_PER_MINUTE": 1000,
}
"""So that the load is heists, and not refusals."""


class Answered(NamedTuple):
    """What a client received: a status or a code; and the heist, if one succeeded."""

    what: str
    heist_id: str | None = None


Client = Callable[[random.Random], Answered]
"""One request by one of the clients."""


class Load(NamedTuple):
    """What some clients received in some seconds."""

    answers: Counter[str]
    heists: list[str]
    seconds: float

    @property
    def rate(self) -> float:
        return self.answers.total() / self.seconds


def put_under_load(clients: Sequence[Client], seconds: float) -> Load:
    """Every client asks once, and again as soon as it was answered until `seconds` are over.

    Raises what a client raises.
    """
    answers: Counter[str] = Counter()
    heists: list[str] = []
    lock = threading.Lock()
    started = time.monotonic()

    def work(number: int) -> None:
        rng = random.Random(number)
        while True:
            answered = clients[number](rng)
            with lock:
                answers[answered.what] += 1
                if answered.heist_id is not None:
                    heists.append(answered.heist_id)
            if time.monotonic() >= started + seconds:
                return

    with ThreadPoolExecutor(len(clients)) as threads:
        list(threads.map(work, range(len(clients))))
    return Load(answers, heists, time.monotonic() - started)


def lost(audit: Audit, heists: Sequence[str]) -> Iterator[str]:
    """Everything that does not add up in a table where nothing should be owed any more."""
    yield from map(str, audit.violations())
    if audit.owing:
        yield f"{len(audit.owing)} records still owe something"
    held = sum(points for each in audit.players.values() for points in each.points.values())
    if held != sum(audit.earned.values()):
        yield f"{held} points are held, {sum(audit.earned.values())} were earned"
    for heist_id in heists:
        if audit.heists.get(heist_id, {}).get("status") != "SUCCESS":
            yield f"heist {heist_id} was answered, and has no record"
        elif not booked_for_both(audit.heist_entries[heist_id]):
            yield f"heist {heist_id} is not booked for both"


def booked_for_both(entries: Mapping[str, int]) -> bool:
    """Two entries of one heist whose points add up to zero."""
    return len(entries) == 2 and sum(entries.values()) == 0


def unwanted(load: Load) -> Iterator[str]:
    """Answers that no client should have received."""
    for what, times in load.answers.items():
        if what == "503":
            if times > UNAVAILABLE_SHARE * load.answers.total():
                yield f"{times} times 503"
        elif what not in ("200", "429") and not what.isupper():
            yield f"{times} times {what}"


def everything(client: "DynamoDBClient", table: str) -> list[wire.Item]:
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [wire.from_wire(item) for page in pages for item in page["Items"]]


def endow(store: Store, players: Sequence[str], tokens: int) -> None:
    """Points and tokens, as events would give them."""

    def give(player: str) -> None:
        now = datetime.now(UTC)
        seen = Player(player)
        earned = EarnedPoints(f"start-{player}", player, POINTS, "START", now)
        store.commit_points(earned, seen, earned.change_of(seen, now))
        for number in range(tokens):
            friend = f"friend-{number}-of-{player}"
            store.commit_award(Award(friend, player, friend, None, now))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(give, players))


# On DynamoDB Local, in threads


def in_threads(seconds: float) -> Iterator[str]:
    """Execute and its storage, without HTTP.

    Every third attempt is on one of four famous players, the others on players who are hardly ever
    in two attempts at once; every tenth is the client's last one, sent again.
    """
    with (
        tempfile.TemporaryDirectory() as home,
        dynamodb_local(Path(home)) as engine,
        engine.table() as table,
        ThreadPoolExecutor(2 * CLIENTS) as calls,
    ):
        store = Store(Table(engine.client, table), calls)
        settings = LiveSettings(parse_settings(NO_LIMITS), time.monotonic, lambda: None)
        clock = Clock(lambda: datetime.now(UTC), time.monotonic, time.sleep)
        execute = ExecuteHeist(store, settings, clock, Tally(DAY, time.time))
        famous = [f"famous-{number}" for number in range(4)]
        robbers = [f"robber-{number}" for number in range(ROBBERS)]
        endow(store, famous, 0)
        endow(store, robbers, TOKENS_IN_THREADS)
        numbers = itertools.count()

        def client() -> Client:
            before: list[Attempt] = []

            def ask(rng: random.Random) -> Answered:
                robber, other = rng.sample(robbers, 2)
                victim = rng.choice(famous) if rng.random() < 1 / 3 else other
                attempt = Attempt(f"{next(numbers):032x}", robber, victim, None)
                if before and rng.random() < 0.1:
                    attempt = before[-1]
                before[:] = [attempt]
                try:
                    result = execute(attempt, 29.0).result
                except RateLimited:
                    return Answered("429")
                except Unavailable:
                    return Answered("503")
                if isinstance(result, Heist):
                    return Answered("200", attempt.id)
                return Answered(result.refusal.code)

            return ask

        clients = [client() for _ in range(CLIENTS)]
        loads = [put_under_load(clients[:1], seconds), put_under_load(clients, seconds)]
        yield from figures("DynamoDB Local, threads", loads)
        with Game(engine.client, table).wired() as game:
            game.time.at = datetime.now(UTC)
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
                while game.owed():
                    game.sweep()
        yield from verdict(audit_items(game.everything()), loads)


# On the embedded AWS, over HTTP


def over_http(seconds: float) -> Iterator[str]:
    """Two heists, and a look at tokens, target and inbox, in five requests."""
    with tempfile.TemporaryDirectory() as home, running_stack(Path(home)) as stack:
        table = stack.outputs.TableName
        settings = wire.to_wire({**keys.SETTINGS, **NO_LIMITS})
        stack.dynamodb.put_item(TableName=table, Item=settings)
        users = [f"client-{number}" for number in range(CLIENTS)]
        ids = [stack.sign_up(user) for user in users]
        tokens = [stack.token(user) for user in users]
        with ThreadPoolExecutor(4) as calls:
            endow(Store(Table(stack.dynamodb, table), calls), ids, TOKENS_OVER_HTTP)

        def audit() -> Audit:
            return audit_items(everything(stack.dynamodb, table))

        def wait_until_settled() -> None:
            wait_until("everything owed to be settled", lambda: not audit().owing)

        clients = [_browser(stack, tokens, ids)] * CLIENTS
        put_under_load(clients, 4 * seconds)  # until as many workers as clients are warm
        wait_until_settled()
        loads = [put_under_load(clients[:1], seconds)]
        wait_until_settled()
        loads.append(put_under_load(clients, seconds))
        yield from figures("embedded AWS, HTTP", loads)
        wait_until_settled()
        yield from verdict(audit(), loads)


def _browser(stack: Stack, tokens: Sequence[str], ids: Sequence[str]) -> Client:
    """Each request is by another player: one client has as many tokens to spend as 16 have."""

    def ask(rng: random.Random) -> Answered:
        token, target = rng.choice(tokens), rng.choice(ids)
        chance = rng.random()
        if chance < 0.4:
            answer = stack.call(
                "POST",
                "/execute",
                token=token,
                body={"targetUserId": target},
                headers={"Idempotency-Key": uuid.uuid4().hex},
            )
            if answer.status == 200:
                return Answered("200", answer.json["heistId"])
        else:
            path = rng.choice(("/tokens", f"/can-rob/{target}", "/notifications"))
            answer = stack.call("GET", path, token=token)
        if answer.status == 400:
            return Answered(str(answer.json["code"]))
        return Answered(str(answer.status))

    return ask


# What is printed


def figures(where: str, loads: Sequence[Load]) -> Iterator[str]:
    """Prints the figures; yields what should not have been answered."""
    one, many = loads
    show(f"{where}: {CLIENTS} clients {many.rate / one.rate:.2f} times as many answers as one")
    for clients, load in zip((1, CLIENTS), loads, strict=True):
        heard = ", ".join(f"{what} {times}" for what, times in load.answers.most_common())
        say(f"  {clients} client(s), {load.rate:.0f} a second: {heard}")
        yield from unwanted(load)


def verdict(audit: Audit, loads: Sequence[Load]) -> Iterator[str]:
    """Prints the sums; yields what was lost."""
    heists = sorted({heist for load in loads for heist in load.heists})
    found = list(lost(audit, heists))
    show(
        f"  {len(heists)} successes answered, {len(audit.heists)} records, "
        f"{sum(audit.earned.values())} points earned and held; {len(found)} violations"
    )
    yield from found


def main() -> int:
    plain_streams()
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="each of four loads")
    options = parser.parse_args()
    problems = []
    forget_aws_settings()
    for run in (in_threads, over_http):
        try:
            problems += list(run(options.seconds))
        except pytest.skip.Exception as missing:
            show(f"skipped: {missing}")
    for problem in problems:
        show(f"✘ {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
