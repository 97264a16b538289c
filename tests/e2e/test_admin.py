"""The operators' API with real tokens: who is let in, and what they are shown."""

import pytest

from tests.e2e.world import Player, World, eventually

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
