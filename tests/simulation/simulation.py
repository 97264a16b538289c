"""One seed: a short game of a few players, with everything that can go wrong while they play."""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from heist_core import wiring
from heist_core.domain.action import Action, Remember
from heist_core.domain.errors import (
    IdempotencyMismatch,
    NoSuchPlayer,
    NotReversible,
    Unavailable,
)
from heist_core.storage import keys, operator
from heist_core.storage.audit import audit_items
from heist_core.use_cases.answer_once import Outcome, digest
from heist_core.use_cases.reverse_heist import ReverseHeist
from tests.application import Answer
from tests.fakes import FakeClock
from tests.proxies import body_of

from .application import CONSUMERS, START, Application, Clients, heist_id, notices_in_digest
from .checker import REVERSAL, Checker, iso, plain
from .engine import MotoEngine, Wire
from .faults import MAILS, FaultInjector
from .model import Player, locked_until, loot, season_of, verdict
from .scheduler import Crashed, Deviation, Scheduler

Work = Callable[[], object]

PLAYERS = ("ann", "ben", "cat", "dan", "eve")
STRANGER = "zoe"
SEASON_EDGE = datetime(2026, 12, 1, tzinfo=UTC)
LEASE_AND_MORE = 400.0
OLD_SEASONS = ((), ("2026-08", "2026-09", "2026-10"))
"""What players have from before there was an item for old seasons."""
TWO_MONTHS = 62 * 86_400.0
UNDONE = "was reversed"
"""Stands in every mail of a reversal, and in no other."""


class Failure(AssertionError):
    """A deviation, what led to it, and how to see it again."""


class Simulator:
    """What outlives a seed, because it is slow to make: the engine and the clients."""

    def __init__(self) -> None:
        self.engine = MotoEngine()
        self.clients = Clients(self._answer)
        self.simulation: Simulation | None = None

    def run(self, seed: int, trace: Callable[[str], None] = lambda _: None) -> "Simulation":
        """Run one seed to its end; raises Failure. `trace` gets every line as it happens."""
        with self.opened(seed, trace) as simulation:
            try:
                simulation.run()
            except Deviation as deviation:
                lines = ["", *simulation.lines[-60:], "", f"DEVIATION: {deviation}"]
                lines += simulation.app.logger.defects
                again = f"See it again: make search SEED={seed}"
                raise Failure("\n".join([*lines, again])) from deviation
        return simulation

    @contextmanager
    def opened(
        self, seed: int, trace: Callable[[str], None] = lambda _: None
    ) -> "Iterator[Simulation]":
        """An empty table, and the product wired to it."""
        self.engine.reset()
        self.simulation = Simulation(self, seed, trace)
        with self.simulation.app.wired():
            yield self.simulation

    def _answer(self, service: str, operation: str, request: AWSPreparedRequest) -> AWSResponse:
        assert self.simulation is not None
        send = self.engine.send if service == "dynamodb" else self.simulation.app.outside.send
        return self.simulation.faults.answer(operation, request, send)


