"""What the rows of the old system's tables must hold. Pure: a raw row in, a checked row or RowError out.

The tables are those of the guide's Prisma schema: User, HeistToken, Heist, UserPointEvent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from heist_core.domain.names import clean_name
from heist_core.domain.player import canonical_player_id
from heist_core.domain.times import to_milliseconds
from heist_core.event_contracts import Email
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


class RowError(Exception):
    """A row that cannot be taken: which field, and what is allowed. Never holds the value itself."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class UserRow:
    """`points` are monthlyPoints; `changed_at` dates name, e-mail and opt-out."""

    id: str
    points: int
    name: str | None
    email: str | None
    email_opt_out: bool | None
    joined_at: datetime | None
    changed_at: datetime | None
    referred_by: str | None


@dataclass(frozen=True, slots=True)
class TokenRow:
    user_id: str
    earned: int
    spent: int
    last_earned_at: datetime | None
    last_spent_at: datetime | None


@dataclass(frozen=True, slots=True)
class HeistRow:
    """A successful heist."""

    id: str
    attacker_id: str
    victim_id: str
    stolen: int
    attacker_before: int
    victim_before: int
    at: datetime
    network: str | None


@dataclass(frozen=True, slots=True)
class PointRow:
    id: str
    user_id: str
    points: int
    at: datetime


def user_row(row: RawRow, now: datetime) -> UserRow:
    """A row of User. Raises RowError."""
    user_id = _id(row, "id")
    joined_at = _optional_moment(row, "createdAt", now)
    referred_by = None if row.get("referredByUserId") is None else _id(row, "referredByUserId")
    if referred_by == user_id:
        raise RowError("referredByUserId", "must be another player than id")
    return UserRow(
        id=user_id,
        points=_integer(row, "monthlyPoints", least=0),
        name=clean_name(_text(row, "name")),
        email=_email(row),
        email_opt_out=_truth(row, "emailOptOut"),
        joined_at=joined_at,
        changed_at=_optional_moment(row, "updatedAt", now) or joined_at,
        referred_by=referred_by,
    )


def token_row(row: RawRow, now: datetime) -> TokenRow:
    """A row of HeistToken. Raises RowError."""
    balance, earned, spent = (
        _integer(row, name, least=0) for name in ("balance", "totalEarned", "totalSpent")
    )
    if balance != earned - spent:
        raise RowError("balance", "must be totalEarned less totalSpent")
    return TokenRow(
        user_id=_id(row, "userId"),
        earned=earned,
        spent=spent,
        last_earned_at=_optional_moment(row, "lastEarnedAt", now),
        last_spent_at=_optional_moment(row, "lastSpentAt", now),
    )


def heist_row(row: RawRow, now: datetime) -> HeistRow | None:
    """A row of Heist; None for one that did not succeed. Raises RowError."""
    heist_id = _id(row, "id")
    if row.get("status") != "SUCCESS":
        if not isinstance(row.get("status"), str):
            raise RowError("status", "must be SUCCESS or another status of the old system")
        return None
    attacker, victim = _id(row, "attackerId"), _id(row, "victimId")
    if attacker == victim:
        raise RowError("victimId", "must be another player than attackerId")
    stolen = _integer(row, "pointsStolen", least=1)
    attacker_before, attacker_after, victim_before, victim_after = (
        _integer(row, name, least=0)
        for name in (
            *("attackerPointsBefore", "attackerPointsAfter"),
            *("victimPointsBefore", "victimPointsAfter"),
        )
    )
    if attacker_before + stolen != attacker_after:
        raise RowError("attackerPointsAfter", "must be attackerPointsBefore plus pointsStolen")
    if victim_before - stolen != victim_after:
        raise RowError("victimPointsAfter", "must be victimPointsBefore less pointsStolen")
    return HeistRow(
        id=heist_id,
        attacker_id=attacker,
        victim_id=victim,
        stolen=stolen,
        attacker_before=attacker_before,
        victim_before=victim_before,
        at=_moment(row, "createdAt", now),
        network=network_of(row.get("ipAddress")),
    )


def point_row(row: RawRow, now: datetime) -> PointRow:
    """A row of UserPointEvent; its points may be negative. Raises RowError."""
    return PointRow(
        id=_id(row, "id"),
        user_id=_id(row, "userId"),
        points=_integer(row, "points", least=-LARGEST_INTEGER),
        at=_moment(row, "createdAt", now),
    )


def _text(row: RawRow, name: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise RowError(name, "must be text")
    return value


def _id(row: RawRow, name: str) -> str:
    try:
        return canonical_player_id(row.get(name))
    except ValueError as error:
        raise RowError(name, str(error)) from None


def _integer(row: RawRow, name: str, *, least: int) -> int:
    value = row.get(name)
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not least <= value <= LARGEST_INTEGER
    ):
        raise RowError(name, f"must be an integer from {least} to {LARGEST_INTEGER}")
    return value


def _truth(row: RawRow, name: str) -> bool | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, bool | str) or value not in _TRUTH:
        raise RowError(name, "must be t, f, true, false or nothing")
    return _TRUTH[value]


def _email(row: RawRow) -> str | None:
    value = _text(row, "email")
    try:
        return None if value is None else _EMAIL.validate_python(value)
    except ValidationError:
        raise RowError("email", "must be an e-mail address or nothing") from None


def _optional_moment(row: RawRow, name: str, now: datetime) -> datetime | None:
    return None if row.get(name) is None else _moment(row, name, now)


def _moment(row: RawRow, name: str, now: datetime) -> datetime:
    """A time; in UTC where it carries no zone, which is how Prisma keeps them."""
    value = row.get(name)
    try:
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise ValueError
        moment = datetime.fromisoformat(value)
        moment = to_milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except ValueError:
        allowed = "a time such as 2026-11-22 12:00:03.117, in UTC unless it names its offset"
        raise RowError(name, f"must be {allowed}") from None
    if moment > now:
        raise RowError(name, "must not lie in the future")
    return moment
