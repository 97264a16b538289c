"""Models of incoming events (SPEC section 4); routes do not load them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from .contracts import PlayerId, Wire
from .domain.mail_feedback import Feedback, MailName
from .domain.mails import MailState
from .domain.names import clean_name
from .domain.times import CLOCKS_DIFFER, from_rfc3339
from .parsing import invalid

EARNED_BEFORE = timedelta(days=400)
"""How old earned points may be when their event arrives."""
FIRST_TIME = datetime(2020, 1, 1, tzinfo=UTC)
"""The game is younger: a clock that says less was reset."""

# Texts, compiled when first used: a function uses one or two of these.
_REFERENCE = r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}"
_REFERENCE_BYTES = 1000  # with what the ledger puts before it, a sort key may have 1024
_POINT_EVENT_TYPE = r"[A-Z0-9_]{1,40}"
_EMAIL = (
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_EMAIL_LIMIT = 254
_LOCALE = (  # the grammar of RFC 5646
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+"
    r"|i-[a-z]{3,8}|en-gb-oed|sgn-(?:be-fr|be-nl|ch-de)"
)
_LOCALE_LIMIT = 35
"""What a field for tags has room for at least (RFC 5646 section 4.4.1)."""


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


def _locale(value: str) -> str:
    if len(value) > _LOCALE_LIMIT or not re.fullmatch(_LOCALE, value, re.ASCII | re.IGNORECASE):
        raise ValueError("must be a language tag as in BCP 47, such as de or pt-BR")
    return value


def _moment(value: object) -> datetime:
    try:
        return from_rfc3339(_text(value))
    except ValueError as error:
        raise ValueError("must be a time as in RFC 3339, such as 2026-11-22T12:00:00Z") from error


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
Locale = Annotated[str, BeforeValidator(_text), AfterValidator(_locale)]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Detail(Wire):
    """What an event says."""

    source: ClassVar[str]

    @classmethod
    def types(cls) -> tuple[str, ...]:
        """The `detail-type`s that it comes as."""
        return (cls.__name__,)


class Envelope(Wire):
    """The envelope that sender and bus add; `time` dates what the detail does not."""

    id: str | None = Field(default=None, max_length=100)
    source: str
    detail_type: str = Field(alias="detail-type")
    time: Moment

    def check(self, detail: type[Detail], now: datetime) -> None:
        """Raises InvalidInput unless the event comes from the system that may send it, as what it
        is handled as, and with a time that is possible: a dead letter did not come over the bus,
        and on the bus `time` is the sender's."""
        if self.source != detail.source:
            raise invalid("wrong_source", "source", f"must be {detail.source}")
        if self.detail_type not in detail.types():
            raise invalid("wrong_type", "detail-type", f"must be {' or '.join(detail.types())}")
        if self.time > now + CLOCKS_DIFFER:
            raise invalid("wrong_time", "time", "must not be more than 5 minutes from now")
        if self.time < FIRST_TIME:
            raise invalid("wrong_time", "time", f"must not be before {FIRST_TIME.year}")


def _at(field: str, given: datetime | None, sent_at: datetime) -> datetime:
    """The date that a sender gave, by default that of its event. Raises InvalidInput."""
    if given is None:
        return sent_at
    if given > sent_at + CLOCKS_DIFFER:
        message = "must not be more than 5 minutes after the event's time"
        raise invalid("wrong_time", field, message)
    return given


class ReferralCompleted(Detail):
    source = "referrals"
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


class UserUpserted(Detail):
    """`model_fields_set` tells an absent field (unchanged) from null (removed)."""

    source = "users"
    userId: PlayerId
    name: Name | None = None
    email: Email | None = None
    emailOptOut: bool | None = None
    locale: Locale | None = None
    updatedAt: Moment | None = None

    def updated_at(self, sent_at: datetime) -> datetime:
        """Raises InvalidInput for a date after the event that brings it."""
        return _at("updatedAt", self.updatedAt, sent_at)


class PointsEarned(Detail):
    source = "points"
    eventId: Reference
    userId: PlayerId
    points: Annotated[int, BeforeValidator(_points)]
    pointEventType: Annotated[str, BeforeValidator(_point_event_type)]
    occurredAt: Moment | None = None

    def occurred_at(self, sent_at: datetime) -> datetime:
        """Raises InvalidInput for a date after the event that brings it, or long before."""
        at = _at("occurredAt", self.occurredAt, sent_at)
        if at < sent_at - EARNED_BEFORE:
            message = f"must not be more than {EARNED_BEFORE.days} days before the event's time"
            raise invalid("wrong_time", "occurredAt", message)
        return at


class _SentMail(Wire):
    destination: list[str]
    tags: dict[str, list[str]] = Field(default_factory=dict)


class _Bounce(Wire):
    bounceType: str
    timestamp: Moment


class _Complaint(Wire):
    complaintFeedbackType: str | None = None
    timestamp: Moment


class MailFeedback(Detail):
    """What SES tells of a mail (its developer guide, "event publishing")."""

    source = "aws.ses"
    mail: _SentMail
    bounce: _Bounce | None = None
    complaint: _Complaint | None = None

    @classmethod
    def types(cls) -> tuple[str, ...]:
        return (
            "Email Bounced",
            "Email Complaint Received",
            "Email Delivery Delayed",
            "Email Rejected",
        )

    def feedback(self, name: MailName) -> Feedback | None:
        """The permanent outcome; None for a mail that may still arrive, and for a report that it is
        not spam."""
        if self.bounce is not None and self.bounce.bounceType == "Permanent":
            return Feedback(name, MailState.BOUNCED, self.mail.destination, self.bounce.timestamp)
        complaint = self.complaint
        if complaint is not None and complaint.complaintFeedbackType != "not-spam":
            return Feedback(name, MailState.COMPLAINED, self.mail.destination, complaint.timestamp)
        return None