class Simulation:
    def __init__(self, simulator: Simulator, seed: int, trace: Callable[[str], None]) -> None:
        self._trace = trace
        self.seed = seed
        self.rng = rng = random.Random(seed)
        random.seed(seed)
        self.lines: list[str] = []
        self.engine = simulator.engine
        self.clock = FakeClock(self._start()).clock
        self.settings = {**self._some_settings(), "HEIST_AWARDS_ENABLED": True}
        self.app = Application(simulator.clients, self.clock, variables=self.settings)
        self.checker = Checker(self.app.rules_of, self.clock.now)
        self.scheduler = Scheduler(rng)
        self.rate = rng.choice((0.0, 0.05, 0.15, 0.3))
        self.faults = FaultInjector(rng, pause=self.scheduler.pause, log=self._log)
        if (
            rng.random() < 0.7
        ):  # else time stands still but for the leaps, some of them to the moment
            self.faults.advance = self.clock.sleep
        self.faults.faulted = self._doubt
        self.engine.changed = self.checker.changed
        self.engine.committed = self.checker.committed
        self.checker.inserted = self._streamed
        self.undelivered: dict[str, list[Mapping[str, object]]] = {name: [] for name in CONSUMERS}
        self.records_of: dict[str, Mapping[str, object]] = {}
        """Those of the stream, by the partition key of what they are about."""
        self.events: list[tuple[str, dict[str, object]]] = []
        self.profiles: dict[tuple[str, str], list[tuple[str, object]]] = defaultdict(list)
        self.openings: dict[tuple[str, str], int] = {}
        """Points from before, of which nobody was told: by player and season."""
        self.referrers: dict[str, set[str]] = defaultdict(set)
        self.keys: list[tuple[str, str, str]] = []
        self.undecided: list[tuple[str, str, str]] = []
        self.doubtful: set[str] = set()
        """Notices of which a mail, or what is known of it, met a fault: `HEIST#…/player`."""
        self.doubtful_digests: set[str] = set()
        """Players with one of whose digests, or what is known of it, something went wrong."""
        self.hushed: set[str] = set()
        """Players who, some time, wanted no mail."""
        self.asked_again: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self._numbers = 0

    # The course of a run

    def run(self) -> None:
        self._open()
        self.faults.rate = self.rate
        for _ in range(self.rng.randint(8, 12)):
            self._between()
            hot = self.rng.sample(PLAYERS, 2) if self.rng.random() < 0.5 else None
            works = [self._something(hot) for _ in range(self.rng.choice((1, 2, 3, 3)))]
            if self.rng.random() < 0.35:
                works += self._twins()
            self._act(works)
        self.close()

    def _start(self) -> datetime:
        if self.rng.random() < 0.4:
            return SEASON_EDGE - timedelta(milliseconds=self.rng.randint(1000, 20_000))
        return START + timedelta(seconds=self.rng.randrange(86_400))

    def _some_settings(self) -> dict[str, object]:
        pick = self.rng.choice
        return {
            "HEIST_ENABLED": self.rng.random() < 0.95,
            "HEIST_COOLDOWN_HOURS": pick((0, 0, 1, 24)),
            "HEIST_TARGET_COOLDOWN_HOURS": pick((0, 0, 1, 48)),
            "HEIST_STEAL_PERCENTAGE": pick((5, 10, 50, 100)),
            "HEIST_MAX_STEAL_POINTS": pick((10, 100, 1000)),
            "HEIST_MIN_TARGET_POINTS": pick((0, 20, 20)),
            "HEIST_EMAIL_ENABLED": True,
            "HEIST_AWARDS_ENABLED": self.rng.random() < 0.75,
            "HEIST_RATE_LIMIT_PER_MINUTE": pick((2, 5, 10, 10)),
            "HEIST_MAX_ROBBERIES_PER_SEASON": pick((0, 0, 0, 0, 0, 1, 2)),
            "HEIST_MAX_LOSS_PERCENTAGE": pick((100, 100, 100, 100, 100, 10, 40)),
            "HEIST_PAIR_COOLDOWN_HOURS": pick((0, 0, 1, 24)),
            "HEIST_NEWCOMER_HOURS": pick((0, 0, 0, 0, 0, 1)),
            "HEIST_PASSIVE_LOCK_HOURS": pick((0, 0, 1, 24)),
            "HEIST_EMAIL_DEFAULT": pick(("instant", "instant", "daily")),
            "HEIST_DIGEST_HOUR_UTC": pick((0, 0, 8)),
        }

    def _open(self) -> None:
        """Nothing goes wrong yet. Some may be from before it was kept when they came."""
        for who in self.rng.choice(((), (), PLAYERS[:2])):
            old = {season: self.rng.randint(1, 99) for season in self.rng.choice(OLD_SEASONS)}
            points = {f"points#{season}": each for season, each in old.items()}
            state = {"pk": f"PLAYER#{who}", "sk": "STATE", "version": 1, **points}
            self.engine.operator_puts(state)
            self.checker.game.meet(who, None)
            for season, each in old.items():
                entry = {"pk": f"LEDGER#{who}", "sk": f"{season}#IMPORT#OPENING", "points": each}
                self.engine.operator_puts(entry)
                self.checker.game.earn(who, season, each)
                self.openings[who, season] = each
        for who in PLAYERS:
            if self.rng.random() < 0.9:
                self._once(self.earn(who, 300))
            for _ in range(self.rng.choice((0, 1, 2, 2))):
                self._once(self.award(who, f"first-{self._number()}"))
            if self.rng.random() < 0.4:
                self._once(self._profile(who))

    def _once(self, work: Work) -> None:
        work()
        self.no_defects()

    def _act(self, works: list[Work]) -> None:
        instances = [self.rng.choice(self.app.instances) for _ in works]

        def on(instance: Any, work: Work) -> None:
            self.app.here.instance = instance
            work()

        self.scheduler.run([partial(on, *pair) for pair in zip(instances, works, strict=True)])
        self.no_defects()

    def no_defects(self) -> None:
        if self.app.logger.defects:
            raise Deviation("an error that the product does not know")

    def _between(self) -> None:
        """No request is under way: time may leap, and the operator may change the settings."""
        chance = self.rng.random()
        if chance < 0.45:
            self.clock.sleep(self._leap())
            self._log(f"it is {iso(self.clock.now())}")
        elif chance < 0.55:
            self.settings = self._some_settings()
            self.engine.operator_puts({"pk": "SETTINGS", "sk": "HEIST", **self.settings})
            self.app.note_rules(self.settings)
            self._log(f"settings {list(self.settings.values())}")

    def _leap(self) -> float:
        now = self.clock.now()
        ends = [
            (moment + timedelta(hours=hours) - now).total_seconds()
            for player in self.checker.game.players.values()
            for moment in (
                *(player.last_heist, player.last_robbed, player.first_seen, player.switched),
                *player.victims.values(),
            )
            for hours in (1, 24, 48)
            if moment is not None
        ]
        to_edge = (SEASON_EDGE - now).total_seconds() - self.rng.uniform(0, 0.2)
        choices = [
            30.0,
            60.0,
            3600.0,
            to_edge,
            *self._far_leap(),
            *(end - 0.05 for end in ends),
            *ends,
        ]
        return self.rng.choice([seconds for seconds in choices if seconds > 0])

    def _far_leap(self) -> list[float]:
        """Once, so that no notice is gone meanwhile: what has happened is of an old season then."""
        return [TWO_MONTHS] if self.clock.now() < SEASON_EDGE + timedelta(days=7) else []

    def _something(self, hot: list[str] | None) -> Work:
        kinds: dict[Callable[[], Work], int] = {
            lambda: self._heist(hot): 50,
            self._same_key: 14,
            lambda: self.award(self.rng.choice(hot or PLAYERS)): 7,
            lambda: self.earn(self.rng.choice(hot or (*PLAYERS, STRANGER))): 8,
            lambda: self._profile(self.rng.choice(hot or PLAYERS)): 6,
            self._event_again: 6,
            self._deliver: 10,
            self._sweep: 2,
            self._send_digests: 3,
            self._mail_again: 3,
            self._reverse: 3,
            self._block: 2,
            self._grant: 3,
            lambda: self._erase(self.rng.choice((*PLAYERS, STRANGER))): 1,
            self._choose: 6,
            self._tokens: 3,
            self._can_rob: 4,
            self._read: 3,
        }
        return self.rng.choices(list(kinds), list(kinds.values()))[0]()

    def _work(self, kind: str, what: str, call: Work, *refused: type[Exception]) -> Work:
        """What may fail, or be refused, without harm: it is repeated some time."""
        expected: tuple[type[BaseException], ...] = (Crashed, Unavailable, *refused)

        def work() -> None:
            self.operations[kind] += 1
            self._log(what)
            try:
                call()
            except expected as error:
                self._log(f"{what}: {error!r}")

        return work

    # Heists

    def _number(self) -> str:
        self._numbers += 1
        return f"{self._numbers:04d}"

    def _heist(self, hot: list[str] | None) -> Work:
        attacker, victim = self._pair(hot)
        victim = self.rng.choices((victim, attacker, STRANGER), (30, 1, 1))[0]
        key = None if self.rng.random() < 0.3 else f"key-{self._number()}"
        if key is not None:
            self.keys.append((attacker, victim, key))
        return self.ask(attacker, victim, key)

    def _pair(self, hot: list[str] | None) -> tuple[str, str]:
        """Who robs whom: mostly somebody with a token somebody with points."""
        attacker, victim = self.rng.sample(PLAYERS, 2)
        if self.rng.random() < 0.8:
            players, season = self.checker.game.players, season_of(self.clock.now())
            armed = [who for who in PLAYERS if players[who].tokens and who != victim]
            attacker = self.rng.choice(armed or [attacker])
            rich = [
                who for who in PLAYERS if players[who].points.get(season, 0) and who != attacker
            ]
            victim = self.rng.choice(rich or [victim])
        robbers = {who: self.checker.game.players[who] for who in PLAYERS}
        before = [(who, one) for who in PLAYERS for one in robbers[who].victims]
        again = [(who, one) for who, one in before if robbers[who].tokens]
        if again and self.rng.random() < 0.4:
            return self.rng.choice(again)
        if hot is not None and self.rng.random() < 0.8:
            attacker = self.rng.choice((attacker, hot[0]))
            victim = self.rng.choice((victim, hot[1]))
        return attacker, victim

    def _same_key(self) -> Work:
        if not self.keys:
            return self._heist(None)
        attacker, victim, key = self.rng.choice(self.keys[-4:])
        if self.rng.random() < 0.35:
            victim = self.rng.choice(PLAYERS)
        if self.rng.random() < 0.1:
            attacker = self.rng.choice(PLAYERS)
        return self.ask(attacker, victim, key)

    def _twins(self) -> list[Work]:
        """The same request twice at once, as from an impatient client, and maybe just when a token
        comes that decides it; or two profiles of one player; or two shards with news for the same,
        or the same news twice; or old news just when a mail of it is asked for again; or an erasure
        just when its player gains."""
        chance = self.rng.random()
        if chance < 0.2:
            who = self.rng.choice(PLAYERS)
            if chance < 0.02:
                return [self._erase(who), self._profile(who), self.award(who), self.earn(who)]
            return [self._profile(who), self._profile(who)]
        if chance < 0.22 and self.checker.held:
            return [self._erase(next(iter(self.checker.held.values()))), self._sweep()]
        if chance < 0.3 and self._ended_mails():
            subject, who = self.rng.choice(self._ended_mails())
            again = [self.records_of[subject]]
            deliver = partial(self.app.call, "notify_players", {"Records": again})
            told = self._work("batches", f"{subject} to notify_players", deliver)
            return [self._again(subject, who), told]
        if chance < 0.5:
            newest = self.rng.random() < 0.6
            return [
                partial(self.deliver_to, "notify_players", 3, newest=newest),
                partial(self.deliver_to, "notify_players", 3, newest=True),
            ]
        attacker, victim = self._pair(None)
        works = []
        if self.rng.random() < 0.5:
            players = self.checker.game.players
            poor = [who for who in PLAYERS if not players[who].tokens and who != victim]
            attacker = self.rng.choice(poor or [attacker])
            works.append(self.award(attacker, f"just-now-{self._number()}"))
        key = f"key-{self._number()}"
        self.keys.append((attacker, victim, key))
        return [*works, self.ask(attacker, victim, key), self.ask(attacker, victim, key)]

    def ask(self, attacker: str, victim: str, key: str | None) -> Work:
        new_id = f"{self._number()}{self.rng.getrandbits(64):x}"
        heist = heist_id(attacker, key, new_id)

        def work() -> None:
            self.operations["heists"] += 1
            self._log(f"{attacker} robs {victim} under {key}: {heist}")
            asked = self.checker.asks(heist, attacker, victim)
            try:
                answer = self.app.rob(attacker, victim, key, new_id)
            except Crashed:
                self._log(f"no answer to {attacker} on {victim} under {key}")
                return
            self._log(f"{attacker} on {victim} under {key}: {answer.status} {answer.text}")
            self.checker.hears(asked, answer)
            if answer.status == 503 and key is not None:
                self.undecided.append((attacker, victim, key))

        return work

    # Events in

    def award(self, who: str, referred: str = "") -> Work:
        referred = referred or f"friend-{self.rng.randrange(9)}"
        return self.event(
            "award_token",
            {
                "referralId": self._number(),
                "referrerUserId": who,
                "referredUserId": referred,
                "referredUserName": referred.title(),
            },
        )

    def earn(self, who: str, points: int = 0) -> Work:
        days = 0 if points else self.rng.choice((0, 0, 0, -3, -33, -80))
        occurred = self.clock.now() + timedelta(days=days)
        detail: dict[str, object] = {
            "eventId": self._number(),
            "userId": who,
            "points": points or self.rng.choice((1, 15, 20, 100, 333)),
            "pointEventType": "ORDER_COMPLETED",
            "occurredAt": iso(occurred),
        }
        return self.event("add_points", detail)

    def _profile(self, who: str) -> Work:
        at = iso(self.clock.now() + timedelta(seconds=self.rng.choice((-60, 0, 0, 60))))
        detail: dict[str, object] = {"userId": who, "updatedAt": at}
        if self.rng.random() < 0.8:
            detail["name"] = self.rng.choice((None, f"{who} {self._number()}"))
        if self.rng.random() < 0.8:
            detail["email"] = f"{who}@example.com"
        for name in detail.keys() & {"name", "email"}:
            self.profiles[who, name].append((at, detail[name]))
        return self.event("upsert_player", detail)

    def _event_again(self) -> Work:
        if not self.events:
            return self.earn(self.rng.choice(PLAYERS))
        function, detail = self.rng.choice(self.events)
        if function == "award_token" and self.rng.random() < 0.5:
            detail = {**detail, "referrerUserId": self.rng.choice(PLAYERS)}
        return self.event(function, detail)

    def event(self, function: str, detail: dict[str, object]) -> Work:
        """Delivered at least once: what failed, or once in a while what did not, comes again."""
        event = (function, detail)
        self.events.append(event)
        if function == "award_token":
            self.referrers[str(detail["referredUserId"])].add(str(detail["referrerUserId"]))

        def deliver() -> None:
            self.app.event(function, detail)
            if self.rng.random() < 0.7 and event in self.events:
                self.events.remove(event)

        return self._work(function, f"{function} {detail}", deliver)

    # Out of the stream

    def _streamed(self, key: Wire, image: Wire) -> None:
        for consumer, records in self.undelivered.items():
            if consumer == "notify_players" and image["owedBucket"]["S"] in keys.REFUSED_BUCKETS:
                continue  # the filter of template.yaml
            number = str(len(self.lines))
            part = {"Keys": key, "NewImage": image, "SequenceNumber": number}
            record = {"eventName": "INSERT", "dynamodb": part}
            records.append(record)
            subject = key["pk"]["S"] + REVERSAL * (key["sk"]["S"] == "REVERSAL")
            self.records_of[subject] = record

    def _doubt(self, operation: str, request: AWSPreparedRequest) -> None:
        body = body_of(request)
        if operation == MAILS:
            address = body["Destination"]["ToAddresses"][0].partition("@")[0]
            mail = body["Content"]["Simple"]
            if notices_in_digest(mail["Subject"]["Data"]) is not None:
                self.doubtful_digests.add(address)
                return
            text = mail["Body"]["Text"]["Data"]
            heist = next(one for one in self.checker.heists if one in text)
            self.doubtful.add(f"HEIST#{heist}{REVERSAL * (UNDONE in text)}/{address}")
        elif operation == "UpdateItem" and body["Key"]["sk"]["S"].startswith("NOTICE#"):
            pk, (_, recipient, *of) = body["Key"]["pk"]["S"], body["Key"]["sk"]["S"].split("#")
            self.doubtful.add(f"{pk}{REVERSAL * bool(of)}/{recipient}")
        elif operation == "UpdateItem" and body["Key"]["pk"]["S"].startswith("DIGEST#"):
            self.doubtful_digests.add(body["Key"]["pk"]["S"].removeprefix("DIGEST#"))

    def _deliver(self) -> Work:
        consumer = self.rng.choice(CONSUMERS)
        return partial(self.deliver_to, consumer, self.rng.randint(1, 4))

    def deliver_to(self, consumer: str, count: int, *, newest: bool = False) -> None:
        """Deliver some records that wait. Only those of one item have an order among them."""
        waiting = self.undelivered[consumer]
        batch = waiting[::-1][:count] if newest else waiting[:count]
        self.operations["batches"] += 1
        self._log(f"{len(batch)} records to {consumer}")
        try:
            answer = self.app.call(consumer, {"Records": batch})
        except Crashed:
            return
        failures = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        if failures or self.rng.random() < 0.3:
            return
        for record in batch:
            if record in waiting:
                waiting.remove(record)

    def _sweep(self) -> Work:
        def sweep() -> None:
            grace = self.rng.choice((0, 60))
            self.app.call("sweep_notifications", {"graceSeconds": grace})

        return self._work("sweeps", "a sweep", sweep)

    def _send_digests(self) -> Work:
        send = partial(self.app.call, "send_digests", {})
        return self._work("runs of digests", "a run of digests", send)

    def _mail_again(self) -> Work:
        """An operator asks for a mail that had ended; or for any."""
        notices = self.checker.notices
        mails = self._ended_mails() or [one for one in notices if "mailState" in notices[one]]
        return self._again(*self.rng.choice(mails)) if mails else self._sweep()

    def _ended_mails(self) -> list[tuple[str, str]]:
        notices = self.checker.notices
        return [one for one in notices if notices[one].get("mailState") in ("FAILED", "PARKED")]

    def _again(self, subject: str, who: str) -> Work:
        heist = subject.removeprefix("HEIST#").removesuffix(REVERSAL)
        wanted = {"heistId": heist, "recipientId": who}
        wanted["type"] = "HEIST_REVERSED" if subject.endswith(REVERSAL) else "HEIST"

        def ask() -> None:
            self.asked_again[f"{subject}/{who}"] += 1
            self.app.call("sweep_notifications", {"resend": wanted})

        return self._work("mails asked for again", f"{subject}'s mail to {who} again", ask)

    # Operators

    def _reverse(self) -> Work:
        """Reverses a heist, now and then one that did not happen or was reversed before."""
        heists = self.checker.heists
        happened = [one for one in heists if heists[one]["status"] == "SUCCESS"]
        if not happened:
            return self._heist(None)
        heist, refund = self.rng.choice(happened), self.rng.random() < 0.5

        def work() -> None:
            store, clock = wiring.store(), self.clock
            ReverseHeist(store, clock)(heist, self._action("reverse"), refund_token=refund)

        return self._operate(f"reverse {heist}, refund {refund}", work)

    def _block(self) -> Work:
        who = self.rng.choice(PLAYERS)

        def work() -> None:
            block = wiring.block_player()
            change = block.preview(who, blocked=True)
            block(who, self._action("block"), blocked=change.changed)

        return self._operate(f"block {who}, or no longer", work)

    def _grant(self) -> Work:
        """Gives tokens under a key that may have been used: for the same, or for another."""
        who, tokens = self.rng.choice(PLAYERS), self.rng.randint(1, 5)
        key = self.rng.choice(("first", "second", "third"))

        def work() -> None:
            grant = wiring.grant_tokens()
            action, content = self._action("grant"), f"{who} {tokens}"
            self.checker.asked_for[action.id] = digest(content)

            def act(remember: Remember) -> Outcome:
                try:
                    grant(who, tokens, action, remember=remember)
                except NoSuchPlayer:
                    return Outcome(404, "nobody", kept=False)
                return Outcome(200, content, kept=True)

            answer = wiring.answer_once()("somebody", key, content, act, lambda _: content)
            if answer.status == 200 and answer.body != content:
                raise Deviation(f"{content} was answered {answer}")
            self.operations["answered grants"] += 1

        return self._operate(f"grant {who} {tokens} under {key}", work)

    def _erase(self, who: str) -> Work:
        """The freeze, after which nobody robs, credits or tells them."""

        def work() -> None:
            store, action = wiring.store(), self._action("erase")
            player = store.player(who)
            if not player.erased:
                wiring._table().transact(operator.freeze(player, action.at, action))

        return self._operate(f"erase {who}", work)

    def _operate(self, what: str, work: Work) -> Work:
        refused = (IdempotencyMismatch, NoSuchPlayer, NotReversible)
        return self._work("operators'", what, work, *refused)

    def _action(self, what: str) -> Action:
        at = self.clock.now()
        return Action(self._number(), at, "somebody", what, "", "because", {}, {})

    # Reading

    def _tokens(self) -> Work:
        who = self.rng.choice(PLAYERS)

        def work() -> None:
            self.operations["tokens"] += 1
            since, states = self._states(who)
            answer = self.get("get_tokens", who)
            if answer is None:
                return
            body = answer.body
            said = (body["balance"], body["totalEarned"], body["totalSpent"])
            possible = [
                (0, 0, 0) if one.erased else (one.tokens, one.earned, one.spent)
                for one in states(since)
            ]
            if said not in possible:
                raise Deviation(f"{who} was told of {said}, and had {possible}")

        return work

    def _choose(self) -> Work:
        """Changes some preferences, or none; mostly of those who robbed, or are passive."""
        players = self.checker.game.players
        locked = [who for who in PLAYERS if players[who].passive or players[who].last_spent]
        who = self.rng.choice(locked if locked and self.rng.random() < 0.7 else PLAYERS)
        flags = {"passive": not players[who].passive} if self.rng.random() < 0.6 else {}
        if self.rng.random() < 0.3:
            flags["hidden"] = self.rng.random() < 0.5
        mails = {"robbed": self.rng.choice(("instant", "daily", "off"))}
        return self.choose(who, flags, mails if self.rng.random() < 0.2 else {})

    def choose(self, who: str, flags: Mapping[str, bool], mails: Mapping[str, str]) -> Work:
        asked = {**flags, "email": mails} if mails else flags
        if "off" in mails.values():
            self.hushed.add(who)

        def work() -> None:
            self.operations["choices"] += 1
            started = self.clock.now()
            since, states = self._states(who)
            try:
                answer = self.app.request("manage_preferences", who, body=asked)
            except Crashed:
                return
            self._log(f"{who} chooses {asked}: {answer.status} {answer.text}")
            possible = states(since)
            if any(state.erased for state in possible):
                return
            said: dict[str, Any] = answer.body
            match answer.status:
                case 200:
                    choices = [(state.passive, state.hidden) for state in possible]
                    if (said["passive"], said["hidden"]) not in choices:
                        raise Deviation(f"{who} was told {said}, and had {choices}")
                    if any(said[name] != value for name, value in flags.items()):
                        raise Deviation(f"{who} chose {flags}, and was told {said}")
                case 409:
                    ends = {
                        locked_until(state, rules, at)
                        for state in possible
                        for at in (started, self.clock.now())
                        for rules in self.app.rules_of(at)
                        if state.passive != flags.get("passive")
                    }
                    if said["details"]["lockedUntil"] not in {end and iso(end) for end in ends}:
                        raise Deviation(f"{who} was told {said}; possible {ends}")
                    self.operations["locked switches"] += 1
                case 503:
                    pass
                case _:
                    raise Deviation(f"preferences of {who}: {answer.status} {answer.text}")

        return work

    def _states(self, who: str) -> tuple[int, Callable[[int], list[Player]]]:
        """The states that a player goes through from now on."""
        at_first = self.checker.game.players[who]
        history = self.checker.history[who]
        return len(history), lambda since: [at_first, *history[since:]]

    def _can_rob(self) -> Work:
        attacker, victim = self.rng.sample(PLAYERS, 2)

        def work() -> None:
            self.operations["checks"] += 1
            started = self.clock.now()
            (since, robbers), (later, robbed) = self._states(attacker), self._states(victim)
            answer = self.get("check_target", attacker, path={"targetUserId": victim})
            if answer is None or answer.status == 429:
                return
            body = answer.body
            said = (body.get("code", ""), body["potentialSteal"], body["targetPoints"])
            possible = set()
            for at in (started, self.clock.now()):
                for rules in self.app.rules_of(at):
                    for robber in robbers(since):
                        for target in robbed(later):
                            code, _ = verdict(robber, target, victim, False, rules, at)
                            figures = (loot(target, rules, at), target.points.get(season_of(at), 0))
                            possible.add((code, 0, 0) if code else (code, *figures))
            if said not in possible:
                raise Deviation(f"{attacker} may rob {victim}: {said}; possible {possible}")

        return work

    def _read(self) -> Work:
        who = self.rng.choice(PLAYERS)
        body: dict[str, object] = {}
        if self.checker.inboxes[who] and self.rng.random() < 0.7:
            item = self.rng.choice(self.checker.inboxes[who])
            name = f"{item['sk']}-{item['tag']}"
            body = {"upTo": name} if self.rng.random() < 0.5 else {"notificationIds": [name]}

        def work() -> None:
            self.operations["reads"] += 1
            self.get("mark_notifications_read", who, body=body)
            self.get("list_notifications", who)

        return work

    def get(self, route: str, who: str, **more: Any) -> Answer | None:
        """None: there was no answer, or 503."""
        try:
            answer = self.app.request(route, who, **more)
        except Crashed:
            return None
        self._log(f"{route} for {who}: {answer.status} {answer.text}")
        expected = (200, 429, 503) if route == "check_target" else (200, 503)
        if answer.status not in expected:
            raise Deviation(f"{route} for {who}: {answer.status} {answer.text}")
        return None if answer.status == 503 else answer

    # The end

    def close(self) -> None:
        """Everything that is under way arrives, everything is repeated; then all must add up."""
        self._log("the end begins")
        self.faults.calm_down()
        for function, detail in list(self.events):
            self.app.event(function, detail)
        self.clock.sleep(120)
        for attacker, victim, key in self.undecided:
            asked = self.checker.asks(heist_id(attacker, key, ""), attacker, victim)
            answer = self.app.rob(attacker, victim, key)
            self._log(f"{attacker} on {victim} under {key}: {answer.status} {answer.text}")
            self.checker.hears(asked, answer)
            if answer.status == 503:
                raise Deviation("503 without any fault")
            self.clock.sleep(60)
        self.no_defects()
        self.checker.final()
        self._check_profiles()
        self._check_referrals()
        self._check_table()
        if self.seed % 2 == 0:
            self.tell_everybody()

    def tell_everybody(self) -> None:
        """Whatever became of the stream, three sweeps later everybody knows everything once."""
        checker = self.checker
        if checker.held:
            self.settings["HEIST_AWARDS_ENABLED"] = True
            self.engine.operator_puts({"pk": "SETTINGS", "sk": "HEIST", **self.settings})
        if self.rng.random() < 0.7:
            for consumer, records in self.undelivered.items():
                self.deliver_to(consumer, len(records))
        for _ in range(3):
            if checker.owing or checker.held:
                self.clock.sleep(LEASE_AND_MORE)
                self.app.call("sweep_notifications", {})
        self.no_defects()
        if checker.owing:
            raise Deviation(f"still owing after three sweeps: {checker.owing}")
        if set(checker.held.values()) - set(checker.erased):
            raise Deviation(f"still held after three sweeps: {checker.held}")
        self._check_notices()
        self._tell_daily()
        told = {
            (kind, detail.get("heistId") or detail["referredUserId"])
            for kind, detail in self.app.outside.events
            if kind != "PointsChanged"
        }
        happened = {
            ("HeistCommitted", one)
            for one, heist in checker.heists.items()
            if heist["status"] == "SUCCESS"
        }
        happened |= {("TokenAwarded", referred) for referred in checker.referrals}
        happened |= {("HeistReversed", one) for one in checker.reversals}
        if told != happened:
            raise Deviation(f"events out: {sorted(told ^ happened)}")
        self._check_points_told()
        self._check_statistics()
        for who in PLAYERS:
            unread = sum("unread" in item for item in checker.inboxes[who])
            for route in ("list_notifications", "count_unread"):
                answer = self.app.request(route, who)
                if answer.body["unreadCount"] != unread:
                    raise Deviation(f"{who} has {unread} unread, told {answer.text}")

    def _tell_daily(self) -> None:
        """Three days later nothing waits for a digest, and each line was told: once without doubt.

        Never were there two on a day.
        """
        for _ in range(3):
            self.clock.sleep(86_400 - self.clock.now().timestamp() % 86_400 + 10 * 3600)
            for _ in range(2):
                self.app.call("send_digests", {})
        self.no_defects()
        checker, digests = self.checker, self.app.outside.digests
        days = Counter((address, day) for address, day, _ in digests)
        if any(count > 1 for count in days.values()):
            raise Deviation(f"more than one digest on a day: {days}")
        waiting = [item for item in map(plain, self.engine.items()) if item and _waits(item)]
        if waiting:
            raise Deviation(f"digests still wait: {waiting}")
        kept = {
            str(letter["recipientId"])
            for letter in self.app.outside.dead_letters
            if letter.get("type") == "DIGEST"
        }
        for who in PLAYERS:
            daily = sum(
                recipient == who and notice.get("mailState") == "DAILY"
                for (_, recipient), notice in checker.notices.items()
            )
            told = sum(lines for to, _, lines in digests if to == f"{who}@example.com")
            quiet = who in self.hushed or who in checker.erased or who in kept
            least = 0 if quiet or self._without_address(who) else daily
            if not least <= told <= daily * (2 if who in self.doubtful_digests else 1):
                raise Deviation(f"{who} was told of {told}, and wanted {daily} daily")

    def _without_address(self, who: str) -> bool:
        """Whether the player had none, some time since they first had one."""
        return any(value is None for _, value in self.profiles[who, "email"])

    def _check_points_told(self) -> None:
        """Whoever heard all changes, in any order and more than once, knows every total."""
        changes = {
            (told["userId"], told["version"]): told
            for kind, told in self.app.outside.events
            if kind == "PointsChanged"
        }
        latest = dict(self.openings)
        added = Counter(self.openings)
        for (who, _), told in sorted(changes.items()):
            latest[who, told["season"]] = told["points"]
            added[who, told["season"]] += told["change"]
        stored = {
            (who, season): points
            for who, player in self.checker.game.players.items()
            for season, points in player.points.items()
        }
        if not stored == latest == dict(added):
            raise Deviation(f"points told {latest}, adding up to {added}, are {stored}")

    def _check_statistics(self) -> None:
        """The reports count every attempt once, and every token where it is."""
        report = wiring.show_statistics()
        days, robbers = report.heists_per_day(), report.top_robbers()
        heists = self.checker.heists.values()
        recent = [one for one in heists if one["createdAt"] >= days["since"]]
        attempts = Counter((one["createdAt"][:10], one["status"]) for one in recent)
        told = Counter[tuple[str, str]]()
        for day in days["days"]:
            told[day["date"], "SUCCESS"] += day["successfulHeists"]
            told[day["date"], "FAILED"] += day["failedHeists"]
        if +told != attempts:
            raise Deviation(f"heists per day: {+told}, there were {attempts}")
        taken = Counter[str]()
        for one in heists:
            if one["status"] == "SUCCESS" and one["createdAt"] >= robbers["since"]:
                taken[one["attackerId"]] += int(one["pointsStolen"])
        if {line["userId"]: line["totalStolen"] for line in robbers["robbers"]} != dict(taken):
            raise Deviation(f"top robbers: {robbers}, they took {taken}")
        items = [plain(item) or {} for item in self.engine.items()]
        held = Counter(
            int(item["tokens"]) for item in items if item["sk"] == "STATE" and "tokens" in item
        )
        balances = report.token_distribution()["balances"]
        if {line["balance"]: line["userCount"] for line in balances} != dict(held):
            raise Deviation(f"balances: {balances}, they hold {held}")

    def _check_table(self) -> None:
        """A second opinion, from the operator's own tool."""
        audit = audit_items(plain(item) or {} for item in self.engine.items())
        violations = [str(violation) for violation in audit.violations()]
        if violations:
            raise Deviation(f"audit: {violations}")

    def _check_notices(self) -> None:
        checker, outside = self.checker, self.app.outside
        subjects = [f"REFERRAL#{referred}" for referred in checker.referrals]
        subjects += [
            f"HEIST#{one}" for one, heist in checker.heists.items() if heist["status"] == "SUCCESS"
        ]
        subjects += [f"HEIST#{one}{REVERSAL}" for one in checker.reversals]
        for subject in subjects:
            for who in checker.recipients(subject):
                notice = checker.notices.get((subject, who))
                if notice is None:
                    raise Deviation(f"{who} was never told of {subject}")
                if "mailState" not in notice:
                    continue
                heist = subject.removeprefix("HEIST#").removesuffix(REVERSAL)
                of_reversal = subject.endswith(REVERSAL)
                mails = sum(
                    mail.to == f"{who}@example.com"
                    and heist in mail.text
                    and (UNDONE in mail.text) == of_reversal
                    for mail in outside.mails
                )
                letters = [
                    letter
                    for letter in outside.dead_letters
                    if letter.get("heistId") == heist
                    and letter.get("recipientId") == who
                    and (letter.get("type") == "HEIST_REVERSED") == of_reversal
                ]
                state = notice["mailState"]
                place = f"{subject}/{who}"
                least, most = {
                    "SENT": (1, 2 if place in self.doubtful else 1),
                    "SUPPRESSED": (0, 1),
                    "PARKED": (0, 2),
                    "FAILED": (0, 1),
                    "DAILY": (0, 0),
                }.get(state, (1, 0))
                most += 2 * self.asked_again[place]
                if not least <= mails <= most or (state in ("PARKED", "FAILED") and not letters):
                    raise Deviation(f"{mails} mails to {who} of {subject}, which are {state}")

    def _check_referrals(self) -> None:
        """Every referred player brought a token or will, unless who referred them was erased."""
        for referred, referrers in self.referrers.items():
            known = {**self.checker.referrals, **self.checker.held}
            if referred not in known and not referrers & set(self.checker.erased):
                raise Deviation(f"{referred} was referred by {referrers}, and nothing came of it")

    def _check_profiles(self) -> None:
        for (who, name), given in self.profiles.items():
            if who in self.checker.erased:
                continue
            newest = max(at for at, _ in given)
            values = [value for at, value in given if at == newest]
            stored = (
                plain(self.engine.item({"pk": {"S": f"PLAYER#{who}"}, "sk": {"S": "STATE"}})) or {}
            )
            if stored.get(name) not in values:
                raise Deviation(f"{who}'s {name} is {stored.get(name)}, and {values} is the newest")

    def _log(self, what: str) -> None:
        sender = threading.current_thread().name
        line = f"{iso(self.clock.now())[8:23]} {sender:>10} {what}"
        self.lines.append(line)
        self._trace(line)


def _waits(item: Mapping[str, object]) -> bool:
    return str(item.get("owedBucket", "")).startswith("digest-")
