"""What an operator did, for the log that nobody can change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


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
