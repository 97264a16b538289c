"""One attempt of a player to rob another: decided once, however often it is sent."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.errors import (
    Contention,
    HeistRefused,
    IdempotencyMismatch,
    Misconfigured,
    RateLimited,
    Unavailable,
)
from heist_core.domain.heist import Attempt, Heist, RefusedHeist, plan_heist
from heist_core.tally import Tally

from .clock import Clock
from .retry import pauses

if TYPE_CHECKING:
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import Count, HeistSnapshot, Store

BEGIN_ROUNDS_FOR_SECONDS = 8.0
"""No round begins later than this; API Gateway gives up at 30 s."""
LONGEST_ROUND_SECONDS = 15.0
"""A read and a write, each of two attempts with 1 s to connect, 2 s to read and a pause between."""

REFUSALS_STORED_A_DAY = 10
"""Times the rate limit, of a player and by an instance: more is no play, and would be millions of
records in a month."""


class Outcome(NamedTuple):
    """What became of an attempt; `replayed` when it was taken from the record.

    `contended` counts the rounds that were lost to others, or to a storage that did not answer.
    """

    result: Heist | RefusedHeist
    replayed: bool
    contended: int = 0


def heist_id_of(attacker_id: str, key: str | None, new_id: Callable[[], str]) -> str:
    """The heist's id: the same for the same attacker and Idempotency-Key, new without a key."""
    if key is None:
        return new_id()
    text = f"{len(attacker_id)}:{attacker_id}{key}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def seconds_to_next_minute(moment: datetime) -> int:
    """Whole seconds, rounded up, until the next calendar minute: 1 to 60."""
    left = minute_of(moment) + timedelta(minutes=1) - moment
    return max(1, -(-left // timedelta(seconds=1)))


@dataclass(frozen=True)
class ExecuteHeist:
    """The algorithm of docs/decisions.md, "Execute": read, decide, write conditionally, repeat.

    A condition that fails never means "no": it means that the read is out of date.
    """

    store: "Store"
    settings: "LiveSettings"
    clock: Clock
    refusals: Tally
    """Those that were stored today, by player."""

    def __call__(self, attempt: Attempt, seconds_left: float) -> Outcome:
        """Decide the attempt, or say what was decided before.

        Raises IdempotencyMismatch, RateLimited, or Unavailable when `seconds_left` do not suffice.
        """
        started = self.clock.monotonic()
        begin_until = started + min(BEGIN_ROUNDS_FOR_SECONDS, seconds_left - LONGEST_ROUND_SECONDS)
        counted = False
        contended = 0
        waits = pauses()
        while True:
            try:
                if counted:
                    snapshot = self._read(attempt)
                else:
                    snapshot = self._read_and_count(attempt)
                    counted = True
                outcome = self._decide(attempt, snapshot, first_round=not contended)
                if outcome is not None:
                    return outcome._replace(contended=contended)
                failure: Unavailable = Contention()
            except Misconfigured:
                raise
            except Unavailable as error:
                failure = error
            contended += 1
            wait = next(waits)
            if self.clock.monotonic() + wait > begin_until:
                raise failure
            self.clock.sleep(wait)

    def _read(self, attempt: Attempt) -> "HeistSnapshot":
        stale = self.settings.stale
        snapshot = self.store.read_for_heist(
            attempt.id, attempt.attacker_id, attempt.victim_id, with_settings=stale
        )
        if stale:
            self.settings.refresh(snapshot.settings)
        return snapshot

    def _read_and_count(self, attempt: Attempt) -> "HeistSnapshot":
        """Read, and count the attempt at the same time (one after the other if the limit is not
        known for certain). What was decided in an earlier minute is not counted; what another
        request with the same key has just decided stays so, since it counts on this count."""
        now = self.clock.now()

        def count() -> "Count":
            limit = self.settings.current.rate_limit_per_minute
            return self.store.count_attempt(attempt.attacker_id, attempt.id, minute_of(now), limit)

        if self.settings.stale:
            snapshot = self._read(attempt)
            if snapshot.record is not None:
                return snapshot
            counted = count()
        else:
            counted, snapshot = self.store.together(count, lambda: self._read(attempt))
        if snapshot.record is not None:
            if counted.added and minute_of(snapshot.record.at) != minute_of(now):
                self._uncount(attempt, minute_of(now))
        elif not counted.allowed:
            raise RateLimited(
                seconds_to_next_minute(now), "Too many heist attempts, please try again later"
            )
        return snapshot

    def _uncount(self, attempt: Attempt, minute: datetime) -> None:
        try:
            self.store.uncount_attempt(attempt.attacker_id, attempt.id, minute)
        except Unavailable:
            return

    def _decide(
        self, attempt: Attempt, snapshot: "HeistSnapshot", *, first_round: bool
    ) -> Outcome | None:
        """None: what was read is out of date, so another round is needed."""
        if snapshot.record is not None:
            return _replay(attempt, snapshot.record)
        now = self.clock.now()
        attacker, victim, rules = snapshot.attacker, snapshot.victim, self.settings.current
        try:
            plan = plan_heist(attacker, victim, rules, now)
        except HeistRefused as refusal:
            refused = RefusedHeist(attempt, now, refusal)
            if attacker.erased:  # permanently, so that it needs no record
                standing = self._read(attempt).record  # from before: the batch is no snapshot
                if standing is not None:
                    return _replay(attempt, standing)
                return Outcome(refused, replayed=False)
            return self._refuse(refused, first_round=first_round)
        heist = Heist(attempt, plan, attacker.name, victim.name)
        standing = self.store.commit_heist(heist, attacker, victim, rules.pair_cooldown)
        return Outcome(heist, replayed=False) if standing is None else _replay(attempt, standing)

    def _refuse(self, refused: RefusedHeist, *, first_round: bool) -> Outcome | None:
        """Store the refusal. None: another outcome stands.

        Of a flood only the first are stored; what is not stored is no final answer, but a 429.
        In a later round a write of an earlier one may still arrive. The record keeps that from
        moving anything, and so is always stored.
        """
        player_id = refused.attacker_id
        most = REFUSALS_STORED_A_DAY * self.settings.current.rate_limit_per_minute
        if first_round and self.refusals.of(player_id) >= most:
            message = "Too many refused attempts today, please try again later"
            raise RateLimited(self.refusals.seconds_left(), message)
        if not self.store.record_refusal(refused):
            return None
        self.refusals.add(player_id)
        return Outcome(refused, replayed=False)


def _replay(attempt: Attempt, record: Heist | RefusedHeist) -> Outcome:
    if record.victim_id != attempt.victim_id:
        raise IdempotencyMismatch
    return Outcome(record, replayed=True)
