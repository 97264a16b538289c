"""Execute, round by round: ids, deadlines, pauses, counting. Storage is a script of answers.

What holds against real storage is tested in tests/integration/test_heist_commits.py.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heist_core.domain.errors import (
    Contention,
    HeistRefused,
    IdempotencyMismatch,
    Misconfigured,
    RateLimited,
    Unavailable,
)
from heist_core.domain.heist import Heist, HeistPlan, RefusedHeist
from heist_core.domain.player import Player
from heist_core.settings import LiveSettings, parse_settings
from heist_core.storage.store import Count, HeistSnapshot, Store
from heist_core.storage.wire import Item
from heist_core.tally import DAY, Tally
from heist_core.use_cases.check_target import CheckTarget
from heist_core.use_cases.execute_heist import (
    BEGIN_ROUNDS_FOR_SECONDS,
    LONGEST_ROUND_SECONDS,
    REFUSALS_STORED_A_DAY,
    ExecuteHeist,
    Outcome,
    heist_id_of,
    minute_of,
    seconds_to_next_minute,
)
from heist_core.use_cases.retry import pauses, until_uncontended
from tests.builders import HOUR, NOW, attempt, heist, player, refused
from tests.fakes import FakeClock

A = TypeVar("A")
B = TypeVar("B")
PLENTY = 29.0
MOST_REFUSALS = REFUSALS_STORED_A_DAY * 10


@dataclass
class Script:
    """A store that answers from lists; when they are used up, it says that all went well."""

    clock: FakeClock
    record: Heist | RefusedHeist | None = None
    overlooked: Heist | RefusedHeist | None = None
    attacker: Player = field(default_factory=lambda: player("alice", tokens=1))
    before: list[Player] = field(default_factory=list)
    victim: Player = field(default_factory=lambda: player("bob", points=800))
    settings_item: Item | None = None
    reads: list[Exception] = field(default_factory=list)
    commits: list[Exception | Heist | RefusedHeist] = field(default_factory=list)
    refusals: list[Exception | bool] = field(default_factory=list)
    counts: list[Exception | Count] = field(default_factory=list)
    uncounts: list[Exception] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    seconds_per_call: float = 0.0

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.clock.pass_(seconds=self.seconds_per_call)

    def read_for_heist(
        self, heist_id: str | None, attacker_id: str, victim_id: str, *, with_settings: bool
    ) -> HeistSnapshot:
        self._called("read")
        if self.reads:
            raise self.reads.pop(0)
        item = self.settings_item if with_settings else None
        attacker = self.before.pop(0) if self.before else self.attacker
        record = self.record if self.calls.count("read") == 1 else self.overlooked or self.record
        return HeistSnapshot(record, attacker, self.victim, item)

    def commit_heist(
        self, heist: Heist, attacker: Player, victim: Player, pair_cooldown: timedelta
    ) -> Heist | RefusedHeist | None:
        self._called("commit")
        return _next(self.commits, None)

    def record_refusal(self, refused: RefusedHeist) -> bool:
        self._called("refuse")
        return _next(self.refusals, True)

    def count_attempt(self, player_id: str, heist_id: str, minute: datetime, limit: int) -> Count:
        self._called("count")
        self.limits.append(limit)
        return _next(self.counts, Count(allowed=True, added=True))

    def count_check(self, player_id: str, minute: datetime, limit: int) -> bool:
        self._called("check")
        self.limits.append(limit)
        return _next(self.counts, Count(allowed=True, added=True)).allowed

    def uncount_attempt(self, player_id: str, heist_id: str, minute: datetime) -> None:
        self._called("uncount")
        _next(self.uncounts, None)

    def together(self, aside: Callable[[], A], here: Callable[[], B]) -> tuple[A, B]:
        return aside(), here()


def _next(answers: Sequence[Exception | A], otherwise: A) -> A:
    if not answers:
        return otherwise
    answer = cast("list[Exception | A]", answers).pop(0)
    if isinstance(answer, Exception):
        raise answer
    return answer


class Game:
    def __init__(self, **settings: object) -> None:
        self.time = FakeClock()
        self.script = Script(self.time)
        self.settings = LiveSettings(parse_settings(settings), self.time.monotonic, lambda: None)
        self.settings.refresh(None)
        self.executor = ExecuteHeist(
            self.store,
            self.settings,
            self.time.clock,
            Tally(DAY, lambda: self.time.clock.now().timestamp()),
        )

    @property
    def store(self) -> Store:
        return cast("Store", self.script)

    def execute(self, seconds_left: float = PLENTY, victim: str = "bob") -> Outcome:
        return self.executor(attempt(victim=victim), seconds_left)

    def begin_the_next_minute(self) -> None:
        self.time.pass_(seconds=seconds_to_next_minute(NOW) - 0.117)
        self.settings.refresh(None)

    def check(self) -> HeistPlan | HeistRefused:
        return CheckTarget(self.store, self.settings, self.time.clock)("alice", "bob")


def code_of(outcome: Outcome) -> str:
    assert isinstance(outcome.result, RefusedHeist)
    return outcome.result.refusal.code


# Ids and minutes


def test_a_key_makes_the_same_id_for_the_same_player_only() -> None:
    ids = {
        heist_id_of(player_id, key, lambda: "new")
        for player_id in ("alice", "bob", "1", "11")
        for key in ("k", "1k", "11k", "bob", "alice", "3:bob")
    }
    assert len(ids) == 24
    assert set(map(len, ids)) == {32}, "as long as one without a key"
    assert heist_id_of("alice", "k", lambda: "new") in ids


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_no_two_pairs_of_player_and_key_share_an_id(a: str, key_a: str, b: str, key_b: str) -> None:
    same = heist_id_of(a, key_a, str) == heist_id_of(b, key_b, str)
    assert same == ((a, key_a) == (b, key_b))


def test_without_a_key_the_id_is_new() -> None:
    fresh = iter(["first", "second"])
    assert heist_id_of("alice", None, lambda: next(fresh)) == "first"
    assert heist_id_of("alice", None, lambda: next(fresh)) == "second"


@pytest.mark.parametrize(
    ("second", "millisecond", "left"),
    [(0, 0, 60), (0, 1, 60), (1, 0, 59), (59, 0, 1), (59, 1, 1), (59, 999, 1)],
)
def test_retry_after_ends_with_the_calendar_minute(
    second: int, millisecond: int, left: int
) -> None:
    moment = datetime(2026, 11, 22, 12, 0, second, millisecond * 1000, tzinfo=UTC)
    assert seconds_to_next_minute(moment) == left
    assert minute_of(moment) == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert minute_of(moment + timedelta(seconds=left)) > minute_of(moment)


# Rounds


def test_a_permitted_heist_takes_one_round() -> None:
    game = Game()
    outcome = game.execute()
    assert isinstance(outcome.result, Heist)
    assert not outcome.replayed
    assert game.script.calls == ["count", "read", "commit"]


def test_a_refusal_is_recorded_before_it_is_answered() -> None:
    game = Game()
    game.script.attacker = player("alice")
    outcome = game.execute()
    assert isinstance(outcome.result, RefusedHeist)
    assert outcome.result.refusal.code == "NO_TOKENS"
    assert game.script.calls == ["count", "read", "refuse"]


def test_a_refusal_that_lost_to_another_outcome_starts_another_round() -> None:
    game = Game()
    game.script.attacker = player("alice")
    game.script.refusals = [False]
    game.execute()
    assert game.script.calls == ["count", "read", "refuse", "read", "refuse"]


@pytest.mark.parametrize("trouble", [Contention(), Unavailable()])
def test_trouble_with_any_call_starts_another_round_and_counts_once(trouble: Exception) -> None:
    game = Game()
    game.script.counts = [trouble]
    game.script.reads = [trouble]
    game.script.commits = [trouble, trouble]
    outcome = game.execute()
    assert isinstance(outcome.result, Heist)
    assert outcome.contended == 4
    assert game.script.calls.count("commit") == 3
    # Until count and read went well together, both are asked for again: counting is by id.
    assert game.script.calls[:4] == ["count", "count", "read", "count"]
    assert "count" not in game.script.calls[5:]


def test_the_moment_of_a_heist_is_read_anew_in_each_round() -> None:
    game = Game()
    game.script.commits = [Contention()]
    game.script.seconds_per_call = 1
    outcome = game.execute()
    assert isinstance(outcome.result, Heist)
    assert outcome.result.plan.at >= NOW + timedelta(seconds=4)


def test_a_defect_is_not_repeated() -> None:
    game = Game()
    game.script.commits = [KeyError("defect")]
    with pytest.raises(KeyError):
        game.execute()
    assert game.script.calls.count("commit") == 1


def test_a_misconfiguration_is_answered_without_another_round() -> None:
    game = Game()
    game.script.reads = [Misconfigured()]
    with pytest.raises(Misconfigured):
        game.execute()
    assert game.script.calls == ["count", "read"]


@pytest.mark.parametrize(
    ("trouble", "kind"), [(Contention(), Contention), (Unavailable(), Unavailable)]
)
def test_past_the_deadline_the_last_trouble_is_the_answer(
    trouble: Exception, kind: type[Exception]
) -> None:
    game = Game()
    game.script.commits = [trouble] * 1000
    with pytest.raises(kind) as caught:
        game.execute()
    assert type(caught.value) is kind
    assert game.time.at - NOW <= timedelta(seconds=BEGIN_ROUNDS_FOR_SECONDS)
    assert game.script.calls.count("commit") > 10


def test_no_round_begins_that_could_outlast_the_function() -> None:
    game = Game()
    game.script.seconds_per_call = 2
    game.script.commits = [Contention()] * 1000
    with pytest.raises(Contention):
        game.execute(seconds_left=LONGEST_ROUND_SECONDS + 1)
    assert game.script.calls.count("commit") == 1


def test_even_with_little_time_left_one_round_is_tried() -> None:
    assert isinstance(Game().execute(seconds_left=2).result, Heist)


def test_pauses_grow_up_to_their_limit() -> None:
    game = Game()
    game.script.commits = [Contention()] * 1000
    with pytest.raises(Contention):
        game.execute()
    assert all(0 <= pause <= 0.4 for pause in game.time.slept)
    assert game.time.slept[0] <= 0.01
    assert max(game.time.slept) > 0.1


def test_each_pause_is_below_a_limit_that_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, limit: limit)
    longest = [round(pause, 2) for pause in itertools.islice(pauses(), 8)]
    assert longest == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.4, 0.4]


def test_a_round_may_begin_at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda least, _: least)
    game = Game()
    game.script.commits = [Contention()]
    assert isinstance(game.execute(seconds_left=LONGEST_ROUND_SECONDS).result, Heist)


# Replays


@pytest.mark.parametrize("record", [heist(), refused()])
def test_what_stands_under_the_id_is_the_answer_and_counts_in_its_own_minute(
    record: Heist | RefusedHeist,
) -> None:
    game = Game(HEIST_ENABLED="false")
    game.script.record = record
    assert game.execute() == Outcome(record, replayed=True)
    assert game.script.calls == ["count", "read"]


@pytest.mark.parametrize("record", [heist(), refused()])
def test_a_repeat_takes_no_place_in_a_later_minute(record: Heist | RefusedHeist) -> None:
    game = Game()
    game.script.record = record
    game.begin_the_next_minute()
    assert game.execute() == Outcome(record, replayed=True)
    assert game.script.calls == ["count", "read", "uncount"]


def test_a_repeat_gives_no_place_back_that_it_did_not_take() -> None:
    game = Game()
    game.script.record = heist()
    game.script.counts = [Count(allowed=True, added=False)]
    game.begin_the_next_minute()
    assert game.execute() == Outcome(heist(), replayed=True)
    assert game.script.calls == ["count", "read"]


@pytest.mark.parametrize("record", [heist(), refused()])
def test_what_won_the_race_is_the_answer(record: Heist | RefusedHeist) -> None:
    game = Game()
    game.script.commits = [record]
    assert game.execute() == Outcome(record, replayed=True)


@pytest.mark.parametrize("record", [heist(victim="carol"), refused(victim="carol")])
def test_another_target_under_the_same_id_is_a_mismatch(record: Heist | RefusedHeist) -> None:
    found = Game()
    found.script.record = record
    with pytest.raises(IdempotencyMismatch):
        found.execute()
    lost = Game()
    lost.script.commits = [record]
    with pytest.raises(IdempotencyMismatch):
        lost.execute()


def test_a_replay_is_never_limited() -> None:
    game = Game()
    game.script.record = heist()
    game.script.counts = [Count(allowed=False, added=False)]
    assert game.execute().replayed
    assert game.script.calls == ["count", "read"]


def test_a_mismatch_comes_before_the_limit() -> None:
    game = Game()
    game.script.record = heist(victim="carol")
    game.script.counts = [Count(allowed=False, added=False)]
    with pytest.raises(IdempotencyMismatch):
        game.execute()


def test_a_count_that_cannot_be_taken_back_does_not_spoil_the_answer() -> None:
    game = Game()
    game.script.record = heist(at=NOW - HOUR)
    game.script.uncounts = [Unavailable()]
    game.begin_the_next_minute()
    assert game.execute().replayed
    assert game.script.calls == ["count", "read", "uncount"]


# Limits


def test_past_the_limit_nothing_is_decided() -> None:
    game = Game()
    game.script.counts = [Count(allowed=False, added=False)]
    with pytest.raises(RateLimited) as caught:
        game.execute()
    assert caught.value.retry_after_seconds == 57
    assert game.script.calls == ["count", "read"]


def test_a_limit_that_may_be_out_of_date_is_read_before_it_is_used() -> None:
    game = Game(HEIST_RATE_LIMIT_PER_MINUTE="10")
    game.time.pass_(seconds=30)
    game.script.settings_item = {"HEIST_RATE_LIMIT_PER_MINUTE": "3"}
    game.execute()
    assert game.script.calls == ["read", "count", "commit"]
    assert game.script.limits == [3]


def test_a_replay_with_settings_out_of_date_is_not_even_counted() -> None:
    game = Game()
    game.time.pass_(seconds=30)
    game.script.record = heist()
    assert game.execute().replayed
    assert game.script.calls == ["read"]


def test_a_count_without_an_answer_fails_closed() -> None:
    game = Game()
    game.script.counts = [Unavailable()] * 1000
    with pytest.raises(Unavailable):
        game.execute()
    assert "commit" not in game.script.calls


# can-rob


def test_a_check_is_the_plan_or_the_refusal_of_the_same_rules() -> None:
    game = Game()
    plan = game.check()
    assert isinstance(plan, HeistPlan)
    assert plan.points_stolen == 40
    game.script.attacker = player("alice")
    refusal = game.check()
    assert isinstance(refusal, HeistRefused)
    assert refusal.code == "NO_TOKENS"


def test_checks_have_three_times_the_limit() -> None:
    game = Game(HEIST_RATE_LIMIT_PER_MINUTE="7")
    game.check()
    game.time.pass_(seconds=30)
    game.script.settings_item = {"HEIST_RATE_LIMIT_PER_MINUTE": "2"}
    game.check()
    assert game.script.limits == [21, 6]
    assert game.script.calls == ["check", "read", "read", "check"]


def test_past_its_limit_a_check_answers_nothing() -> None:
    game = Game()
    game.script.counts = [Count(allowed=False, added=False)]
    with pytest.raises(RateLimited):
        game.check()


# Retry


def test_contention_is_waited_out_for_a_while_and_then_raised() -> None:
    time = FakeClock()
    rounds: list[int] = []

    def contended() -> None:
        rounds.append(1)
        raise Contention

    with pytest.raises(Contention):
        until_uncontended(contended, time.clock)
    assert len(rounds) == 13
    assert sum(time.slept) <= 4
    assert until_uncontended(lambda: "done", time.clock) == "done"


def test_only_contention_is_waited_out() -> None:
    time = FakeClock()

    def down() -> None:
        raise Unavailable

    with pytest.raises(Unavailable):
        until_uncontended(down, time.clock)
    assert time.slept == []


# Refusals that are stored


def test_of_a_flood_of_refusals_a_day_only_the_first_are_stored() -> None:
    game = Game()
    game.script.attacker = player("alice")
    for _ in range(MOST_REFUSALS):
        assert code_of(game.execute()) == "NO_TOKENS"
    game.script.calls.clear()
    with pytest.raises(RateLimited, match="Too many refused attempts today, please") as caught:
        game.execute()
    assert caught.value.retry_after_seconds == 12 * 3600 - 3
    assert "refuse" not in game.script.calls
    game.time.pass_(hours=12)
    assert code_of(game.execute()) == "NO_TOKENS"


def test_what_would_succeed_is_never_turned_away_for_refusals_before() -> None:
    game = Game()
    robber, game.script.attacker = game.script.attacker, player("alice")
    for _ in range(MOST_REFUSALS):
        game.execute()
    game.script.attacker = robber
    assert isinstance(game.execute().result, Heist)


def test_a_refusal_after_a_write_whose_fate_is_unknown_is_stored_whatever_was_before() -> None:
    """It is the fence that keeps the lost write from moving anything once the answer is out."""
    game = Game()
    robber, game.script.attacker = game.script.attacker, player("alice")
    for _ in range(MOST_REFUSALS):
        game.execute()
    game.script.before = [robber]
    game.script.commits = [Unavailable()]
    assert code_of(game.execute()) == "NO_TOKENS"
    assert game.script.calls[-1] == "refuse"


def test_a_heist_from_just_before_an_erasure_is_never_called_refused() -> None:
    game = Game()
    game.script.attacker = replace(player("alice", tokens=1), erased_at=NOW)
    game.script.overlooked = heist()
    outcome = game.execute()
    assert (outcome.result, outcome.replayed) == (game.script.overlooked, True)


def test_of_an_erased_player_nothing_is_stored() -> None:
    game = Game()
    game.script.attacker = replace(player("alice", tokens=1), erased_at=NOW)
    for _ in range(MOST_REFUSALS + 1):
        assert code_of(game.execute()) == "NO_TOKENS"
    assert "refuse" not in game.script.calls
