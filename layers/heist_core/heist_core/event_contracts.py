"""Shapes of events in (SPEC section 4). Apart from those of requests, which routes load alone."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from .contracts import PlayerId, Wire
from .domain.names import clean_name
from .domain.times import from_iso

# Texts, compiled when first used: a function uses one or two of these.
_REFERENCE = r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}"
_REFERENCE_BYTES = 1000  # with what the ledger puts before it, a sort key may have 1024
_POINT_EVENT_TYPE = r"[A-Z0-9_]{1,40}"
_EMAIL = (
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_EMAIL_LIMIT = 254


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def _reference(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not re.fullmatch(_REFERENCE, value):
        raise ValueError("must be a string of 1 to 256 characters, or an integer")
    if len(value.encode("utf-8")) > _REFERENCE_BYTES:
        raise ValueError(f"must not be longer than {_REFERENCE_BYTES} bytes in UTF-8")
    return value


def _email(value: str) -> str:
    if len(value) > _EMAIL_LIMIT or not re.fullmatch(_EMAIL, value):
        raise ValueError("must be an e-mail address")
    return value


def _moment(value: object) -> datetime:
    try:
        return from_iso(_text(value))
    except ValueError as error:
        raise ValueError("must be an ISO-8601 time with a time zone") from error


def _points(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise ValueError("must be an integer from 1 to 1000000")
    return value


def _point_event_type(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_POINT_EVENT_TYPE, value):
        raise ValueError("must be 1 to 40 characters from A-Z 0-9 _")
    if value.startswith("HEIST_"):
        raise ValueError("must not begin with HEIST_")
    return value


Reference = Annotated[str, BeforeValidator(_reference)]
Name = Annotated[str, BeforeValidator(_text)]
Email = Annotated[str, BeforeValidator(_text), AfterValidator(_email)]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Envelope(Wire):
    """What the bus adds: the event's own id, and its time, which dates what the detail does not."""

    id: str | None = Field(default=None, max_length=100)
    time: Moment


class ReferralCompleted(Wire):
    referralId: Reference
    referrerUserId: PlayerId
    referredUserId: PlayerId
    referredUserName: Name | None = None

    @model_validator(mode="after")
    def _two_people(self) -> "ReferralCompleted":
        if self.referrerUserId == self.referredUserId:
            raise ValueError("referrerUserId and referredUserId must be different players")
        return self

    @property
    def referred_name(self) -> str | None:
        return clean_name(self.referredUserName)


class UserUpserted(Wire):
    """`model_fields_set` tells an absent field (unchanged) from null (removed)."""

    userId: PlayerId
    name: Name | None = None
    email: Email | None = None
    emailOptOut: bool | None = None
    updatedAt: Moment | None = None


class PointsEarned(Wire):
    eventId: Reference
    userId: PlayerId
    points: Annotated[int, BeforeValidator(_points)]
    pointEventType: Annotated[str, BeforeValidator(_point_event_type)]
    occurredAt: Moment | None = None
