"""What players are told in their inbox."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from .award import Award
from .facts import Event
from .heist import Heist, plural
from .reversal import Reversal


class NoticeType(StrEnum):
    HEIST_SUCCESS = "HEIST_SUCCESS"
    HEIST_VICTIM = "HEIST_VICTIM"
    HEIST_REVERSED = "HEIST_REVERSED"
    TOKEN_EARNED = "TOKEN_EARNED"


Metadata = dict[str, str | int | None]


class Notice(NamedTuple):
    """A message to one player: an inbox item and, except for awards, a mail."""

    recipient_id: str
    type: NoticeType
    heist_id: str | None
    metadata: Metadata
    created_at: datetime


class InboxItem(NamedTuple):
    """A notice as it lies in the inbox; `id` sorts by arrival."""

    id: str
    notice: Notice
    read_at: datetime | None

    @property
    def read(self) -> bool:
        return self.read_at is not None


def notices_of(event: Event) -> tuple[Notice, ...]:
    """The notices of a fact: who gets which (SPEC section 5)."""
    match event:
        case Heist():
            return _notices_of_heist(event)
        case Reversal():
            return _notices_of_reversal(event)
        case Award():
            return (
                Notice(
                    recipient_id=event.referrer_id,
                    type=NoticeType.TOKEN_EARNED,
                    heist_id=None,
                    metadata={"referredUserName": event.referred_name},
                    created_at=event.at,
                ),
            )


def _notices_of_heist(heist: Heist) -> tuple[Notice, ...]:
    return (
        Notice(
            recipient_id=heist.attacker_id,
            type=NoticeType.HEIST_SUCCESS,
            heist_id=heist.heist_id,
            metadata={
                "victimName": heist.victim_name,
                "pointsStolen": heist.plan.points_stolen,
                "victimId": heist.victim_id,
            },
            created_at=heist.at,
        ),
        Notice(
            recipient_id=heist.victim_id,
            type=NoticeType.HEIST_VICTIM,
            heist_id=heist.heist_id,
            metadata={
                "attackerName": heist.attacker_name,
                "pointsLost": heist.plan.points_stolen,
                "attackerId": heist.attacker_id,
            },
            created_at=heist.at,
        ),
    )


def _notices_of_reversal(reversal: Reversal) -> tuple[Notice, ...]:
    amounts: Metadata = {
        "pointsStolen": reversal.points_stolen,
        "pointsReturned": reversal.points_returned,
        "shortfall": reversal.shortfall,
    }
    return (
        Notice(
            recipient_id=reversal.attacker_id,
            type=NoticeType.HEIST_REVERSED,
            heist_id=reversal.heist_id,
            metadata={
                "victimName": reversal.victim_name,
                "victimId": reversal.victim_id,
                "tokenRefunded": reversal.token_refunded,
                **amounts,
            },
            created_at=reversal.at,
        ),
        Notice(
            recipient_id=reversal.victim_id,
            type=NoticeType.HEIST_REVERSED,
            heist_id=reversal.heist_id,
            metadata={
                "attackerName": reversal.attacker_name,
                "attackerId": reversal.attacker_id,
                **amounts,
            },
            created_at=reversal.at,
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
        case NoticeType.HEIST_REVERSED:
            stolen = plural(int(str(data["pointsStolen"])), "point")
            back = f"{data['pointsReturned']} of {stolen}" if data["shortfall"] else stolen
            if "attackerId" in data:
                return f"A heist on you was reversed: you got {back} back."
            token = " You have your Heist Token back." if data["tokenRefunded"] else ""
            return (
                f"Your heist on {data['victimName'] or 'a player'} was reversed: "
                f"{back} went back.{token}"
            )
        case NoticeType.TOKEN_EARNED:
            return (
                f"You earned a Heist Token! {data['referredUserName'] or 'Someone'} "
                "joined using your referral code."
            )
