"""Shapes on the wire: every 400 of SPEC section 2, and the events of section 4."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from heist_core.contracts import ExecuteRequest, parse, parse_body
from heist_core.domain.errors import InvalidInput, Issue
from heist_core.domain.times import to_iso
from heist_core.event_contracts import PointsEarned, ReferralCompleted, UserUpserted
from heist_core.parsing import (
    parse_idempotency_key,
    parse_json,
    parse_notification_id,
)
from heist_core.player_contracts import MarkReadRequest
from heist_core.query_contracts import NotificationsQuery
from heist_core.target_contract import parse_target
from tests.builders import MILLISECOND, NOW, each_of, sample

CURSOR = "0000000012-0a1b2c3d"


def issues(call: object, *arguments: Any, **named: Any) -> tuple[Issue, ...]:
    assert callable(call)
    with pytest.raises(InvalidInput) as caught:
        call(*arguments, **named)
    assert caught.value.issues
    for issue in caught.value.issues:
        assert issue.code
        assert issue.message
        assert str(issue.message) in str(caught.value)
    return caught.value.issues


def only(found: tuple[Issue, ...]) -> Issue:
    (issue,) = found
    return issue


# Bodies


def target_of(body: bytes) -> str:
    return parse_target(parse_json(body))


def test_a_body_may_name_the_target_as_string_or_integer() -> None:
    assert target_of(b'{"targetUserId": "7"}') == "7"
    assert target_of(b'{"targetUserId": 7}') == "7"
    assert target_of(b'{"targetUserId": 9007199254740991}') == "9007199254740991"


def test_unknown_members_are_ignored() -> None:
    body = b'{"targetUserId": "bob", "userId": "mallory", "points": {"deep": [1]}}'
    assert target_of(body) == "bob"


@pytest.mark.parametrize(
    "target",
    [
        *("7.0", "1e3", "1E400", "-1", "-0.0", "9007199254740992", "1" * 5000, "true", "null"),
        *('""', '"a#b"', '"a/b"', '"a b"', '"\\u00e9"', '"\\ud800"', '"\\u0000"'),
        *('"' + "x" * 65 + '"', "[]", '["bob"]', "{}", '{"$ne": ""}'),
    ],
)
def test_a_target_that_is_no_player_id_names_its_field(target: str) -> None:
    issue = only(issues(target_of, f'{{"targetUserId": {target}}}'.encode()))
    assert issue.path in (("targetUserId",), ())


def test_a_missing_target_is_named_as_required() -> None:
    issue = only(issues(target_of, b"{}"))
    assert issue == Issue("missing", ("targetUserId",), "targetUserId: is required")


BAD_BODIES: dict[str, list[bytes]] = {
    "invalid_json": [
        *(b"", b" ", b"{", b"{'targetUserId': 'bob'}", b'{"targetUserId": "bob"} {}'),
        *(b'{"targetUserId": "bob",}', b'{"targetUserId": NaN}', b'{"targetUserId": "\xff"}'),
        *(b'{"targetUserId": "bob", "x": %s}' % one for one in (b"Infinity", b"[-Infinity]")),
        b'\xef\xbb\xbf{"targetUserId": "bob"}',
        '{"targetUserId": "bob"}'.encode("utf-16"),
    ],
    "invalid_type": [b"null", b"7", b'"bob"', b'[{"targetUserId": "bob"}]'],
    "duplicate_name": [
        b'{"targetUserId": "bob", "targetUserId": "carol"}',
        b'{"targetUserId": "bob", "targetUserId": "bob"}',
        b'{"targetUserId": "bob", "x": {"a": 1, "\\u0061": 2}}',
    ],
    "too_deep": [b'{"targetUserId": "bob", "x": ' + b"[" * 17 + b"]" * 17 + b"}"],
    "too_long": [
        b'{"targetUserId": "bob", "x": "' + b"y" * 8192 + b'"}',
        b'{"targetUserId": "bob"}'.ljust(8193),
    ],
}


@pytest.mark.parametrize(("code", "body"), each_of(BAD_BODIES))
def test_a_body_that_is_no_flat_and_small_json_object_is_refused(code: str, body: bytes) -> None:
    issue = only(issues(target_of, body))
    assert (issue.code, issue.path) == (code, ())


@pytest.mark.parametrize(
    "body",
    [
        b'{"targetUserId": "bob", "x": ' + b"[" * 4000 + b"]" * 4000 + b"}",
        b'{"x":' * 1300 + b"1" + b"}" * 1300,
        b'[{"x":' * 1300,
        b"[" * 8000,
    ],
)
def test_a_nesting_bomb_is_refused(body: bytes) -> None:
    """Some Pythons stop reading it by themselves: then it is no JSON at all."""
    assert only(issues(target_of, body)).code in ("too_deep", "invalid_json")


@pytest.mark.parametrize(
    "body",
    [
        b'{"targetUserId": "bob"}'.ljust(8192),
        b'{"targetUserId": "bob", "x": ' + b"[" * 15 + b"]" * 15 + b"}",
    ],
)
def test_a_body_of_exactly_eight_kibibytes_or_sixteen_levels_is_read(body: bytes) -> None:
    assert target_of(body) == "bob"


@given(st.binary(max_size=200))
def test_no_body_whatever_is_worse_than_invalid(body: bytes) -> None:
    try:
        target_of(body)
    except InvalidInput as error:
        json.dumps([issue.message for issue in error.issues]).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["targetUserId", "userId"]), JSON | st.text("a7.@ ")))
def test_a_target_is_read_as_its_model_reads_it(values: dict[str, object]) -> None:
    def read(parsed: Callable[[dict[str, object]], str]) -> str | tuple[Issue, ...]:
        try:
            return parsed(values)
        except InvalidInput as error:
            return tuple(error.issues)

    assert read(parse_target) == read(lambda given: parse(ExecuteRequest, given).targetUserId)


@pytest.mark.parametrize(
    "model", [ExecuteRequest, MarkReadRequest, ReferralCompleted, UserUpserted, PointsEarned]
)
@given(values=JSON, name=st.text(max_size=3))
def test_no_value_whatever_is_worse_than_invalid(
    model: type[BaseModel], values: object, name: str
) -> None:
    fields = dict.fromkeys(model.model_fields, values)
    for candidate in (values, fields, {name: values}):
        try:
            parse(model, candidate)
        except InvalidInput as error:
            for issue in error.issues:
                issue.message.encode("utf-8")


# Mark read


def test_an_empty_body_and_absent_members_select_everything() -> None:
    for body in (b"", b"{}"):
        assert parse_body(MarkReadRequest, body, empty={}).model_fields_set == set()


def test_an_empty_list_is_given_and_selects_nothing() -> None:
    selection = parse_body(MarkReadRequest, b'{"notificationIds": []}')
    assert selection.model_fields_set == {"notificationIds"}
    assert selection.notificationIds == []


def test_both_selections_together_are_refused() -> None:
    body = json.dumps({"notificationIds": [], "upTo": CURSOR}).encode()
    assert only(issues(parse_body, MarkReadRequest, body)).path == ()


WRONG_SELECTIONS: dict[str, list[object]] = {
    "upTo": [None, 7, [CURSOR], False],
    "notificationIds": [None, CURSOR, {}, ["x"] * 101],
}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        *(({name: wrong}, (name,)) for name, wrong in each_of(WRONG_SELECTIONS)),
        ({"notificationIds": [1.5]}, ("notificationIds", 0)),
        ({"notificationIds": [True]}, ("notificationIds", 0)),
        ({"notificationIds": [None]}, ("notificationIds", 0)),
        ({"notificationIds": [["x"]]}, ("notificationIds", 0)),
        ({"notificationIds": [CURSOR, 10**20]}, ("notificationIds", 1)),
    ],
)
def test_a_selection_of_the_wrong_shape_names_its_field(
    body: object, path: tuple[str | int, ...]
) -> None:
    assert only(issues(parse_body, MarkReadRequest, json.dumps(body).encode())).path == path


def test_a_hundred_ids_are_allowed_and_ids_that_nothing_has_too() -> None:
    body = json.dumps({"notificationIds": ["x"] * 100}).encode()
    assert len(parse_body(MarkReadRequest, body).notificationIds) == 100
    assert parse_body(MarkReadRequest, b'{"upTo": "nonsense"}').upTo == "nonsense"


@pytest.mark.parametrize(
    "text",
    ["", "12", "0000000012", CURSOR + "\n", CURSOR.upper(), " " + CURSOR, "٠" * 10 + "-0a1b2c3d"],
)
def test_a_text_that_is_no_notification_id_selects_nothing(text: str) -> None:
    assert parse_notification_id(text) is None


def test_a_notification_id_is_a_position_and_a_tag() -> None:
    assert parse_notification_id(CURSOR) == ("0000000012", "0a1b2c3d")


# Queries and paths


def test_the_defaults_of_a_page_are_fifty_of_all() -> None:
    query = parse(NotificationsQuery, {})
    assert (query.unreadOnly, query.limit, query.cursor) == (False, 50, "")


def test_a_page_takes_what_the_specification_allows() -> None:
    query = parse(NotificationsQuery, {"unreadOnly": "true", "limit": "1", "cursor": CURSOR})
    assert (query.unreadOnly, query.limit, query.cursor) == (True, 1, "0000000012")
    query = parse(NotificationsQuery, {"unreadOnly": "false", "limit": "100", "else": "x"})
    assert (query.unreadOnly, query.limit) == (False, 100)


@pytest.mark.parametrize(
    ("name", "value"),
    each_of(
        {
            "unreadOnly": ("TRUE", "True", "1", "0", "", "yes", "true,false"),
            "limit": (
                *("0", "101", "-1", "+5", "5.0", "1e1", "", " 5", "5,6", "٥", "0x10", "50\n"),
                *("9" * 400, "NaN"),
            ),
            "cursor": ("", "x", "12", CURSOR + "0", CURSOR[:-1], "0000000012-"),
        }
    ),
)
def test_a_parameter_of_the_wrong_shape_names_itself(name: str, value: str) -> None:
    assert only(issues(parse, NotificationsQuery, {name: value})).path == (name,)


def test_every_parameter_that_is_wrong_is_named() -> None:
    found = issues(parse, NotificationsQuery, {"limit": "0", "unreadOnly": "1", "cursor": "?"})
    assert {issue.path for issue in found} == {("limit",), ("unreadOnly",), ("cursor",)}


@pytest.mark.parametrize("target", ["7", "7.0", "-5", "1e3", "12abc", "a|b:c@d"])
def test_a_target_in_a_path_is_that_very_id(target: str) -> None:
    assert parse_target({"targetUserId": target}) == target


@pytest.mark.parametrize("target", ["", "a b", "a#b", "a/b", "é", "x" * 65])
def test_a_target_in_a_path_that_is_no_id_is_refused(target: str) -> None:
    assert only(issues(parse_target, {"targetUserId": target})).path == ("targetUserId",)


# Idempotency key


@pytest.mark.parametrize(
    "key", ["k", " ", "x" * 128, "a b, c", '"~!', "".join(map(chr, range(32, 127)))]
)
def test_a_key_of_printable_ascii_is_taken_as_it_is(key: str) -> None:
    assert parse_idempotency_key(key) == key


@pytest.mark.parametrize(
    ("header", "key"),
    [
        *((header, "k1") for header in ("k1,k1", "k1, k1", "k1,k1,k1")),
        (f"{'x' * 128},{'x' * 128}", "x" * 128),
        ("a b?, c!,a b?, c!", "a b?, c!"),
        *((header, header) for header in (", ,", ",", "a,", "k1,k1,", "what?,k1")),
    ],
)
def test_a_header_that_is_repeated_is_one_key(header: str, key: str) -> None:
    """API Gateway joins what is repeated by commas, which a key may hold."""
    assert parse_idempotency_key(header) == key


@pytest.mark.parametrize(
    "header",
    [
        *("k1,k2", "k1, k2", "k1,k1,k2", "k1,k2,k1,k2", "YWJj+/==,ZGVm+/=="),
        '"8e03978e-40d5-43dd-bc93-6894a57f9324","8e03978e-40d5-43dd-bc93-6894a57f9325"',
        "8e03978e-40d5-43dd-bc93-6894a57f9324,order:17",
        f"{'x' * 128},{'y' * 128}",
    ],
)
def test_two_keys_are_none(header: str) -> None:
    issue = only(issues(parse_idempotency_key, header))
    assert (issue.path, issue.message) == (
        ("Idempotency-Key",),
        "Idempotency-Key: must be given once",
    )


@pytest.mark.parametrize("key", ["", "x" * 129, "é", "a\tb", "a\n", "\x7f", "\x00", "\ud800"])
def test_any_other_key_is_refused_under_the_headers_name(key: str) -> None:
    assert only(issues(parse_idempotency_key, key)).path == ("Idempotency-Key",)


def test_no_key_is_no_key() -> None:
    assert parse_idempotency_key(None) is None


# Events in

MODELS: dict[str, type[BaseModel]] = {
    "award_token": ReferralCompleted,
    "upsert_player": UserUpserted,
    "add_points": PointsEarned,
}


def referral(**changes: object) -> dict[str, object]:
    return _changed("award_token", changes)


def upsert(**changes: object) -> dict[str, object]:
    return _changed("upsert_player", changes)


def points(**changes: object) -> dict[str, object]:
    return _changed("add_points", changes)


def _changed(name: str, changes: dict[str, object]) -> dict[str, object]:
    detail = {**sample(name)["detail"], **changes}
    return {field: value for field, value in detail.items() if value is not ...}


def test_the_samples_are_valid() -> None:
    assert parse(ReferralCompleted, referral()).referred_name == "Carol"
    assert parse(UserUpserted, upsert()).email == "bob@example.com"
    assert parse(PointsEarned, points()).points == 800


def test_ids_in_events_may_be_integers() -> None:
    event = parse(ReferralCompleted, referral(referrerUserId=7, referredUserId=8, referralId=9))
    assert (event.referrerUserId, event.referredUserId, event.referralId) == ("7", "8", "9")
    assert parse(UserUpserted, upsert(userId=7)).userId == "7"
    assert parse(PointsEarned, points(userId=7, eventId=5)).eventId == "5"


def test_a_self_referral_is_refused_in_whichever_form_the_ids_come() -> None:
    told = only(issues(parse, ReferralCompleted, referral(referrerUserId=7, referredUserId="7")))
    assert "must be different players" in told.message


def test_a_referred_name_is_cleaned_and_may_be_absent_or_null() -> None:
    assert parse(ReferralCompleted, referral(referredUserName="\u202eX\n")).referred_name == "X"
    assert parse(ReferralCompleted, referral(referredUserName=...)).referred_name is None
    assert parse(ReferralCompleted, referral(referredUserName=None)).referred_name is None


NO_LOCALES = (
    *("", "d", "de_CH", "de-", "-de", "de--CH", "de CH", "de-CH\n", "deutschland", "dé", "12"),
    *("de-x", "x", "de-a", "de-419-CH", "en-" + "-".join(["boonts"] * 5), "Ⅾe", "ſe-DE", "\u212ae"),
)


def test_a_profile_distinguishes_absent_from_null() -> None:
    event = parse(UserUpserted, upsert(name=..., email=None))
    assert "name" not in event.model_fields_set
    assert "email" in event.model_fields_set
    assert event.email is None


@pytest.mark.parametrize(
    "locale",
    [
        *("de", "DE", "de-CH", "zh-Hant-TW", "es-419", "sl-rozaj-biske", "de-1996", "tlh"),
        "zh-yue",
        *("de-DE-u-co-phonebk", "en-a-bbb-x-a-ccc", "x-whatever", "i-klingon", "sgn-BE-FR"),
    ],
)
def test_language_tags_are_taken_as_they_come(locale: str) -> None:
    assert parse(UserUpserted, upsert(locale=locale)).locale == locale


@pytest.mark.parametrize("email", ["bob@example.com", "a.b+c@mail.example.co.uk", "x@localhost"])
def test_plain_addresses_are_taken(email: str) -> None:
    assert parse(UserUpserted, upsert(email=email)).email == email


WRONG: dict[str, dict[str, tuple[object, ...]]] = {
    "award_token": {
        "referralId": (..., "", None, 1.5, True, "a\nb"),
        "referrerUserId": (..., "a#b", 7.0),
        "referredUserId": (None, True),
        "referredUserName": (7,),
    },
    "upsert_player": {
        "userId": (..., -1),
        "name": (7, ["Bob"]),
        "email": (
            *("nobody", "a@b@c", "a b@example.com", "", "é@example.com", "bob@-example.com"),
            *("bob@example.com\nBcc: all@example.com", "Bob <bob@example.com>"),
            *("a@example.com,b@example.com", "bob@example..com", "x" * 65 + "@example.com"),
            "x@" + "y" * 63 + ("." + "y" * 63) * 3,
        ),
        "emailOptOut": ("true", 1),
        "locale": (7, *NO_LOCALES),
        "updatedAt": (
            *("yesterday", "2026-11-22T12:00:00", 1795348800, "0001-01-01T00:00:00+01:00"),
        ),
    },
    "add_points": {
        "eventId": (..., None, "", "x" * 257, "🦊" * 251, "\ud800"),
        "userId": (None,),
        "points": (..., 0, -1, 1_000_001, 10**30, 5.0, "5", True, None, float("nan")),
        "pointEventType": (
            *(..., "", "lower", "A" * 41, "A B", "ORDER\n", "HEIST_GAIN", "HEIST_", None),
        ),
        "occurredAt": ("2026-11-22", 5),
    },
}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [(name, *pair) for name, fields in WRONG.items() for pair in each_of(fields)],
)
def test_an_event_of_the_wrong_shape_names_its_field(name: str, field: str, value: object) -> None:
    change = {field: value}
    assert only(issues(parse, MODELS[name], _changed(name, change))).path == (field,)


def test_the_ends_of_the_range_of_points_are_allowed() -> None:
    assert parse(PointsEarned, points(points=1)).points == 1
    assert parse(PointsEarned, points(points=1_000_000)).points == 1_000_000
    assert parse(PointsEarned, points(pointEventType="HEIST")).pointEventType == "HEIST"
    assert parse(PointsEarned, points(pointEventType="A" * 40)).pointEventType == "A" * 40


AHEAD, BEHIND = timedelta(minutes=5), timedelta(days=400)


def test_a_date_of_a_sender_lies_near_its_event() -> None:
    for at in (NOW, NOW + AHEAD, NOW - BEHIND):
        assert parse(PointsEarned, points(occurredAt=to_iso(at))).occurred_at(NOW) == at
        assert parse(UserUpserted, upsert(updatedAt=to_iso(at))).updated_at(NOW) == at
    long_ago = parse(UserUpserted, upsert(updatedAt="0001-01-01T00:00:00Z"))
    assert long_ago.updated_at(NOW).year == 1
    assert parse(PointsEarned, points(occurredAt=...)).occurred_at(NOW) == NOW
    assert parse(UserUpserted, upsert(updatedAt=...)).updated_at(NOW) == NOW


@pytest.mark.parametrize(
    "at", [to_iso(NOW + AHEAD + MILLISECOND), "2027-05-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_a_date_after_its_event_is_refused(at: str) -> None:
    found = issues(parse(UserUpserted, upsert(updatedAt=at)).updated_at, NOW)
    found += issues(parse(PointsEarned, points(occurredAt=at)).occurred_at, NOW)
    assert [issue.message for issue in found] == [
        f"{field}: must not be more than 5 minutes after the event's time"
        for field in ("updatedAt", "occurredAt")
    ]


@pytest.mark.parametrize("at", [to_iso(NOW - BEHIND - MILLISECOND), "0001-01-01T00:00:00Z"])
def test_points_of_long_ago_are_refused(at: str) -> None:
    told = only(issues(parse(PointsEarned, points(occurredAt=at)).occurred_at, NOW))
    assert told.path == ("occurredAt",)
    assert told.message.endswith("must not be more than 400 days before the event's time")


def test_the_moment_of_points_is_read_in_any_zone() -> None:
    event = parse(PointsEarned, points(occurredAt="2026-11-22T13:00:03.1179+01:00"))
    assert event.occurredAt == NOW


def test_a_reason_names_what_is_wrong_without_the_value() -> None:
    """Dead letters and answers name the field; the value may be somebody's address."""
    found = issues(parse, UserUpserted, upsert(email="canary@@example.com", userId="can ary"))
    assert "canary" not in "".join(issue.message for issue in found)
    assert "can ary" not in "".join(issue.message for issue in found)
