"""A request of the wrong shape is a 400 that names the field, and nothing happens (SPEC 1, 2)."""

import json
from collections.abc import Sequence

import pytest

from tests.e2e.world import Player, Reply, World, unique

MAX_BODY = 8192
LARGEST_INTEGER_ID = 2**53 - 1


def _invalid(reply: Reply, path: Sequence[str | int] | None = None) -> None:
    """A 400 of the validation kind; with `path`, that is where it points and what it names."""
    assert reply.status == 400, reply
    body = reply.body
    assert set(body) == {"errors"}, body
    assert body["errors"]
    for error in body["errors"]:
        assert set(error) == {"code", "path", "message"}
    if path is not None:
        found = [error for error in body["errors"] if error["path"][: len(path)] == list(path)]
        assert found, body
        assert all(str(path[0]) in error["message"] for error in found), body


def _execute(player: Player, raw: bytes, content_type: str | None = "application/json") -> Reply:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return player.call("POST", "/execute", raw, headers)


def _read(player: Player, raw: bytes) -> Reply:
    return player.call("POST", "/notifications/read", raw, {"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def player(world: World) -> Player:
    return world.robber()


NOT_IDS = [
    "7.0",
    "1e3",
    "7.5",
    "-1",
    "-5",
    str(LARGEST_INTEGER_ID + 1),
    "1" * 400,
    "1e400",
    "true",
    "false",
    "null",
    '""',
    '"' + "a" * 65 + '"',
    '"a b"',
    '" a"',
    '"a/b"',
    '"a#b"',
    '"a+b"',
    '"a%20b"',
    '"é"',
    '"\\u0661"',
    '"a\\u0000"',
    '"a\\n"',
    '"\\ud800"',
    "[]",
    '["a"]',
    "{}",
    '{"id": "a"}',
]


@pytest.mark.parametrize("value", NOT_IDS, ids=lambda value: str(value)[:24])
def test_what_is_no_player_id_is_refused_in_a_body(player: Player, value: str) -> None:
    _invalid(_execute(player, b'{"targetUserId": %s}' % value.encode()), ["targetUserId"])


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "7",
        str(LARGEST_INTEGER_ID),
        '"7.0"',
        '"-5"',
        '"12abc"',
        '"0x1F"',
        '"' + "a" * 64 + '"',
        '"a|b:c@d.e_f-G"',
    ],
)
def test_every_player_id_of_the_grammar_is_accepted_in_a_body(world: World, value: str) -> None:
    reply = _execute(world.player(), b'{"targetUserId": %s}' % value.encode())
    assert reply.code == "NO_TOKENS"


@pytest.mark.parametrize(
    "segment",
    ["a%20b", "a%23b", "%C3%A9", "a%00", "a%0A", "a" * 65, "a+b", "a%25b", "a,b", "%D9%A1"],
)
def test_what_is_no_player_id_is_refused_in_the_path(player: Player, segment: str) -> None:
    _invalid(player.get(f"/can-rob/{segment}"), ["targetUserId"])


@pytest.mark.parametrize("segment", ["7.0", "-5", "1e3", "a%7Cb", "a%40b", "a%3Ab:c@d", "a" * 64])
def test_every_player_id_of_the_grammar_is_accepted_in_the_path(world: World, segment: str) -> None:
    assert world.player().get(f"/can-rob/{segment}").body["code"] == "NO_TOKENS"


def test_an_escaped_slash_never_reaches_another_route(player: Player) -> None:
    assert player.get("/can-rob/a%2Fb").status in (400, 404)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"{'targetUserId': 'a'}",
        b'{"targetUserId": "a"} x',
        b'{"targetUserId": "a"',
        b'{"targetUserId": "a",}',
        b"targetUserId=a",
        b"\xff\xfe{",
        b'{"targetUserId": "\xff"}',
        b"null",
        b"true",
        b"5",
        b'"a"',
        b"[]",
        b'[{"targetUserId": "a"}]',
        b'{"targetUserId": "a", "targetUserId": "a"}',
        b'{"targetUserId": "a", "targetUserId": "b"}',
        b'{"targetUserId": "a", "x": {"y": 1, "y": 2}}',
        b'{"targetUserId": "a", "x": NaN}',
        b'{"targetUserId": "a", "x": Infinity}',
        b'{"targetUserId": "a", "x": -Infinity}',
        b'{"targetUserId": "a", "x": ' + b"[" * 3500 + b"]" * 3500 + b"}",
        b'{"targetUserId": "a", "x": ' + b'{"a":' * 1000 + b"1" + b"}" * 1000 + b"}",
        b"[" * 8000,
        b'{"targetUserId": "a", "x": "' + b"y" * MAX_BODY + b'"}',
        b'{"targetUserId": "a"}' + b" " * MAX_BODY,
    ],
    ids=lambda raw: repr(raw[:32]),
)
def test_a_body_that_is_no_plain_json_object_is_refused(player: Player, raw: bytes) -> None:
    _invalid(_execute(player, raw))


def test_a_missing_target_is_named(player: Player) -> None:
    _invalid(_execute(player, b"{}"), ["targetUserId"])
    _invalid(_execute(player, b'{"targetUserID": "a"}'), ["targetUserId"])


