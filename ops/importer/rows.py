"""What the rows of the old system's tables must hold: those of the guide's Prisma schema."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from heist_core.domain.names import clean_name
from heist_core.domain.player import canonical_player_id
from heist_core.domain.times import to_milliseconds
from heist_core.event_contracts import Email, Locale
from heist_core.http.api import network_of

RawRow = Mapping[str, object]
"""Values by column; text from CSV, what JSON has otherwise; None where there is nothing."""

LARGEST_INTEGER = 2**31 - 1
"""What PostgreSQL's `integer`, Prisma's `Int`, can hold."""

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2}(:?[0-9]{2})?)?)?"
)
_TRUTH = {True: True, "t": True, "true": True, False: False, "f": False, "false": False}
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_LOCALE: TypeAdapter[str] = TypeAdapter(Locale)

T = TypeVar("T")


class RowError(Exception):
    """A row that is rejected: which field, and what is allowed. Never holds the value itself."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def _integer(least: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = "" if isinstance(value, bool) else str(value)
        if not _WHOLE_NUMBER.fullmatch(text) or not least <= int(text) <= LARGEST_INTEGER:
            raise ValueError(f"must be an integer from {least} to {LARGEST_INTEGER}")
        return int(text)

    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool | str) or value not in _TRUTH:
        raise ValueError("must be t, f, true, false or nothing")
    return _TRUTH[value]


def _email(value: object) -> str:
    try:
        return _EMAIL.validate_python(_text(value))
    except ValidationError:
        raise ValueError("must be an e-mail address or nothing") from None


def _locale(value: object) -> str:
    try:
        return _LOCALE.validate_python(_text(value))
    except ValidationError:
        raise ValueError("must be a language tag such as de or pt-BR, or nothing") from None


def _moment(value: object, info: ValidationInfo) -> datetime:
    """A time; in UTC where it carries no zone, which is how Prisma keeps them."""
    try:
        if not _TIME.fullmatch(_text(value)):
            raise ValueError
        moment = datetime.fromisoformat(_text(value))
        moment = to_milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except ValueError:
        allowed = "a time such as 2026-11-22 12:00:03.117, in UTC unless it names its offset"
        raise ValueError(f"must be {allowed}") from None
    if isinstance(info.context, datetime) and moment > info.context:
        raise ValueError("must not lie in the future")
    return moment


def _or_nothing(read: Callable[[object], T]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else read(value))


Id = Annotated[str, BeforeValidator(canonical_player_id)]
Number = Annotated[int, BeforeValidator(_integer(-LARGEST_INTEGER))]
Count = Annotated[int, BeforeValidator(_integer(0))]
Positive = Annotated[int, BeforeValidator(_integer(1))]
Moment = Annotated[datetime, BeforeValidator(_moment)]
OptionalId = Annotated[str | None, _or_nothing(canonical_player_id)]
OptionalMoment = Annotated[
    datetime | None,
    BeforeValidator(lambda value, info: None if value is None else _moment(value, info)),
]


class Row(BaseModel):
    """A row, by the names of its columns. Those with a default need not be there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def of(cls, raw: RawRow, now: datetime) -> Self:
        """Whatever lies after `now` is wrong. Raises RowError with the first field that is."""
        values = {name: raw.get(name) for name in cls.model_fields}
        try:
            return cls.model_validate(values, context=now)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            reason = first["msg"].removeprefix("Value error, ")
            raise RowError(str(first["loc"][0]), reason) from None


class UserRow(Row):
    id: Id
    monthlyPoints: Count
    name: Annotated[str | None, _or_nothing(lambda value: clean_name(_text(value)))] = None
    email: Annotated[str | None, _or_nothing(_email)] = None
    emailOptOut: Annotated[bool | None, _or_nothing(_truth)] = None
    locale: Annotated[str | None, _or_nothing(_locale)] = None
    createdAt: OptionalMoment = None
    updatedAt: OptionalMoment = None
    referredByUserId: OptionalId = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.referredByUserId == self.id:
            raise RowError("referredByUserId", "must be another player than id")
        return self


class TokenRow(Row):
    userId: Id
    balance: Count
    totalEarned: Count
    totalSpent: Count
    lastEarnedAt: OptionalMoment = None
    lastSpentAt: OptionalMoment = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.balance != self.totalEarned - self.totalSpent:
            raise RowError("balance", "must be totalEarned less totalSpent")
        return self


class HeistRow(Row):
    """A heist that succeeded; what others hold beside their status is of no interest."""

    id: Id
    attackerId: Id
    victimId: Id
    pointsStolen: Positive
    attackerPointsBefore: Count
    attackerPointsAfter: Count
    victimPointsBefore: Count
    victimPointsAfter: Count
    status: Annotated[str, BeforeValidator(_text)]
    createdAt: Moment
    ipAddress: Annotated[str | None, BeforeValidator(network_of)] = None
    """Shortened to its network."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.attackerId == self.victimId:
            raise RowError("victimId", "must be another player than attackerId")
        if self.attackerPointsBefore + self.pointsStolen != self.attackerPointsAfter:
            raise RowError("attackerPointsAfter", "must be attackerPointsBefore plus pointsStolen")
        if self.victimPointsBefore - self.pointsStolen != self.victimPointsAfter:
            raise RowError("victimPointsAfter", "must be victimPointsBefore less pointsStolen")
        return self


class PointRow(Row):
    id: Id
    userId: Id
    points: Number
    createdAt: Moment
