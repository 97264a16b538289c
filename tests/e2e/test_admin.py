"""The operators' API with real tokens: who is let in, and what they are shown."""

import pytest

from tests.e2e.world import Player, Reply, World, eventually, unique

READ = (
    *("/admin/players/nobody-such", "/admin/heists/none", "/admin/actions", "/admin/settings"),
    *("/admin/dead-letters", "/admin/audit", "/admin/stats/heists-per-day"),
)


@pytest.fixture(scope="module")
def operator(world: World) -> Player:
    return world.operator()


@pytest.mark.parametrize(
    "groups", [("operators",), ("support",), ("players", "support"), ("a", "operators", "z")]
)
def test_operators_and_support_are_shown_everything(world: World, groups: tuple[str, ...]) -> None:
    someone = world.operator(*groups)
    statuses = [someone.get(path).status for path in READ]
    assert statuses == [404, 404, 200, 200, 200, 200, 200]


@pytest.mark.parametrize(
    "groups", [("players",), ("operators2",), ("x,operators",), ("Operators",), ("[operators]",)]
)
def test_nobody_else_is(world: World, groups: tuple[str, ...]) -> None:
    someone = world.operator(*groups)
    for path in READ:
        reply = someone.get(path)
        assert (reply.status, reply.body["error"]) == (403, "FORBIDDEN"), path


def test_a_heist_and_its_players_are_shown_from_both_sides(world: World, operator: Player) -> None:
    robber = world.robber(name="<img src=x>")
    victim = world.victim(points=1000)
    heist_id = robber.rob(victim)["heistId"]
    robber.execute(victim, "again")

    found = eventually(
        lambda: operator.get(f"/admin/heists/{heist_id}").body,
        lambda body: len(body["notifications"]) == 2,
    )
    assert found["heist"]["attackerName"] == "<img src=x>"
    told = operator.get(f"/admin/players/{robber.id}?limit=100").body["timeline"]
    statuses = [one["status"] for one in told if one["kind"] == "heist"]
    assert sorted(statuses) == ["FAILED", "SUCCESS"]
    of_victim = operator.get(f"/admin/players/{victim}").body
    assert of_victim["player"]["points"] != {}
    assert [one["points"] for one in of_victim["timeline"] if one["kind"] == "heist"] == [-50]


@pytest.mark.parametrize("player_id", ["a%20b", "%00", "%C3%BC", "x" * 65, "%3Cscript%3E"])
def test_an_id_that_is_none_is_a_400(operator: Player, player_id: str) -> None:
    reply = operator.get(f"/admin/players/{player_id}")
    assert reply.status in (400, 404), reply
    if reply.status == 400:
        assert reply.body["errors"][0]["path"] == ["userId"]


# Changes

CHANGES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("POST", "/admin/players/some/block", {}),
    ("POST", "/admin/players/some/unblock", {}),
    ("POST", "/admin/players/some/tokens", {"delta": 1}),
    ("POST", "/admin/heists/some/reverse", {}),
    ("PUT", "/admin/settings", {"changes": {"HEIST_ENABLED": True}, "expectedVersion": 10**6}),
)


def ask(someone: Player, method: str, path: str, body: object, key: str | None = None) -> Reply:
    call = someone.put if method == "PUT" else someone.post
    return call(path, body, {"Idempotency-Key": key or unique("key")})


@pytest.mark.parametrize("groups", [("support",), ("players",), ("operators2",), ("x,operators",)])
def test_nobody_but_operators_changes_anything(world: World, groups: tuple[str, ...]) -> None:
    someone = world.operator(*groups)
    for method, path, body in CHANGES:
        for more in ({"reason": "a test"}, {"reason": "a test", "dryRun": True}, {}):
            reply = ask(someone, method, path, {**body, **more})
            assert (reply.status, reply.body["error"]) == (403, "FORBIDDEN"), path


def test_an_operator_may_ask_for_all_of_it(operator: Player) -> None:
    statuses = [
        ask(operator, method, path, {**body, "reason": "a test"}).status
        for method, path, body in CHANGES
    ]
    assert statuses == [404, 404, 404, 404, 409]


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


def test_granted_tokens_can_be_spent_and_are_in_the_report(world: World, operator: Player) -> None:
    player = world.player()
    world.profile(player.id, name="Newcomer")
    granted = eventually(
        lambda: ask(
            operator,
            "POST",
            f"/admin/players/{player.id}/tokens",
            {"delta": 5, "reason": "a prize"},
        ),
        lambda reply: reply.status == 200,
    )
    assert granted.body["after"] == {"tokens": 5, "totalEarned": 5, "tokensGranted": 5}
    assert player.rob(world.victim(points=1000))["tokensLeft"] == 4
    eventually(
        lambda: operator.get("/admin/stats/token-distribution").body["balances"],
        lambda rows: any(row["balance"] == 4 for row in rows),
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"reason": "x"}', b'{"reason": "fine", "reason": "twice"}', b"null"],
)
def test_a_body_that_is_none_is_a_400(operator: Player, body: bytes) -> None:
    reply = operator.call("POST", "/admin/players/some/block", body, {"Idempotency-Key": "k"})
    assert reply.status == 400
    assert reply.body["errors"]
