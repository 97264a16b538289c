"""The reports equal the guide's SQL over the same heists, however the stream delivers.

The reports' window begins at a whole hour, so the SQL is asked with NOW() at the hour's start.
"""

import contextlib
import itertools
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from heist_core import wiring
from heist_core.domain.action import Action
from heist_core.domain.errors import Contention
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.owed import Owed
from heist_core.domain.player import Player
from heist_core.domain.statistics import Robber
from heist_core.storage import counting, items, keys, wire
from heist_core.storage.counting import Generation
from heist_core.storage.keys import Kind, generation_of, kind_of
from heist_core.storage.operator import record_action
from heist_core.storage.writes import Step
from heist_core.use_cases.show_statistics import Day, ShowStatistics, TopRobber
from ops.rebuild_stats import Done, Rebuild
from tests.builders import NOW, Event, award, heist, player, refused, stream_event, stream_record
from tests.fakes import Crash
from tests.integration.game import Game
from tests.integration.sql import (
    DAILY,
    DATABASES,
    DISTRIBUTION,
    ROBBERS,
    ROBBERS_WITHOUT_TIES,
    Database,
    Records,
    SQLite,
    as_rows,
)
from tests.integration.stream import FAULTS, Consumer, FaultAt, Stream


@pytest.fixture(scope="session", params=DATABASES)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Each in turn; skipped with its reason where it cannot be had."""
    with DATABASES[str(request.param)]() as database:
        yield database


def report(game: Game) -> ShowStatistics:
    return ShowStatistics(game.statistics_store, game.time.clock)


def days_of(game: Game) -> list[Day]:
    return report(game).heists_per_day()["days"]


def distribution(game: Game) -> list[tuple[int, int]]:
    return [
        (row["balance"], row["userCount"]) for row in report(game).token_distribution()["balances"]
    ]


def top(game: Game) -> list[TopRobber]:
    return report(game).top_robbers()["robbers"]


def consumer(game: Game, **options: Any) -> Consumer:
    return Consumer(partial(game.call, "publish_and_count"), **options)


def records_of(game: Game) -> Records:
    """What the guide's tables would hold, read from the facts themselves."""
    records = Records()
    balances: dict[str, int] = {}
    names: dict[str, str | None] = {}
    for item in game.everything():
        kind, _, rest = str(item["pk"]).partition("#")
        if (kind, item["sk"]) == ("HEIST", "HEIST"):
            fact = items.heist_from(item)
            attacker = fact.attempt.attacker_id
            if isinstance(fact, Heist):
                row = (rest, attacker, fact.plan.points_stolen, "SUCCESS", fact.plan.at)
            else:
                row = (rest, attacker, 0, "FAILED", fact.at)
            records.heists.append(row)
        elif (kind, item["sk"]) == ("PLAYER", "STATE"):
            names[rest] = str(item["name"]) if "name" in item else None
            if "tokens" in item:
                balances[rest] = int(str(item["tokens"]))
    records.balances, records.names = balances, names
    for _, attacker, *_ in records.heists:
        names.setdefault(attacker, None)
    return records


def assert_reports_equal_the_sql(game: Game, database: Database) -> None:
    records = records_of(game)
    hour = game.time().replace(minute=0, second=0, microsecond=0)
    daily = database.ask(DAILY, records, hour)
    days = days_of(game)
    assert as_rows(
        [(day["date"], day["successfulHeists"], day["failedHeists"]) for day in days]
    ) == [row[:3] for row in daily]
    for day, row in zip(days, daily, strict=True):
        assert day["avgPointsStolen"] == (row[3] and pytest.approx(float(row[3]), rel=1e-12))
    assert as_rows(distribution(game)) == database.ask(DISTRIBUTION, records, hour)
    robbers = as_rows(
        [(each["name"], each["heistCount"], each["totalStolen"]) for each in top(game)]
    )
    assert robbers == database.ask(ROBBERS_WITHOUT_TIES, records, hour)
    as_written = database.ask(ROBBERS, records, hour)
    assert [row[1] for row in robbers] == [row[1] for row in as_written]


def put_owing_statistics(game: Game, item: wire.Item) -> None:
    game.put({**item, "owed": {Owed.STATISTICS.value}})


