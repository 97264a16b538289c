"""An operator's action, for the append-only log, and the receipt of its answer."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from .names import steers

SHORTEST_REASON = 3
LONGEST_REASON = 500
MOST_TOKENS_GRANTED = 5


@dataclass(frozen=True, slots=True)
class Action:
    """One change by an operator: who, when, what to whom, why, and what it changed."""

    id: str
    at: datetime
    who: str
    """An AWS identity, `local:<user>`, or the id in a verified token."""
    what: str
    """The command, such as `block`."""
    subject: str
    """Such as `player <id>` or `settings`; no name and no address."""
    why: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    who_name: str | None = None
    """What a token calls its bearer."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an action changes, or would; `about` names it. Not `changed`: it is so already."""

    about: Mapping[str, object]
    before: Mapping[str, object]
    after: Mapping[str, object]
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a request under an Idempotency-Key was answered.

    `content` tells another request from a repeat of this one. A refusal expires.
    """

    id: str
    content: str
    status: int
    body: str
    at: datetime


Remember: TypeAlias = Callable[[Change], Receipt | None]
"""The receipt to be put in the transaction of a change; None where nobody will repeat it."""


def forget(_: Change) -> None:
    """For requests without an Idempotency-Key."""


def reason_from(text: str) -> str:
    """The reason for an action, without blanks around it. Raises ValueError, saying what may be."""
    reason = text.strip()
    shown = not any(steers(one) or unicodedata.category(one) == "Cs" for one in reason)
    if not (SHORTEST_REASON <= len(reason) <= LONGEST_REASON and shown):
        raise ValueError(
            f"must be {SHORTEST_REASON} to {LONGEST_REASON} characters in one line, saying why"
        )
    return reason
