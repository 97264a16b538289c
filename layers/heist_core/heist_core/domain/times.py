"""Moments and seasons: always UTC, always whole milliseconds."""

from datetime import UTC, datetime


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


def season_of(moment: datetime) -> str:
    """The calendar month in UTC, `YYYY-MM`, that points of this moment belong to."""
    return to_milliseconds(moment).strftime("%Y-%m").zfill(7)
