"""The states of a mail."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class MailState(StrEnum):
    """PENDING -> SENDING -> SENT | FAILED | SUPPRESSED | PARKED; see docs/decisions.md.

    Or DAILY: it is no mail of its own, but a line of the day's digest.

    Of one that was sent, SES may tell later that it BOUNCED, or that its reader COMPLAINED.
    """

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"
    PARKED = "PARKED"
    DAILY = "DAILY"
    BOUNCED = "BOUNCED"
    COMPLAINED = "COMPLAINED"

    @property
    def settled(self) -> bool:
        return self not in (MailState.PENDING, MailState.SENDING)


class MailRecord(NamedTuple):
    """How far the mail of a notice is. `attempts` counts sends that may have gone out."""

    state: MailState
    attempts: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
