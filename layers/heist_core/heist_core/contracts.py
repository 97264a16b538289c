"""Shapes on the wire: requests of the API, events in (SPEC sections 2 and 4)."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from .domain.errors import InvalidInput, Issue
from .domain.player import canonical_player_id, clean_name
from .domain.times import from_iso

BODY_LIMIT = 8 * 1024
NESTING_LIMIT = 16
DEFAULT_PAGE = 50

# Texts, compiled when first used: a function uses one or two of these.
_POSITION = r"[0-9]{10}-[0-9a-f]{8}"
_WHOLE_NUMBER = r"[0-9]{1,3}"
_IDEMPOTENCY_KEY = r"[ -~]{1,128}"
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


def _limit(value: object) -> int:
    text = str(value)
    if not re.fullmatch(_WHOLE_NUMBER, text) or not 1 <= int(text) <= 100:
        raise ValueError("must be an integer from 1 to 100")
    return int(text)


def _flag(value: object) -> bool:
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


def _cursor(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_POSITION, value):
        raise ValueError("must be the nextCursor of an earlier answer")
    return value.partition("-")[0]


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


PlayerId = Annotated[str, BeforeValidator(canonical_player_id)]
Reference = Annotated[str, BeforeValidator(_reference)]
Name = Annotated[str, BeforeValidator(_text)]
Email = Annotated[str, BeforeValidator(_text), AfterValidator(_email)]
Moment = Annotated[datetime, BeforeValidator(_moment)]

# Requests


class _Wire(BaseModel):
    # Built when first used: a function uses one or two of these.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)


class ExecuteRequest(_Wire):
    targetUserId: PlayerId


class TargetPath(_Wire):
    targetUserId: PlayerId


class NotificationsQuery(_Wire):
    unreadOnly: Annotated[bool, BeforeValidator(_flag)] = False
    limit: Annotated[int, BeforeValidator(_limit)] = DEFAULT_PAGE
    cursor: Annotated[str, BeforeValidator(_cursor)] = Field(default="")


class MarkReadRequest(_Wire):
    """Absent members are told from given ones by `model_fields_set`; null is not absent."""

    notificationIds: Annotated[list[str], Field(max_length=100)] = Field(default=[])
    upTo: str = Field(default="")

    @model_validator(mode="after")
    def _one_selection(self) -> "MarkReadRequest":
        if {"notificationIds", "upTo"} <= self.model_fields_set:
            raise ValueError("notificationIds and upTo must not be given together")
        return self


# Events in


class Envelope(_Wire):
    """What the bus adds: the event's own id, and its time, which dates what the detail does not."""

    id: str | None = Field(default=None, max_length=100)
    time: Moment


class ReferralCompleted(_Wire):
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


class UserUpserted(_Wire):
    """`model_fields_set` tells an absent field (unchanged) from null (removed)."""

    userId: PlayerId
    name: Name | None = None
    email: Email | None = None
    emailOptOut: bool | None = None
    updatedAt: Moment | None = None


class PointsEarned(_Wire):
    eventId: Reference
    userId: PlayerId
    points: Annotated[int, BeforeValidator(_points)]
    pointEventType: Annotated[str, BeforeValidator(_point_event_type)]
    occurredAt: Moment | None = None


# Parsing

M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], values: object) -> M:
    """Validate a value against a model; raises InvalidInput naming every field that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(
            [
                _issue(problem["type"], problem["loc"], problem["msg"])
                for problem in error.errors(include_url=False, include_input=False)
            ]
        ) from error


def _issue(code: str, path: Sequence[str | int], message: str) -> Issue:
    text = "is required" if code == "missing" else message.removeprefix("Value error, ")
    field = ".".join(str(part) for part in path)
    return Issue(code, tuple(path), f"{field}: {text}" if field else text)


def parse_body(model: type[M], body: bytes, *, empty: Mapping[str, object] | None = None) -> M:
    """Validate a JSON body of at most 8 KiB.

    `empty` stands for a body of no bytes, where that is allowed. Raises InvalidInput.
    """
    if not body and empty is not None:
        return parse(model, empty)
    if len(body) > BODY_LIMIT:
        raise _invalid("too_long", f"the body must not be longer than {BODY_LIMIT} bytes")
    try:
        value: object = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as error:
        raise _invalid("invalid_json", "the body must be JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise _invalid("invalid_type", "the body must be a JSON object")
    if _deeper_than(NESTING_LIMIT, value):
        raise _invalid("too_deep", f"the body must not be nested deeper than {NESTING_LIMIT}")
    return parse(model, value)


def parse_idempotency_key(value: str | None) -> str | None:
    """The Idempotency-Key header; raises InvalidInput unless it is 1-128 printable ASCII."""
    if value is None or re.fullmatch(_IDEMPOTENCY_KEY, value):
        return value
    raise InvalidInput(
        [
            Issue(
                "invalid_header",
                ("Idempotency-Key",),
                "Idempotency-Key: must be 1 to 128 printable ASCII characters",
            )
        ]
    )


def parse_notification_id(value: str) -> tuple[str, str] | None:
    """Position and tag of a notification id; None for a text that no notification has as id."""
    if not re.fullmatch(_POSITION, value):
        return None
    position, _, tag = value.partition("-")
    return position, tag


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _invalid("duplicate_name", "the body must not hold the same name twice")
    return members


def _deeper_than(limit: int, value: object) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_deeper_than(limit - 1, child) for child in children)


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _invalid(code: str, message: str) -> InvalidInput:
    return InvalidInput([Issue(code, (), message)])
