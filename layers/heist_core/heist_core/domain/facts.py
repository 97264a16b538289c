"""What happened and is kept: the kinds of it, and what all kinds have in common.

Every fact says `at` (when), `parties` (the two players that it is about), `token_holder` (whose
tokens it changed, if anybody's) and `correlation_id` (for logs and mails).
"""

from collections.abc import Container
from dataclasses import replace
from typing import TypeAlias

from .award import Award
from .heist import Heist, RefusedHeist
from .reversal import Reversal

MailedEvent: TypeAlias = Heist | Reversal
"""What players get a mail for as well."""
Event: TypeAlias = MailedEvent | Award
"""What players and other systems are told of."""
Fact: TypeAlias = Event | RefusedHeist
"""What is counted."""


def without_names_of(erased: Container[str], event: Event) -> Event:
    """The event without the names of erased players: a record or a stream may still hold them."""
    if isinstance(event, Award):
        return replace(event, referred_name=None) if event.referred_id in erased else event
    if event.attacker_id in erased:
        event = replace(event, attacker_name=None)
    return replace(event, victim_name=None) if event.victim_id in erased else event
