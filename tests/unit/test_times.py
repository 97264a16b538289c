"""Moments are UTC and whole milliseconds; seasons are UTC months."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heist_core.domain.times import (
    from_iso,
    from_rfc3339,
    season_of,
    to_iso,
    to_milliseconds,
)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_the_way_to_text_and_back(moment: datetime) -> None:
    text = to_iso(moment)
    assert len(text) == 24
    assert text.endswith("Z")
    assert from_iso(text) == to_milliseconds(moment)


def test_microseconds_are_cut_not_rounded() -> None:
    moment = datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    assert to_iso(moment) == "2026-11-30T23:59:59.999Z"
    assert season_of(moment) == "2026-11"


@pytest.mark.parametrize(
    ("text", "season"),
    [
        ("2026-11-30T23:59:59.999Z", "2026-11"),
        ("2026-12-01T00:00:00.000Z", "2026-12"),
        ("2026-12-31T23:59:59.999Z", "2026-12"),
        ("2027-01-01T00:00:00Z", "2027-01"),
        ("2026-12-01T00:30:00+01:00", "2026-11"),
        ("2026-11-30T23:30:00-01:00", "2026-12"),
        ("0001-01-01T00:00:00Z", "0001-01"),
    ],
)
def test_a_season_is_the_calendar_month_in_utc(text: str, season: str) -> None:
    assert season_of(from_iso(text)) == season


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-22", "2026-11-22T12:00:00", "2026-13-01T00:00:00Z"]
)
def test_a_text_that_is_no_moment_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_iso(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T12:00:03.117Z", "2026-11-22T12:00:03.117Z"),
        ("2026-11-22t12:00:03z", "2026-11-22T12:00:03.000Z"),
        ("2026-11-22T13:30:03+01:30", "2026-11-22T12:00:03.000Z"),
        ("2026-11-22T12:00:03-00:00", "2026-11-22T12:00:03.000Z"),
        ("2026-11-22T12:00:03.1Z", "2026-11-22T12:00:03.100Z"),
        ("2026-11-22T12:00:03.1179999999999Z", "2026-11-22T12:00:03.117Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("2015-06-30T23:59:60.5Z", "2015-06-30T23:59:59.999Z"),
        ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59.999Z"),
        ("2017-01-01T08:59:60+09:00", "2016-12-31T23:59:59.999Z"),
        ("2024-02-29T23:59:60Z", "2024-02-29T23:59:59.999Z"),
    ],
)
def test_a_time_from_outside_is_what_rfc_3339_says(text: str, moment: str) -> None:
    assert to_iso(from_rfc3339(text)) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "2026-11-22", "12:00:03Z", "2026-11-22T12:00:03", "2026-11-22T12:00Z"),
        *("2026-11-22x12:00:03Z", "2026-11-22 12:00:03Z", "2026-11-22_12:00:03Z"),
        *("20261122T120003Z", "2026-W47-7T12:00:03Z", "2026-326T12:00:03Z", "2026-11-22T12Z"),
        *("2026-11-22T12:00:03,117Z", "2026-11-22T12:00:03.Z", "2026-11-22T12:00:03 Z"),
        *("2026-11-22T12:00:03+01", "2026-11-22T12:00:03+0100", "2026-11-22T12:00:03+01:00:30"),
        *("2026-11-22T12:00:03+24:00", "2026-11-22T12:00:03+01:60", "2026-11-22T12:00:03UTC"),
        *("2026-11-22T24:00:00Z", "2026-11-22T12:60:00Z", "2026-11-22T12:00:61Z"),
        *("2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "0000-01-01T00:00:00Z"),
        *("2026-11-22T12:00:60Z", "2026-11-29T23:59:60Z", "2016-12-31T23:59:60+01:00"),
        *("2016-12-31T22:59:60Z", "+2026-11-22T12:00:03Z", "٢٠٢٦-11-22T12:00:03Z"),
        *("2026-11-22T12:00:03Z\n", " 2026-11-22T12:00:03Z", "10000-01-01T00:00:00Z"),
    ],
)
def test_any_other_form_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_rfc3339(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_here_is_read_there(moment: datetime) -> None:
    assert from_rfc3339(to_iso(moment)) == to_milliseconds(moment)


def test_a_moment_is_kept_in_utc_and_whole_milliseconds() -> None:
    berlin = timezone(timedelta(hours=2))
    moment = to_milliseconds(datetime(2026, 7, 1, 1, 30, 0, 123_456, tzinfo=berlin))
    assert moment == datetime(2026, 6, 30, 23, 30, 0, 123_000, tzinfo=UTC)
    assert moment.tzinfo is UTC


def test_what_is_no_moment_is_told_by_what_it_lacks() -> None:
    with pytest.raises(ValueError, match=r"^must carry a time zone$"):
        to_milliseconds(datetime(2026, 7, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match=r"^must lie in the years 1 to 9999$"):
        to_milliseconds(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
