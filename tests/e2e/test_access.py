"""Which tokens are accepted, on which routes, and what the others get (SPEC sections 1 and 2)."""

import base64
import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from local.tools import ROOT
from tests.e2e.world import BASE_PATH, Player, World, unique

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text("utf-8"))
ROUTES = [
    (method.upper(), re.sub("{.*?}", "some", path).removeprefix(BASE_PATH))
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method != "parameters" and operation.get("security") != []
]
"""All but those behind a mail's link, which need no token."""


def _with(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _forged(token: str, **claims: object) -> str:
    """The token with other claims under its old signature."""
    header, payload, signature = token.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps({**decoded, **claims}).encode())
    return ".".join((header, changed.rstrip(b"=").decode(), signature))


def _unsigned(token: str) -> str:
    _, payload, _ = token.split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return f"{header}.{payload}."


@pytest.fixture(scope="module")
def player(world: World) -> Player:
    return world.player()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_answers_without_a_valid_token(
    world: World, player: Player, method: str, path: str
) -> None:
    signature_broken = player.token[:-6] + ("AAAAAA" if player.token[-6:] != "AAAAAA" else "BBBBBB")
    refused: dict[str, Mapping[str, str]] = {
        "no header": {},
        "empty": {"Authorization": ""},
        "no token": {"Authorization": "Bearer"},
        "garbage": _with("garbage"),
        "three parts of garbage": _with("a.b.c"),
        "signature broken": _with(signature_broken),
        "another player": _with(_forged(player.token, sub=unique())),
        "expired": _with(_forged(player.token, exp=1)),
        "other audience": _with(_forged(player.token, client_id="another")),
        "unsigned": _with(_unsigned(player.token)),
        "basic": {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
    }
    for case, headers in refused.items():
        reply = world.call(method, path, b"{}" if method == "POST" else None, headers)
        assert reply.status == 401, case
        assert list(reply.body) == ["message"], case


def test_access_tokens_and_id_tokens_name_the_same_player(world: World) -> None:
    user = unique("user")
    player_id = world.stack.sign_up(user)
    world.award(player_id, 2)
    for token in (world.stack.token(user), world.stack.id_token(user)):
        reply = world.call("GET", "/tokens", None, _with(token))
        assert (reply.status, reply.body["balance"]) == (200, 2)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("GET", "/execute"), ("GET", "/can-rob/"), ("GET", "/can-rob/a/b")],
)
def test_an_unknown_route_or_method_is_a_404(player: Player, method: str, path: str) -> None:
    reply = player.call(method, path)
    assert reply.status == 404
    assert reply.body == {"message": "Not Found"}


def test_only_the_allowed_origin_may_read_answers_in_a_browser(
    world: World, player: Player
) -> None:
    asks = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    home = "http://localhost:3000"
    preflight = world.call("OPTIONS", "/execute", None, {"Origin": home, **asks})
    assert preflight.status in (200, 204)
    assert preflight.headers["access-control-allow-origin"] == home
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key"))
    methods = preflight.headers["access-control-allow-methods"]
    assert {"GET", "POST", "PUT"} <= set(methods.replace(" ", "").split(","))

    answer = player.call("GET", "/tokens", None, {"Origin": home})
    assert answer.headers["access-control-allow-origin"] == home
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert all(name in exposed for name in ("retry-after", "idempotent-replay", "date"))
    assert answer.headers["date"]

    foreign = player.call("GET", "/tokens", None, {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers
