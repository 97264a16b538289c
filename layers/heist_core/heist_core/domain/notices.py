"""Notices: the content of inbox items and mails."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from .award import Award
from .facts import Event
from .heist import Heist
from .reversal import Reversal


class NoticeType(StrEnum):
    HEIST_SUCCESS = "HEIST_SUCCESS"
    HEIST_VICTIM = "HEIST_VICTIM"
    HEIST_REVERSED = "HEIST_REVERSED"
    TOKEN_EARNED = "TOKEN_EARNED"


Metadata = dict[str, str | int | None]


class Notice(NamedTuple):
    """A message to one player: an inbox item and, as they chose, a mail."""

    recipient_id: str
    type: NoticeType
    heist_id: str | None
    metadata: Metadata
    created_at: datetime
    locale: str | None = None
    """The recipient's, when the notice came (BCP 47)."""
    referred_id: str | None = None
    """Of a token: who joined."""


class Message(NamedTuple):
    """A text's key, and the values that it shows; an unknown name is None."""

    key: str
    params: Metadata


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
                    referred_id=event.referred_id,
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


def message_of(notice: Notice) -> Message:
    """The parameters of an inbox item's text (SPEC section 5)."""
    data = notice.metadata
    match notice.type:
        case NoticeType.HEIST_SUCCESS:
            return _message("heist_success", data, "victimName", "pointsStolen")
        case NoticeType.HEIST_VICTIM:
            return _message("heist_victim", data, "attackerName", "pointsLost")
        case NoticeType.TOKEN_EARNED:
            return _message("token_earned", data, "referredUserName")
        case NoticeType.HEIST_REVERSED:
            partly, amounts = "", ["pointsStolen"]
            if data["shortfall"]:
                partly, amounts = "_partly", ["pointsReturned", "pointsStolen"]
            if "attackerId" in data:
                return _message(f"heist_reversed_victim{partly}", data, *amounts)
            refunded = "_refunded" if data["tokenRefunded"] else ""
            key = f"heist_reversed_attacker{partly}{refunded}"
            return _message(key, data, "victimName", *amounts)


def _message(key: str, data: Metadata, *names: str) -> Message:
    return Message(key, {name: data[name] for name in names})
