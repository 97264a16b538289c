"""Hypothesis looks for a sequence of calls, faults among them, after which the model disagrees."""

import random
from contextlib import ExitStack
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
)

from .application import CONSUMERS
from .scheduler import Deviation
from .simulation import PLAYERS, SEASON_EDGE, STRANGER, Failure, Simulator, Work

players = st.sampled_from(PLAYERS)
Request = tuple[str, str, str | None]
Event = tuple[str, dict[str, object]]


class TheGame(RuleBasedStateMachine):
    """Whatever is done, the checker sees every commit, and every answer."""

    simulator: Simulator

    requests = Bundle("requests")
    events = Bundle("events")

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._number = 0

    @initialize(seed=st.integers(0, 99))
    def open(self, seed: int) -> None:
        """The seed chooses the settings and the time of the year."""
        self.simulation = self._stack.enter_context(self.simulator.opened(seed))

    def teardown(self) -> None:
        try:
            self._safely(self.simulation.close)
            self._safely(self.simulation.tell_everybody)
        finally:
            self._stack.close()

    def _safely(self, work: Work) -> None:
        """Hypothesis makes examples shorter only for errors that are Exceptions."""
        try:
            work()
            self.simulation.no_defects()
        except Deviation as deviation:
            raise Failure("\n".join([*self.simulation.lines, str(deviation)])) from deviation

    def _next(self) -> str:
        self._number += 1
        return str(self._number)

    def _send(self, work: Work) -> Event:
        event = self.simulation.events[-1]
        self._safely(work)
        return event

    @rule(target=events, who=players, referred=st.sampled_from(("fay", "gus", "hal", "ivy")))
    def award(self, who: str, referred: str) -> Event:
        return self._send(self.simulation.award(who, referred))

    @rule(target=events, who=players, points=st.sampled_from((1, 20, 100, 500)))
    def earn(self, who: str, points: int) -> Event:
        return self._send(self.simulation.earn(who, points))

    @rule(
        target=requests,
        attacker=players,
        victim=st.sampled_from((*PLAYERS, STRANGER)),
        has_key=st.booleans(),
    )
    def heist(self, attacker: str, victim: str, has_key: bool) -> Request:
        key = f"key-{self._next()}" if has_key else None
        self._safely(self.simulation.ask(attacker, victim, key))
        return attacker, victim, key

    @rule(request=requests)
    def duplicate(self, request: Request) -> None:
        self._safely(self.simulation.ask(*request))

    @rule(request=requests, victim=players)
    def same_key_for_another(self, request: Request, victim: str) -> None:
        attacker, _, key = request
        self._safely(self.simulation.ask(attacker, victim, key))

    @rule(event=events)
    def deliver_event_again(self, event: Event) -> None:
        self._safely(self.simulation.event(*event))

    @rule(target=events, event=consumes(events), who=players)
    def claim_referral_of_another(self, event: Event, who: str) -> object:
        kind, detail = event
        if kind != "award_token":
            return multiple(event)
        self._safely(self.simulation.event(kind, {**detail, "referrerUserId": who}))
        return multiple()

    @rule(who=players, flag=st.sampled_from(("passive", "hidden")), chosen=st.booleans())
    def choose(self, who: str, flag: str, chosen: bool) -> None:
        self._safely(self.simulation.choose(who, {flag: chosen}, {}))

    @rule(seconds=st.sampled_from((0.001, 59.0, 3599.999, 3600.0, 86_400.0)))
    def wait(self, seconds: float) -> None:
        self.simulation.clock.sleep(seconds)

    @rule()
    def almost_new_season(self) -> None:
        left = SEASON_EDGE - timedelta(milliseconds=40) - self.simulation.clock.now()
        self.simulation.clock.sleep(max(0.0, left.total_seconds()))

    @rule(consumer=st.sampled_from(CONSUMERS), count=st.integers(1, 5))
    def deliver(self, consumer: str, count: int) -> None:
        self._safely(lambda: self.simulation.deliver_to(consumer, count))

    @rule(who=players)
    def read(self, who: str) -> None:
        self._safely(lambda: self._read(who))

    def _read(self, who: str) -> None:
        self.simulation.get("mark_notifications_read", who, body={})
        self.simulation.get("list_notifications", who)

    @rule(seed=st.integers(0, 2**16), rate=st.sampled_from((0.0, 0.2, 0.5)))
    def trouble(self, seed: int, rate: float) -> None:
        self.simulation.rate = self.simulation.faults.rate = rate
        self.simulation.rng.seed(seed)
        random.seed(seed)


@pytest.mark.slow
def test_no_sequence_of_calls_disagrees_with_the_model() -> None:
    TheGame.simulator = Simulator()
    machine = TheGame.TestCase
    machine.settings = settings(
        max_examples=30,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine().runTest()
