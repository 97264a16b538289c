"""A request of the wrong shape is a 400 that names the field, and nothing happens (SPEC 1, 2).

Each shape is in tests/unit/test_contracts.py; here a few of each kind come through the gateway.
"""

from collections.abc import Sequence

import pytest

from tests.e2e.world import Player, Reply, World

MAX_BODY = 8192
INSIDE = ("traceback", "dynamodb", "botocore", "pydantic", "arn:", ".py", "http://")
"""What no error shows."""


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
    text = reply.content.decode().lower()
    assert not [inside for inside in INSIDE if inside in text], text


def _read(player: Player, raw: bytes) -> Reply:
    return player.call("POST", "/notifications/read", raw, {"Content-Type": "application/json"})


def _execute(player: Player, raw: bytes, content_type: str | None = "application/json") -> Reply:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return player.call("POST", "/execute", raw, headers)


@pytest.fixture(scope="module")
def player(world: World) -> Player:
    return world.robber()


@pytest.mark.parametrize("value", ["7.5", "9007199254740992", "true", '"a b"', '"\\ud800"', "{}"])
def test_what_is_no_player_id_is_refused_in_a_body(player: Player, value: str) -> None:
    _invalid(_execute(player, b'{"targetUserId": %s}' % value.encode()), ["targetUserId"])


@pytest.mark.parametrize("segment", ["a%20b", "a%23b", "%C3%A9", "a%00", "a%0A", "a+b", "a%25b"])
def test_what_is_no_player_id_is_refused_in_the_path(player: Player, segment: str) -> None:
    _invalid(player.get(f"/can-rob/{segment}"), ["targetUserId"])


def test_every_player_id_of_the_grammar_is_accepted(world: World) -> None:
    player = world.player()
    assert _execute(player, b'{"targetUserId": "a|b:c@d.e_f-G"}').code == "NO_TOKENS"
    for segment in ("7.0", "-5", "a%7Cb", "a%40b", "a%3Ab:c@d", "a" * 64):
        assert player.get(f"/can-rob/{segment}").body["code"] == "NO_TOKENS"
    assert player.get("/can-rob/a%2Fb").status in (400, 404)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"targetUserId=a",
        b"\xff\xfe{",
        b"null",
        b'{"targetUserId": "a", "targetUserId": "b"}',
        b'{"targetUserId": "a", "x": NaN}',
        b'{"targetUserId": "a", "x": ' + b"[" * 3500 + b"]" * 3500 + b"}",
        b'{"targetUserId": "a"}' + b" " * MAX_BODY,
    ],
    ids=lambda raw: repr(raw[:32]),
)
def test_a_body_that_is_no_plain_json_object_is_refused(player: Player, raw: bytes) -> None:
    _invalid(_execute(player, raw))
    if raw:  # without a body, all are marked
        _invalid(_read(player, raw.replace(b"targetUserId", b"x")))


def test_a_body_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not(world: World) -> None:
    player = world.player()
    frame = b'{"targetUserId": "a", "x": ""}'
    fitting = frame[:-2] + b"y" * (MAX_BODY - len(frame)) + frame[-2:]
    assert len(fitting) == MAX_BODY
    assert _execute(player, fitting).code == "NO_TOKENS"
    _invalid(_execute(player, fitting + b" "))


@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain", None])
def test_any_content_type_will_do_if_the_body_is_json(
    world: World, content_type: str | None
) -> None:
    player = world.player()
    assert _execute(player, b'{"targetUserId": "a", "x": [1.5]}', content_type).code == "NO_TOKENS"
    _invalid(_execute(player, b"\x00\x01\xff", content_type))


@pytest.mark.parametrize("key", ["", "a" * 129, "caf\xe9", "a\tb"], ids=lambda key: repr(key[:8]))
def test_an_idempotency_key_outside_its_grammar_is_refused(player: Player, key: str) -> None:
    _invalid(player.execute("a", key), ["Idempotency-Key"])


@pytest.mark.parametrize("key", ["a" * 128, "a b ~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}"])
def test_every_printable_ascii_key_is_accepted(world: World, key: str) -> None:
    player = world.player()
    first, second = player.execute("a", key), player.execute("a", key)
    assert first.code == "NO_TOKENS"
    assert second.replayed
    assert second.content == first.content


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("unreadOnly=TRUE", "unreadOnly"),
        ("unreadOnly", "unreadOnly"),
        ("unreadOnly=true&unreadOnly=false", "unreadOnly"),
        ("limit=101", "limit"),
        ("limit=", "limit"),
        ("limit=%201", "limit"),
        ("limit=5&limit=6", "limit"),
        ("cursor=%00", "cursor"),
        ("cursor=AAAA", "cursor"),
    ],
)
def test_query_parameters_of_the_wrong_shape_are_refused(
    player: Player, query: str, field: str
) -> None:
    _invalid(player.get(f"/notifications?{query}"), [field])


@pytest.mark.parametrize("query", ["unreadOnly=false", "limit=100", "other=5&limit=2"])
def test_query_parameters_of_the_right_shape_are_accepted(player: Player, query: str) -> None:
    reply = player.get(f"/notifications?{query}")
    assert reply.status == 200
    assert set(reply.body) == {"notifications", "unreadCount", "nextCursor"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"notificationIds": [None]}, ["notificationIds"]),
        ({"notificationIds": [f"id-{n}" for n in range(101)]}, ["notificationIds"]),
        ({"upTo": 5.5}, ["upTo"]),
        ({"upTo": "a", "notificationIds": []}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_wrong_choice_of_what_to_mark_is_refused_and_marks_nothing(
    player: Player, body: object, path: list[str] | None
) -> None:
    _invalid(player.post("/notifications/read", body), path)
    assert player.notifications()["unreadCount"] == 1
