"""Keeps an erased person out of notices, mails and events about others."""

from collections.abc import Container
from dataclasses import replace

from .award import Award
from .inbox import Event
from .reversal import Reversal


def parties_of(event: Event) -> tuple[str, str]:
    """The two players that an event is about."""
    if isinstance(event, Award):
        return event.referrer_id, event.referred_id
    if isinstance(event, Reversal):
        return event.attacker_id, event.victim_id
    return event.attempt.attacker_id, event.attempt.victim_id


def without_names_of(erased: Container[str], event: Event) -> Event:
    """The event without the names of erased players: a record or a stream may still hold them."""
    first, second = parties_of(event)
    if isinstance(event, Award):
        return replace(event, referred_name=None) if second in erased else event
    if first in erased:
        event = replace(event, attacker_name=None)
    return replace(event, victim_name=None) if second in erased else event
