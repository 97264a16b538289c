"""The operators' API with real tokens: who is let in, and what they are shown."""

import pytest

from tests.e2e.world import Player, Reply, World, unique

READ = (
    *("/admin/players/nobody-such", "/admin/heists/none", "/admin/actions", "/admin/settings"),
    *("/admin/dead-letters", "/admin/audit", "/admin/stats/heists-per-day"),
)
CHANGES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("POST", "/admin/players/some/block", {}),
    ("POST", "/admin/players/some/unblock", {}),
    ("POST", "/admin/players/some/tokens", {"delta": 1}),
    ("POST", "/admin/heists/some/reverse", {}),
    ("PUT", "/admin/settings", {"changes": {"HEIST_ENABLED": True}, "expectedVersion": 10**6}),
)


def ask(someone: Player, method: str, path: str, body: object, key: str | None = None) -> Reply:
    return someone.send(method, path, body, {"Idempotency-Key": key or unique("key")})


@pytest.fixture(scope="module")
def operator(world: World) -> Player:
    return world.operator()


@pytest.mark.parametrize("groups", [("support",), ("a", "operators", "z")])
def test_operators_and_support_are_shown_everything(world: World, groups: tuple[str, ...]) -> None:
    someone = world.operator(*groups)
    statuses = [someone.get(path).status for path in READ]
    assert statuses == [404, 404, 200, 200, 200, 200, 200]


@pytest.mark.parametrize("group", ["operators2", "x,operators", "[operators]", "support"])
def test_nobody_else_is_let_in_and_only_operators_change_anything(world: World, group: str) -> None:
    someone = world.operator(group)
    replies = [someone.get(path) for path in READ if group != "support"]
    replies += [
        ask(someone, method, path, {**body, "reason": "a test", "dryRun": True})
        for method, path, body in CHANGES
    ]
    assert {(reply.status, reply.body["error"]) for reply in replies} == {(403, "FORBIDDEN")}


def test_a_change_is_logged_with_who_made_it(world: World, operator: Player) -> None:
    robber = world.robber()
    heist_id = robber.rob(world.victim(points=1000))["heistId"]
    path = f"/admin/heists/{heist_id}/reverse"
    body = {"reason": "a test of ours", "refundToken": True}

    dry = operator.post(path, {**body, "dryRun": True})
    done = ask(operator, "POST", path, body, "key-1")
    again = ask(operator, "POST", path, body, "key-1")
    other = ask(operator, "POST", path, {"reason": "another one"}, "key-1")
    late = ask(operator, "POST", path, body)

    assert (dry.status, done.status, again.status) == (200, 200, 200)
    assert (dry.body["after"], dry.body["actionId"]) == (done.body["after"], None)
    assert (again.content, again.headers["idempotent-replay"]) == (done.content, "true")
    assert (other.status, late.status) == (422, 409)
    assert (other.body["error"], late.body["error"]) == ("IDEMPOTENCY_MISMATCH", "ALREADY_REVERSED")
    newest = operator.get("/admin/actions?limit=100").body["actions"]
    (entry,) = [one for one in newest if one["subject"] == f"heist {heist_id}"]
    assert (entry["who"], entry["why"]) == (operator.id, "a test of ours")
    assert entry["whoName"].startswith("operator-")
    assert robber.get("/tokens").body["balance"] == 1
