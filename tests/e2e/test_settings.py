"""The variables of deployed functions, changed in place (SPEC sections 2 and 7).

That each function gets all of them is in tests/template, what each does in tests/unit. The settings
item that overrides them is changed in test_operators.py.
"""

from tests.e2e.world import World, unique

RULES = ("execute_heist", "check_target")


def test_while_disabled_heists_are_refused_first_but_awards_and_notices_go_on(world: World) -> None:
    robber, robbed = world.robber(tokens=2), world.victim(points=100)
    robber.rob(robbed)
    disabled = "Heist feature is currently disabled"
    with world.settings(RULES, HEIST_ENABLED="false"):
        for target in (world.victim(), robber.id, unique(), robbed):
            reply = robber.execute(target, unique("k"))
            assert (reply.code, reply.body["message"]) == ("FEATURE_DISABLED", disabled)
            assert robber.can_rob(target).body["code"] == "FEATURE_DISABLED"
        world.award(robber.id)
        assert robber.tokens()["balance"] == 2
        robber.inbox(4)
    assert robber.execute(world.victim()).code == "COOLDOWN_ACTIVE"


def test_an_invalid_value_is_never_taken_for_another(world: World) -> None:
    """The function refuses to start rather than run without a cooldown."""
    robber = world.robber(tokens=2)
    robber.rob(world.victim())
    target = world.victim()
    with world.settings(("execute_heist",), HEIST_COOLDOWN_HOURS="24h"):
        reply = robber.execute(target)
        assert reply.status >= 500, reply
    assert robber.execute(target).code == "COOLDOWN_ACTIVE"
    assert robber.tokens()["balance"] == 1
