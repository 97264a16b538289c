"""Replaces the use case by one fixed outcome: what is left is parsing, calling, replying."""

from datetime import UTC, datetime, timedelta

from heist_core import wiring
from heist_core.domain.heist import Attempt, Heist, HeistPlan
from heist_core.use_cases.execute_heist import Outcome

_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _execute(attempt: Attempt, seconds_left: float) -> Outcome:
    plan = HeistPlan(
        at=_AT,
        season="2026-11",
        points_stolen=40,
        attacker_points_before=1000,
        victim_points_before=800,
        tokens_left=2,
        cooldown_ends_at=_AT + timedelta(hours=24),
    )
    return Outcome(Heist(attempt, plan, "Alice", "Bob"), replayed=False)


setattr(wiring, "execute_heist", lambda: _execute)  # noqa: B010 - mypy knows another type
