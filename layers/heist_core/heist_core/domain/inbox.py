"""What players are told, and the state of the mail that goes with it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .award import Award
from .heist import Heist


class NoticeType(StrEnum):
    HEIST_SUCCESS = "HEIST_SUCCESS"
    HEIST_VICTIM = "HEIST_VICTIM"
    TOKEN_EARNED = "TOKEN_EARNED"


class Owed(StrEnum):
    """What a heist or award still owes to the outside."""

    NOTICES = "notices"
    EVENT = "event"


MAIL_AGAIN = "mail#"
"""Begins what is owed for a mail that was asked for again. Each request has an entry of its own, so that
nobody who settles what they saw takes away what was asked for since."""


Metadata = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that one player is told: an inbox item and, for heists, a mail."""

    recipient_id: str
    type: NoticeType
    heist_id: str | None
    metadata: Metadata
    created_at: datetime


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A notice as it lies in the inbox; `id` sorts by arrival."""

    id: str
    notice: Notice
    read_at: datetime | None

    @property
    def read(self) -> bool:
        return self.read_at is not None


class MailState(StrEnum):
    """PENDING -> SENDING -> SENT | FAILED | SUPPRESSED | PARKED; see docs/decisions.md."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"
    PARKED = "PARKED"

    @property
    def settled(self) -> bool:
        return self not in (MailState.PENDING, MailState.SENDING)


@dataclass(frozen=True, slots=True)
class MailRecord:
    """How far the mail of a notice is. `attempts` counts sends begun and not known to have failed."""

    state: MailState
    attempts: int = 0
    owner: str | None = None
    lease_until: datetime | None = None


def notices_of(event: Heist | Award) -> tuple[Notice, ...]:
    """Who is told what of a heist or an award (SPEC section 5)."""
    if isinstance(event, Award):
        return (
            Notice(
                recipient_id=event.referrer_id,
                type=NoticeType.TOKEN_EARNED,
                heist_id=None,
                metadata={"referredUserName": event.referred_name},
                created_at=event.at,
            ),
        )
    attempt, plan = event.attempt, event.plan
    return (
        Notice(
            recipient_id=attempt.attacker_id,
            type=NoticeType.HEIST_SUCCESS,
            heist_id=attempt.id,
            metadata={
                "victimName": event.victim_name,
                "pointsStolen": plan.points_stolen,
                "victimId": attempt.victim_id,
            },
            created_at=plan.at,
        ),
        Notice(
            recipient_id=attempt.victim_id,
            type=NoticeType.HEIST_VICTIM,
            heist_id=attempt.id,
            metadata={
                "attackerName": event.attacker_name,
                "pointsLost": plan.points_stolen,
                "attackerId": attempt.attacker_id,
            },
            created_at=plan.at,
        ),
    )


def message_of(notice: Notice) -> str:
    """The inbox text of a notice, word for word as SPEC section 5 has it."""
    data = notice.metadata
    match notice.type:
        case NoticeType.HEIST_SUCCESS:
            return (
                f"Success! You pulled a heist on {data['victimName'] or 'a player'} "
                f"and stole {data['pointsStolen']} points!"
            )
        case NoticeType.HEIST_VICTIM:
            return (
                f"Oh no! {data['attackerName'] or 'Someone'} just pulled a heist on you "
                f"and stole {data['pointsLost']} of your monthly points!"
            )
        case NoticeType.TOKEN_EARNED:
            return (
                f"You earned a Heist Token! {data['referredUserName'] or 'Someone'} "
                "joined using your referral code."
            )
