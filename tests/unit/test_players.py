"""Player ids, and profiles that arrive in any order (SPEC section 1)."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heist_core.domain.player import Dated, Player, Profile, canonical_player_id
from heist_core.event_contracts import UserUpserted
from heist_core.use_cases.upsert_player import _merged
from tests.builders import MILLISECOND, NOW


@pytest.mark.parametrize(
    ("given_id", "canonical"),
    [
        ("7", "7"),
        (7, "7"),
        (0, "0"),
        (2**53 - 1, "9007199254740991"),
        ("12abc", "12abc"),
        ("7.0", "7.0"),
        ("-5", "-5"),
        ("1e3", "1e3"),
        ("0x1F", "0x1F"),
        ("007", "007"),
        ("9" * 64, "9" * 64),
        ("a", "a"),
        ("google-oauth2|1234:x@y_z.W", "google-oauth2|1234:x@y_z.W"),
        ("null", "null"),
        ("__proto__", "__proto__"),
    ],
)
def test_an_id_is_the_very_id_that_was_given(given_id: object, canonical: str) -> None:
    assert canonical_player_id(given_id) == canonical


@pytest.mark.parametrize(
    "value",
    [
        *("", "x" * 65, "a#b", "a/b", "a b", " a", "a\n", "\n", "é", "٣", "a\u200b", "a\x00"),
        *("a%20b", "\ud800", 7.0, 1e3),
        float("nan"),
        -1,
        2**53,
        10**30,
        True,
        False,
        None,
        [],
        ["7"],
        {},
        b"7",
    ],
)
def test_anything_else_is_no_id(value: object) -> None:
    with pytest.raises(ValueError, match="must be a string of 1 to 64 characters"):
        canonical_player_id(value)


@given(st.text(max_size=70))
def test_an_id_never_reaches_into_another_items_key(text: str) -> None:
    try:
        canonical = canonical_player_id(text)
    except ValueError:
        return
    assert canonical == text
    assert "#" not in canonical
    assert canonical.isascii()
    assert 1 <= len(canonical) <= 64


MOMENTS = st.integers(0, 1000).map(lambda hour: NOW + timedelta(hours=hour))
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | st.sampled_from(["Ann", "Bob", "Cem", ""]),
        "email": st.none() | st.sampled_from(["a@example.com", "b@example.com"]),
        "emailOptOut": st.none() | st.booleans(),
        "locale": st.none() | st.sampled_from(["de", "pt-BR"]),
    },
)


def _after(updates: list[tuple[datetime, dict[str, object]]]) -> Profile:
    profile = Profile()
    for at, fields in updates:
        update = UserUpserted.model_validate({"userId": "a", **fields})
        profile = _merged(profile, update, at, NOW + timedelta(days=60))
    return profile


@given(
    st.lists(st.tuples(MOMENTS, FIELDS), unique_by=lambda update: update[0], max_size=6).flatmap(
        lambda updates: st.tuples(st.just(updates), st.permutations(updates))
    ),
    st.data(),
)
def test_updates_come_to_the_same_profile_in_whatever_order_and_number_they_arrive(
    orders: tuple[
        list[tuple[datetime, dict[str, object]]], list[tuple[datetime, dict[str, object]]]
    ],
    data: st.DataObject,
) -> None:
    updates, shuffled = orders
    again = data.draw(st.lists(st.sampled_from(shuffled), max_size=3)) if shuffled else []
    assert (
        _after(updates) == _after(shuffled + again) == _after(sorted(updates, key=lambda u: u[0]))
    )


def test_absent_leaves_and_null_removes() -> None:
    profile = _after([(NOW, {"name": "Bob", "email": "b@example.com", "emailOptOut": True})])
    later = NOW + MILLISECOND
    update = UserUpserted.model_validate({"userId": "a", "email": None})
    merged = _merged(profile, update, later, NOW)
    assert merged.name == Dated("Bob", NOW)
    assert merged.email == Dated(None, later)
    assert merged.email_opt_out == Dated(True, NOW)


def test_a_date_that_no_right_clock_can_have_said_gives_way_to_any_update() -> None:
    """Such dates were taken before they were refused, and locked a profile for good."""
    ten_minutes = timedelta(minutes=10)
    poisoned = Dated("Mallory", NOW + ten_minutes + MILLISECOND)
    profile = Profile(name=poisoned, email=Dated("b@example.com", NOW + ten_minutes))
    update = UserUpserted.model_validate({"userId": "a", "name": "Bob", "email": None})
    merged = _merged(profile, update, NOW - timedelta(days=1), NOW)
    assert merged.name == Dated("Bob", NOW - timedelta(days=1))
    assert merged.email == profile.email


def test_a_player_of_version_zero_does_not_exist_yet() -> None:
    nobody = Player("nobody")
    assert not nobody.exists
    assert nobody.points_in("2026-11") == 0
    assert Player("somebody", version=1).exists


def test_the_reason_for_a_wrong_id_says_what_one_is() -> None:
    allowed = (
        "must be a string of 1 to 64 characters from A-Z a-z 0-9 . _ : @ | - "
        "or an integer from 0 to 9007199254740991"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(allowed)}$"):
        canonical_player_id("#")