# Random histories


class History:
    """Facts of five weeks in random order, told by a stream that repeats, shuffles and forgets.

    They owe nothing but statistics, since that is all that is looked at here.
    """

    def __init__(self, game: Game, seed: int) -> None:
        self.game, self.random = game, random.Random(seed)
        self.stream = Stream(game)
        self.players = [
            player(
                f"player-{number:02d}", name=self.random.choice(["Same Name", f"P{number}", None])
            )
            for number in range(16)
        ]
        for each in self.players:
            self._put_player(each)
        self.told: list[Event] = []
        self.ids = itertools.count(1)

    def play(self, steps: int) -> None:
        for _ in range(steps):
            self.random.choice([self._award, self._refuse, self._rob, self._rob, self._rob])()
            if self.random.random() < 0.1:
                self.game.time.pass_(milliseconds=self.random.randrange(40 * 3600 * 1000))
                self._tell()
        self._tell()

    def settle(self) -> None:
        """The sweeper does what is left."""
        self.game.sweep()
        assert self.game.marked() == []

    def _moment(self) -> datetime:
        """Some time in the last five weeks, often at an hour's start or a millisecond before."""
        at = self.game.time() - timedelta(milliseconds=self.random.randrange(35 * 24 * 3600 * 1000))
        hour = at.replace(minute=0, second=0, microsecond=0)
        return self.random.choice([at, at, hour, hour - timedelta(milliseconds=1)])

    def _rob(self) -> None:
        attacker, victim = self.random.sample(range(len(self.players)), 2)
        fact = heist(
            self.players[attacker].id,
            self.players[victim].id,
            f"{next(self.ids):032x}",
            stolen=self.random.choice([1, 5, 100]),
            at=self._moment(),
        )
        self._change_tokens(attacker, -1)
        self._put(items.heist_item(fact))

    def _refuse(self) -> None:
        attacker = self.random.choice(self.players).id
        fact = refused(at=self._moment(), attacker=attacker, heist_id=f"{next(self.ids):032x}")
        self._put(items.refused_heist_item(fact))

    def _award(self) -> None:
        referrer = self.random.randrange(len(self.players))
        self._change_tokens(referrer, self.random.randint(1, 3))
        self._put(items.award_item(award(self.players[referrer].id, f"friend-{next(self.ids)}")))

    def _change_tokens(self, position: int, by: int) -> None:
        before = self.players[position]
        after = replace(before, tokens=max(0, before.tokens + by), version=before.version + 1)
        self.players[position] = after
        self._put_player(after, tokens=after.tokens)

    def _put_player(self, each: Player, **more: int) -> None:
        self.game.put({**keys.player(each.id), "version": each.version, "name": each.name, **more})

    def _put(self, item: wire.Item) -> None:
        put_owing_statistics(self.game, item)

    def _tell(self) -> None:
        """New records, and some old ones again; a few get lost."""
        new = [record for record in self.stream.poll() if self.random.random() < 0.9]
        again = self.random.sample(self.told, min(len(self.told), self.random.randrange(6)))
        self.told += new
        batch = [*new, *again, *self.random.sample(new, len(new) // 3)]
        self.random.shuffle(batch)
        size, times = self.random.randint(5, 60), self.random.choice([1, 1, 2, 5])
        consumer(self.game, batch_size=size, deliveries=times).deliver(batch)


@pytest.mark.not_on_moto
def test_over_a_random_history_the_reports_equal_the_guides_sql(
    game: Game, database: Database
) -> None:
    history = History(game, seed=len(type(database).__name__))
    for _ in range(2):
        history.play(60)
        history.settle()
        assert_reports_equal_the_sql(game, database)
    assert top(game)


def test_over_a_short_history_the_reports_equal_the_guides_sql(game: Game) -> None:
    history = History(game, 7)
    history.play(40)
    history.settle()
    assert_reports_equal_the_sql(game, SQLite())


def facts(game: Game, count: int) -> list[Event]:
    """Heists, refusals and awards that the stream has yet to tell of."""
    told: list[Event] = []
    for number in range(count):
        at = game.time()
        success = heist(f"a{number}", "bob", f"{number:032x}", stolen=number + 1, at=at)
        failure = refused(at=at, attacker=f"a{number}", heist_id=f"{number + 1000:032x}")
        given = award(f"a{number}", f"friend-{number}", at=at)
        game.put({**keys.player(f"a{number}"), "version": 1, "tokens": 1})
        for item in (
            items.heist_item(success),
            items.refused_heist_item(failure),
            items.award_item(given),
        ):
            put_owing_statistics(game, item)
            told.append(stream_record(item, len(told) + 1))
    return told


def assert_counted_once(game: Game, count: int) -> None:
    (day,) = days_of(game)
    assert (day["successfulHeists"], day["failedHeists"]) == (count, count)
    assert day["avgPointsStolen"] == (count + 1) / 2
    assert distribution(game) == [(1, count)]
    robbers = top(game)
    assert [robber["totalStolen"] for robber in robbers] == list(
        range(count, max(count - 10, 0), -1)
    )


@pytest.mark.parametrize("deliveries", [1, 2, 5])
def test_however_often_the_stream_delivers_each_fact_is_counted_once(
    game: Game, deliveries: int
) -> None:
    told = facts(game, 5)
    consumer(game, batch_size=7, deliveries=deliveries).deliver(told)
    consumer(game, batch_size=50).deliver([*reversed(told), *told])
    assert_counted_once(game, 5)


def test_more_facts_than_fit_into_one_transaction_are_counted(game: Game) -> None:
    consumer(game, batch_size=200).deliver(facts(game, 30))
    assert_counted_once(game, 30)


def _read(batch: list[Event]) -> list[Any]:
    return [items.fact_from(wire.from_wire(each["dynamodb"]["NewImage"])) for each in batch]


@pytest.mark.not_on_moto
@pytest.mark.parametrize(("moment", "strike"), FAULTS)
def test_wherever_counting_is_hit_each_fact_is_counted_once(
    game: Game, moment: str, strike: Callable[[], None]
) -> None:
    """Struck at its n-th call, delivered again, and what is left is swept."""
    for number in itertools.count(1):
        told = facts_of(game, number)
        fault = FaultAt(game, number, moment, strike)
        consumer(game, batch_size=3, retries=1).deliver(told)
        game.undisturbed()
        game.sweep()
        (day,) = days_of(game)
        assert (day["successfulHeists"], day["failedHeists"]) == (number, number), fault.operation
        assert distribution(game) == [(1, number)], fault.operation
        assert game.marked() == []
        if not fault.operation:
            assert number > 5
            return


def facts_of(game: Game, number: int) -> list[Event]:
    """One heist, one refusal and one award, of players of their own."""
    at = game.time()
    success = items.heist_item(heist(f"x{number}", "bob", f"{number:032x}", at=at))
    failure = items.refused_heist_item(
        refused(at=at, attacker=f"x{number}", heist_id=f"{number + 1000:032x}")
    )
    given = items.award_item(award(f"x{number}", f"y{number}", at=at))
    game.put({**keys.player(f"x{number}"), "version": 1, "tokens": 1})
    for item in (success, failure, given):
        put_owing_statistics(game, item)
    return [stream_record(item, n) for n, item in enumerate((success, failure, given), 1)]


def before_call(game: Game, number: int, act: Callable[[], object]) -> list[str]:
    """Do something before the n-th call; the operation of that call, once there was one.

    Deletes do not count: they are of an old generation, one more for each fact.
    """
    calls = itertools.count(1)
    hit: list[str] = []

    def before(operation: str, request: Mapping[str, Any]) -> None:
        if operation != "delete_item" and next(calls) == number:
            hit.append(operation)
            game.undisturbed()
            act()

    game.tap.before = before
    return hit


@pytest.mark.not_on_moto
@pytest.mark.parametrize("other", ["publish_and_count", "sweep_notifications"])
def test_another_delivery_between_any_two_calls_doubles_nothing(game: Game, other: str) -> None:
    for number in itertools.count(1):
        told = facts_of(game, number)
        event: Event = stream_event(*told) if other == "publish_and_count" else {}
        game.time.pass_(minutes=2)
        hit = before_call(game, number, partial(game.call, other, event))
        game.call("publish_and_count", stream_event(*told))
        game.undisturbed()
        days = days_of(game)
        assert sum(day["successfulHeists"] for day in days) == number, hit
        assert sum(day["failedHeists"] for day in days) == number, hit
        assert distribution(game) == [(1, number)], hit
        if not hit:
            assert number > 5
            return


def of_one_robber(game: Game, *, before: int) -> list[Heist]:
    """Heists of one robber, of which so many are counted, and two that are not."""
    happened = [
        heist("robber", f"victim-{number}", f"{number:032x}", stolen=10, at=game.time())
        for number in range(before + 2)
    ]
    for each in happened:
        put_owing_statistics(game, items.heist_item(each))
    wiring.keep_statistics()(happened[:before])
    return happened[before:]


@pytest.mark.parametrize("before", [0, 1])
def test_two_heists_of_one_robber_that_are_counted_at_once_both_count(
    game: Game, before: int
) -> None:
    first, second = of_one_robber(game, before=before)
    game.once_before("transact_write_items", lambda: wiring.keep_statistics().count([second], 1))
    wiring.keep_statistics().count([first], 1)
    (robber,) = top(game)
    assert (robber["heistCount"], robber["totalStolen"]) == (before + 2, 10 * (before + 2))


def test_a_refusal_that_two_count_at_once_counts_once(game: Game) -> None:
    refusal = refused(at=game.time())
    put_owing_statistics(game, items.refused_heist_item(refusal))
    game.once_before("transact_write_items", lambda: wiring.keep_statistics().count([refusal], 1))
    wiring.keep_statistics().count([refusal], 1)
    assert [day["failedHeists"] for day in days_of(game)] == [1]


def test_a_refusal_that_goes_while_it_is_counted_does_not_come_back(game: Game) -> None:
    refusal = refused(at=game.time())
    item = items.refused_heist_item(refusal)
    put_owing_statistics(game, item)
    key = keys.heist(refusal.attempt.id)
    game.once_before("transact_write_items", lambda: game.delete(key))
    wiring.keep_statistics().count([refusal], 1)
    assert game.item(key) is None


@pytest.mark.parametrize(
    ("fact", "record"),
    [
        pytest.param(heist(), items.heist_item(heist()), id="heist"),
        pytest.param(refused(), items.refused_heist_item(refused()), id="refusal"),
    ],
)
def test_a_fact_is_counted_once_in_a_generation_and_while_it_is_there(
    game: Game, fact: Heist | RefusedHeist, record: Mapping[str, object]
) -> None:
    """Though its robber looks untouched, as after a repair by hand."""

    def count(generation: int) -> None:
        robbers = {fact.attacker_id: Robber(fact.attacker_id)}
        game.gateway.transact(counting.count_facts(generation, [fact], robbers, NOW))

    with pytest.raises(Contention):
        count(1)
    assert game.everything() == []
    game.put(record)
    for generation in (1, 2):
        count(generation)
        before = game.everything()
        with pytest.raises(Contention):
            count(generation)
        assert game.everything() == before


def test_a_heist_of_an_older_generation_that_owes_only_its_count_is_counted(game: Game) -> None:
    fact = heist()
    game.put({**items.heist_item(fact), "countedIn": 1, "owed": {"statistics"}})
    assert game.statistics_store.count([fact], [], 2, NOW) == [fact.heist_id]


# The distribution


def test_tokens_that_changed_again_meanwhile_are_counted_as_they_are_now(game: Game) -> None:
    stream = Stream(game)
    game.give("alice", tokens=3)
    first = stream.poll()
    game.give("alice", tokens=2)
    consumer(game).deliver(first)
    assert distribution(game) == [(5, 1)]
    consumer(game).deliver(stream.poll())
    assert distribution(game) == [(5, 1)]


def test_a_player_who_spent_all_is_counted_with_none_and_one_who_never_had_any_is_not(
    game: Game,
) -> None:
    game.give("alice", tokens=1)
    game.give("bob", points=800)
    game.rob("alice", "bob")
    game.rob("bob", "alice")
    game.sweep()
    assert distribution(game) == [(0, 1)]
    wiring.keep_statistics().hold(["bob"], 1)
    assert distribution(game) == [(0, 1)]
    never_held = game.stored(keys.robber(1, "bob"))
    assert "tokens" not in never_held


def test_a_token_given_back_by_a_reversal_is_held_again_and_the_heist_still_counts(
    game: Game,
) -> None:
    game.give("alice", tokens=2)
    game.give("bob", points=800)
    heist_id = game.rob("alice", "bob").body["heistId"]
    game.sweep()
    assert distribution(game) == [(1, 1)]
    game.reverse(heist_id, refund=True)
    game.sweep()
    assert distribution(game) == [(2, 1)]
    assert [day["successfulHeists"] for day in days_of(game)] == [1]


@pytest.mark.parametrize(("held", "seen"), [(0, 1), (1, 1), (0, 0)])
def test_a_slow_reader_never_puts_an_older_balance_over_a_newer(
    game: Game, held: int, seen: int
) -> None:
    """It read the player, another one moved the holding on, then it writes."""
    if held:
        game.give("alice", tokens=held)
        wiring.keep_statistics().hold(["alice"], 1)
    game.give("alice", tokens=seen, points=1)

    def meanwhile() -> None:
        game.undisturbed()
        game.give("alice", tokens=1)
        wiring.keep_statistics().hold(["alice"], 1)

    game.once_before("transact_write_items", meanwhile)
    wiring.keep_statistics().hold(["alice"], 1)
    assert distribution(game) == [(held + seen + 1, 1)]
    holding = game.stored(keys.robber(1, "alice"))
    assert holding["tokensAt"] == game.player("alice").version


# Windows


@pytest.mark.parametrize(("hours", "days"), [(0, 1), (1, 0)])
def test_the_seventh_day_ends_at_the_hour(game: Game, hours: int, days: int) -> None:
    game.time.at = NOW.replace(minute=0, second=0, microsecond=0)
    game.put(items.heist_item(heist(at=game.time())))
    game.sweep()
    game.time.at = NOW.replace(minute=59) + timedelta(days=7, hours=hours)
    assert len(days_of(game)) == days


def test_robbers_fall_as_their_heists_leave_the_window_and_the_sweeper_trims_them(
    game: Game,
) -> None:
    for number in range(30):
        robber = f"old-{number:02d}"
        for each in range(3):
            fact = heist(robber, "bob", f"{number:016x}{each:016x}", at=NOW)
            put_owing_statistics(game, items.heist_item(fact))
    consumer(game, batch_size=100).deliver(Stream(game).poll())
    game.time.at = NOW + timedelta(days=29)
    put_owing_statistics(game, items.heist_item(heist("new", "bob", "f" * 32, at=game.time())))
    game.sweep()
    assert [robber["heistCount"] for robber in top(game)] == [3] * 10
    game.time.at = NOW + timedelta(days=30, hours=1)
    assert [robber["userId"] for robber in top(game)] == ["new"]
    game.sweep()
    queries: list[str] = []
    game.tap.before = lambda operation, request: queries.append(operation)
    assert [robber["userId"] for robber in top(game)] == ["new"]
    assert queries.count("query") == 8
    placed = [item for item in game.everything() if "robberPlace" in item]
    assert [item["pk"] for item in placed] == ["ROBBER#1#new"]


def test_a_fact_older_than_every_window_is_settled_and_counted_nowhere(game: Game) -> None:
    game.put(items.heist_item(heist(at=NOW - timedelta(days=40))))
    game.sweep()
    assert game.marked() == []
    assert days_of(game) == []
    assert top(game) == []


def test_every_statistics_item_that_time_makes_useless_expires(game: Game) -> None:
    consumer(game).deliver(facts(game, 2))
    for item in game.everything():
        if kind_of(item) is Kind.DAY:
            ends = datetime.fromtimestamp(int(str(item["expiresAt"])), NOW.tzinfo)
            assert NOW + timedelta(days=7) < ends < NOW + timedelta(days=33)


# Rebuilding


def log_entry(game: Game, before: Generation, after: Generation) -> Step:
    entry = Action(
        uuid.uuid4().hex,
        game.time.clock.now(),
        "ana",
        "rebuild-stats",
        "statistics",
        "moved in",
        asdict(before),
        asdict(after),
    )
    return record_action(entry)


def rebuild(game: Game, between: Callable[[int], None] = lambda read: None) -> Done:
    logged = partial(log_entry, game)
    return Rebuild(game.statistics_store, game.gateway, logged, game.time.clock)(between)


def test_a_rebuild_stands_in_the_log_of_operator_actions(game: Game) -> None:
    rebuild(game)
    logged = [item for item in game.everything() if str(item["pk"]).startswith("ACTIONS#")]
    assert sorted(str(item["after"]) for item in logged) == [
        "{'read': Decimal('1'), 'written': Decimal('2')}",
        "{'read': Decimal('2'), 'written': Decimal('2')}",
    ]


def test_a_rebuild_makes_the_same_statistics_and_a_second_one_drops_the_oldest(game: Game) -> None:
    consumer(game, batch_size=50).deliver(facts(game, 5))
    assert rebuild(game).generation == 2
    assert_counted_once(game, 5)
    assert rebuild(game).deleted > 0
    assert_counted_once(game, 5)
    counted = (Kind.DAY, Kind.BALANCES, Kind.ROBBER)
    found = {generation_of(item) for item in game.everything() if kind_of(item) in counted}
    assert found == {2, 3}


def test_a_rebuild_counts_what_no_stream_brought_and_nothing_twice(game: Game) -> None:
    told = facts(game, 6)
    consumer(game).deliver(told[:7])
    rebuild(game)
    assert_counted_once(game, 6)
    consumer(game, batch_size=50, deliveries=2).deliver(told)
    game.sweep()
    assert_counted_once(game, 6)
    assert game.marked() == []


def test_a_rebuild_does_not_begin_on_what_another_has_replaced(game: Game) -> None:
    store = game.statistics_store
    seen, next_one = store.generation(), Generation(1, 2)
    rebuild(game)
    with pytest.raises(Contention):
        store.move_generation(seen, next_one, log_entry(game, seen, next_one))
    assert store.generation() == Generation(2, 2)
    for stale in (Generation(1, 2), Generation(2, 1)):
        with pytest.raises(Contention):
            store.move_generation(stale, next_one, log_entry(game, stale, next_one))
    assert store.generation() == Generation(2, 2)


def test_a_rebuild_does_not_end_the_one_that_began_after_it(game: Game) -> None:
    store = game.statistics_store
    following = Generation(2, 3)

    def others(read: int) -> None:
        if store.generation() != following:
            rebuild(game)
            ended = store.generation()
            store.move_generation(ended, following, log_entry(game, ended, following))

    consumer(game).deliver(facts(game, 1))
    with pytest.raises(Contention):
        rebuild(game, others)
    assert store.generation() == following


def test_statistics_that_were_damaged_are_right_after_a_rebuild(game: Game) -> None:
    consumer(game, batch_size=50).deliver(facts(game, 5))
    for item in game.everything():
        if item["sk"] in ("DAY", "BALANCES"):
            game.put({**item, "s12": 99, "b7": 99})
    rebuild(game)
    assert_counted_once(game, 5)


@pytest.mark.not_on_moto
def test_the_stream_may_go_on_at_any_call_of_a_rebuild(game: Game) -> None:
    """Delivers new facts before its n-th call; a rebuild that is stopped there goes on."""
    for number in itertools.count(1):
        old, new = facts_of(game, 2 * number), facts_of(game, 2 * number + 1)
        consumer(game).deliver(old)

        def deliver_and_crash() -> None:
            consumer(game).deliver(new)  # noqa: B023
            raise Crash

        hit = before_call(game, number, deliver_and_crash)
        with contextlib.suppress(Crash):
            rebuild(game)
        game.undisturbed()
        rebuild(game)
        consumer(game).deliver(new)
        (day,) = days_of(game)
        assert (day["successfulHeists"], day["failedHeists"]) == (2 * number, 2 * number), hit
        assert distribution(game) == [(1, 2 * number)], hit
        if not hit:
            assert number > 4
            return


def test_a_fact_taken_up_before_a_rebuild_and_counted_after_it_is_counted_once(game: Game) -> None:
    """A consumer asked for the generation, and was slow."""
    told = facts(game, 3)
    generation = game.statistics_store.generation().written
    rebuild(game)
    wiring.keep_statistics()(_read(told), generation)
    assert_counted_once(game, 3)