def test_a_body_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not(world: World) -> None:
    player = world.player()
    frame = b'{"targetUserId": "a", "x": ""}'
    fitting = frame[:-2] + b"y" * (MAX_BODY - len(frame)) + frame[-2:]
    assert len(fitting) == MAX_BODY
    assert _execute(player, fitting).code == "NO_TOKENS"
    _invalid(_execute(player, fitting + b" "))


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/octet-stream",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/vnd.api+json",
        None,
    ],
)
def test_any_content_type_will_do_if_the_body_is_json(
    world: World, content_type: str | None
) -> None:
    player = world.player()
    assert _execute(player, b'{"targetUserId": "a"}', content_type).code == "NO_TOKENS"
    _invalid(_execute(player, b"\x00\x01\xff", content_type))


def test_unknown_members_are_ignored(world: World) -> None:
    extra = {
        "targetUserId": "a",
        "userId": None,
        "x": [1.5, None, {"y": True}],
        "": "",
        "ü": 10**40,
    }
    assert world.player().post("/execute", extra).code == "NO_TOKENS"


def test_malformed_requests_do_not_count_as_attempts(world: World) -> None:
    player = world.player()
    for _ in range(15):
        _invalid(_execute(player, b"{}"))
    assert player.execute("a").code == "NO_TOKENS"


@pytest.mark.parametrize(
    "key", ["", "a" * 129, "caf\xe9", "a\tb", "\x7f", "a\x80"], ids=lambda key: repr(key[:8])
)
def test_an_idempotency_key_outside_its_grammar_is_refused(player: Player, key: str) -> None:
    _invalid(player.execute(unique(), key), ["Idempotency-Key"])


@pytest.mark.parametrize("key", ["1", "a" * 128, "a b ~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}"])
def test_every_printable_ascii_key_is_accepted(world: World, key: str) -> None:
    player = world.player()
    first, second = player.execute("a", key), player.execute("a", key)
    assert first.code == "NO_TOKENS"
    assert second.replayed
    assert second.content == first.content


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(
            (f"unreadOnly={value}", "unreadOnly")
            for value in ("TRUE", "True", "1", "0", "yes", "", "null")
        ),
        ("unreadOnly", "unreadOnly"),
        ("unreadOnly=true&unreadOnly=false", "unreadOnly"),
        *(
            (f"limit={value}", "limit")
            for value in (
                "0",
                "101",
                "-1",
                "abc",
                "1.5",
                "1.0",
                "",
                "1e1",
                "%201",
                "9" * 400,
                "%D9%A5",
            )
        ),
        ("limit=5&limit=6", "limit"),
        *(
            (f"cursor={value}", "cursor")
            for value in ("x", "", "%00", "AAAA", "eyJhIjoxfQ", "9" * 1000)
        ),
    ],
    ids=lambda text: str(text)[:32],
)
def test_query_parameters_of_the_wrong_shape_are_refused(
    player: Player, query: str, field: str
) -> None:
    _invalid(player.get(f"/notifications?{query}"), [field])


@pytest.mark.parametrize(
    "query", ["unreadOnly=true", "unreadOnly=false", "limit=1", "limit=100", "other=5&limit=2"]
)
def test_query_parameters_of_the_right_shape_are_accepted(player: Player, query: str) -> None:
    reply = player.get(f"/notifications?{query}")
    assert reply.status == 200
    assert set(reply.body) == {"notifications", "unreadCount", "nextCursor"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"notificationIds": None}, ["notificationIds"]),
        ({"notificationIds": "a"}, ["notificationIds"]),
        ({"notificationIds": {}}, ["notificationIds"]),
        ({"notificationIds": 5}, ["notificationIds"]),
        ({"notificationIds": [1.5]}, ["notificationIds"]),
        ({"notificationIds": [1e20]}, ["notificationIds"]),
        ({"notificationIds": [None]}, ["notificationIds"]),
        ({"notificationIds": [True]}, ["notificationIds"]),
        ({"notificationIds": [["a"]]}, ["notificationIds"]),
        ({"notificationIds": ["a", {}]}, ["notificationIds"]),
        ({"notificationIds": [f"id-{n}" for n in range(101)]}, ["notificationIds"]),
        ({"upTo": None}, ["upTo"]),
        ({"upTo": 5.5}, ["upTo"]),
        ({"upTo": True}, ["upTo"]),
        ({"upTo": []}, ["upTo"]),
        ({"upTo": "a", "notificationIds": ["a"]}, None),
        ({"upTo": "a", "notificationIds": []}, None),
        ([], None),
        ("a", None),
        (5, None),
        (None, None),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_wrong_choice_of_what_to_mark_is_refused(
    player: Player, body: object, path: list[str] | None
) -> None:
    _invalid(player.post("/notifications/read", body), path)


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"nonsense",
        b'{"upTo": "a", "upTo": "a"}',
        b'{"x": NaN}',
        b'{"x": ' + b"[" * 3500 + b"]" * 3500 + b"}",
        b'{"x": "' + b"y" * MAX_BODY + b'"}',
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_a_malformed_body_marks_nothing(player: Player, raw: bytes) -> None:
    _invalid(_read(player, raw))
    assert player.notifications()["unreadCount"] == 1


def test_errors_show_nothing_of_the_inside(player: Player) -> None:
    replies = [
        _execute(player, b"{"),
        _execute(player, b'{"targetUserId": 1.5}'),
        player.get("/notifications?cursor=AAAA"),
        player.get("/can-rob/a%20b"),
    ]
    for reply in replies:
        text = reply.content.decode().lower()
        for inside in (
            "traceback",
            "dynamodb",
            "botocore",
            "pydantic",
            "table",
            "arn:",
            ".py",
            "http://",
        ):
            assert inside not in text, text
