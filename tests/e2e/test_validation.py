"""A request of the wrong shape is a 400 that names the field, and nothing happens (SPEC 1, 2).

Each shape is in tests/unit/test_contracts.py; here are those of which the gateway makes something.
"""

from collections.abc import Sequence

import pytest

from tests.e2e.world import Player, Reply, World

MAX_BODY = 8192
INSIDE = ("traceback", "dynamodb", "botocore", "pydantic", "arn:", ".py", "http://")
"""What no error shows."""


def _invalid(reply: Reply, path: Sequence[str | int] = ()) -> None:
    """A 400 of the validation kind; `path` is where it points and what it names."""
    assert reply.status == 400, reply
    assert set(reply.body) == {"errors"}
    errors = reply.body["errors"]
    found = [error for error in errors if error["path"][: len(path)] == list(path)]
    assert found, errors
    assert all(str(name) in error["message"] for error in found for name in path[:1]), errors
    text = reply.content.decode().lower()
    assert not [inside for inside in INSIDE if inside in text], text


def _execute(player: Player, raw: bytes, content_type: str | None = "application/json") -> Reply:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return player.call("POST", "/execute", raw, headers)


@pytest.fixture(scope="module")
def player(world: World) -> Player:
    return world.robber()


@pytest.mark.parametrize("segment", ["a%20b", "%C3%A9", "a%00", "a%0A", "a+b", "a%25b"])
def test_what_is_no_player_id_is_refused_in_the_path(player: Player, segment: str) -> None:
    _invalid(player.get(f"/can-rob/{segment}"), ["targetUserId"])


def test_every_player_id_of_the_grammar_is_accepted(world: World) -> None:
    player = world.player()
    assert _execute(player, b'{"targetUserId": "a|b:c@d.e_f-G"}').code == "NO_TOKENS"
    for segment in ("7.0", "-5", "a%7Cb", "a%40b", "a%3Ab:c@d", "a" * 64):
        assert player.get(f"/can-rob/{segment}").body["code"] == "NO_TOKENS"
    assert player.get("/can-rob/a%2Fb").status in (400, 404)


def test_a_body_that_is_no_plain_json_object_is_refused(player: Player) -> None:
    frame = b'{"targetUserId": "a", "x": ""}'
    fitting = frame[:-2] + b"y" * (MAX_BODY - len(frame)) + frame[-2:]
    for raw in (b"", b"{", b"\xff\xfe{", b'{"targetUserId": NaN}', fitting + b" "):
        _invalid(_execute(player, raw))
    assert _execute(player, fitting).code == "TARGET_NOT_FOUND"


@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain", None])
def test_any_content_type_will_do_if_the_body_is_json(
    world: World, content_type: str | None
) -> None:
    player = world.player()
    assert _execute(player, b'{"targetUserId": "a", "x": [1.5]}', content_type).code == "NO_TOKENS"
    _invalid(_execute(player, b"\x00\x01\xff", content_type))


def test_an_idempotency_key_is_printable_ascii(player: Player) -> None:
    for key in ("", "a" * 129, "caf\xe9", "a\tb"):
        _invalid(player.execute("a", key), ["Idempotency-Key"])
    first, second = (player.execute("a", "a b ~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}") for _ in "12")
    assert (second.content, second.replayed) == (first.content, True)


def test_query_parameters_of_the_wrong_shape_are_refused(player: Player) -> None:
    for query, field in (
        ("unreadOnly=true&unreadOnly=false", "unreadOnly"),
        ("limit=", "limit"),
        ("limit=%201", "limit"),
        ("cursor=%00", "cursor"),
    ):
        _invalid(player.get(f"/notifications?{query}"), [field])
