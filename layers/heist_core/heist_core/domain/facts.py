"""Facts, which the table keeps and the stream carries: their kinds and what they share.

Every fact says `at` (when), `parties` (the players that it is about), `token_holder` (whose
tokens it changed, if anybody's) and `correlation_id` (for logs and mails).
"""

from collections.abc import Container
from dataclasses import replace
from typing import TypeAlias

from .award import Award, TokenGrant
from .heist import Heist, HeistPlan, RefusedHeist
from .points import PointsChange
from .reversal import Reversal

Event: TypeAlias = Heist | Reversal | Award
"""Facts that cause notices and events out."""
Uneventful: TypeAlias = RefusedHeist | TokenGrant
"""Facts that cause neither notices nor events out."""
Fact: TypeAlias = Event | Uneventful
"""What is counted."""


def points_changes(event: Event) -> tuple[PointsChange, ...]:
    """What an event did to players' points; nothing where it is older than versions on record."""
    match event:
        case Heist(plan=plan):
            return _moved(event, plan, plan.points_stolen, "HEIST_GAIN", "HEIST_LOSS")
        case Reversal():
            return _moved(event, event, -event.points_returned, "HEIST_REVERSAL", "HEIST_REVERSAL")
        case Award():
            return ()


def _moved(
    event: Heist | Reversal, totals: HeistPlan | Reversal, gained: int, gain: str, loss: str
) -> tuple[PointsChange, ...]:
    sides = (
        (event.attacker_id, totals.attacker_points_after, gained, gain, totals.attacker_version),
        (event.victim_id, totals.victim_points_after, -gained, loss, totals.victim_version),
    )
    return tuple(
        PointsChange(player_id, event.season, points, change, reason, event.at, version)
        for player_id, points, change, reason, version in sides
        if change and version is not None
    )


def without_names_of(erased: Container[str], event: Event) -> Event:
    """The event without the names of erased players: a record or a stream may still hold them."""
    if isinstance(event, Award):
        return replace(event, referred_name=None) if event.referred_id in erased else event
    if event.attacker_id in erased:
        event = replace(event, attacker_name=None)
    return replace(event, victim_name=None) if event.victim_id in erased else event
