"""Moments and seasons: always UTC, always whole milliseconds."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

CLOCKS_DIFFER = timedelta(minutes=5)
"""How far another system's clock may be ahead."""

_RFC_3339 = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-9]{2}):"
    r"([0-9]{2})(\.[0-9]+)?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_LAST_OF_A_DAY = time(23, 59, 59, 999_000)


def to_milliseconds(moment: datetime) -> datetime:
    """`moment` in UTC, cut to whole milliseconds (the precision of everything stored).

    Raises ValueError for a moment without a time zone, or outside the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is None:
        raise ValueError("must carry a time zone")
    try:
        utc = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie in the years 1 to 9999") from error
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def to_iso(moment: datetime) -> str:
    """ISO-8601 in UTC with milliseconds and `Z` (SPEC section 1)."""
    return to_milliseconds(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """The moment that an ISO-8601 text with a time zone names, cut to milliseconds.

    Raises ValueError when the text is not one.
    """
    return to_milliseconds(datetime.fromisoformat(text))


def from_rfc3339(text: str) -> datetime:
    """The moment that a date-time of RFC 3339 (section 5.6) names, cut to milliseconds.

    A leap second, which is 23:59:60 UTC at the end of a month, is the last millisecond of its
    month. Raises ValueError for any other text, other forms of ISO 8601 among them.
    """
    found = re.fullmatch(_RFC_3339, text)
    if found is None:
        raise ValueError("must be a time as in RFC 3339")
    day, minute, second, fraction, zone = found.groups(default="")
    if second != "60":
        return from_iso(f"{day}T{minute}:{second}{fraction}{zone.upper()}")
    moment = from_iso(f"{day}T{minute}:59.999{zone.upper()}")
    last_day = monthrange(moment.year, moment.month)[1]
    if moment.time() != _LAST_OF_A_DAY or moment.day != last_day:
        raise ValueError("no leap second can be there")
    return moment


def end_of(since: datetime | None, lasting: timedelta, now: datetime) -> datetime | None:
    """When that ends which began at `since`; None if it never began, or is over.

    It is over exactly at its end.
    """
    ends_at = None if since is None else since + lasting
    return ends_at if ends_at is not None and now < ends_at else None


def hours_left(ends_at: datetime, now: datetime) -> int:
    """Until a moment, rounded up."""
    return -((now - ends_at) // timedelta(hours=1))


def day_of(moment: datetime) -> date:
    """The calendar day in UTC."""
    return moment.astimezone(UTC).date()


def season_before(season: str) -> str:
    return season_of(datetime.fromisoformat(f"{season}-01T00:00:00+00:00") - timedelta(days=1))


def season_of(moment: datetime) -> str:
    """The calendar month in UTC, `YYYY-MM`, that points of this moment belong to."""
    return to_milliseconds(moment).strftime("%Y-%m").zfill(7)


def season_end(season: str) -> datetime:
    """The first moment that does not belong to a season any more."""
    year, month = map(int, season.split("-"))
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
