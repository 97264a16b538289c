"""The eight variables of deployed functions, changed in place (SPEC sections 2 and 7)."""

import pytest

from tests.e2e.world import World, eventually, stay_within_one_minute, unique

RULES = ("execute_heist", "check_target")


def test_while_disabled_heists_are_refused_first_but_awards_and_notices_go_on(world: World) -> None:
    robber, robbed = world.robber(tokens=2), world.victim(points=100)
    robber.rob(robbed)
    disabled = "Heist feature is currently disabled"
    with world.settings(RULES, HEIST_ENABLED="false"):
        for target in (world.victim(), robber.id, unique(), robbed):
            reply = robber.execute(target, unique("k"))
            assert reply.body == {
                "success": False,
                "error": "ELIGIBILITY_FAILED",
                "code": "FEATURE_DISABLED",
                "message": disabled,
                "details": {},
            }
            body = robber.can_rob(target).body
            assert (body["code"], body["reason"]) == ("FEATURE_DISABLED", disabled)
            assert (body["potentialSteal"], body["targetPoints"]) == (0, 0)
        assert world.player().execute("a").code == "FEATURE_DISABLED"
        world.award(robber.id)
        assert robber.tokens()["balance"] == 2
        robber.inbox(4)
    assert robber.execute(world.victim()).code == "COOLDOWN_ACTIVE"


def test_singular_where_it_is_one_and_a_share_of_nothing_is_too_small(world: World) -> None:
    one = {
        "HEIST_COOLDOWN_HOURS": "1",
        "HEIST_TARGET_COOLDOWN_HOURS": "1",
        "HEIST_MIN_TARGET_POINTS": "1",
    }
    with world.settings(RULES, **one):
        robber, victim = world.robber(tokens=2), world.victim(points=100)
        poor, small = unique("poor"), world.victim(points=19)
        world.profile(poor, name="Poor")

        def refused(target: str, code: str, message: str) -> None:
            reply = robber.execute(target)
            assert (reply.status, reply.code, reply.body["message"]) == (400, code, message)
            asked = robber.can_rob(target).body
            assert (asked["eligible"], asked["code"], asked["reason"]) == (False, code, message)

        refused(poor, "TARGET_BELOW_MINIMUM", "Target must have at least 1 point")
        refused(small, "STEAL_TOO_SMALL", "Insufficient points to steal")
        assert robber.execute(small).body["details"] == {}
        assert robber.tokens()["balance"] == 2
        robber.rob(victim)
        refused(poor, "COOLDOWN_ACTIVE", "You can perform another heist in 1 hour")
        message = "This player was recently robbed and is protected for 1 more hour"
        assert world.robber().execute(victim).body["message"] == message
        assert world.ask(victim)["reason"] == message
    # today's settings count at once, also for what happened before
    assert robber.execute(poor).body["message"] == "You can perform another heist in 24 hours"


def test_percentage_maximum_and_no_cooldown_are_obeyed(world: World) -> None:
    other = {
        "HEIST_ENABLED": "TRUE",
        "HEIST_STEAL_PERCENTAGE": "29",
        "HEIST_MAX_STEAL_POINTS": "50",
        "HEIST_COOLDOWN_HOURS": "0",
        "HEIST_TARGET_COOLDOWN_HOURS": "0",
    }
    with world.settings(RULES, **other):
        robber, victim = world.robber(tokens=2), world.victim(points=100)
        assert robber.rob(victim)["pointsStolen"] == 29
        world.earn(victim, 929)
        assert robber.rob(victim)["pointsStolen"] == 50
        assert world.points_of(victim) == 950


def test_a_429_is_not_remembered_under_its_key(world: World) -> None:
    player, key = world.player(), unique("k")
    with world.settings(RULES, HEIST_RATE_LIMIT_PER_MINUTE="2"):
        player.execute("warm up the changed function")
        stay_within_one_minute(15)
        replies = [player.execute("a", unique("k")).status for _ in range(2)]
        assert replies == [400, 400]
        assert player.execute("a", key).status == 429
        assert [player.can_rob("a").status for _ in range(7)] == [200] * 6 + [429]
    reply = player.execute("a", key)
    assert (reply.code, reply.replayed) == ("NO_TOKENS", False)


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


@pytest.mark.slow
def test_the_settings_item_takes_effect_on_warm_instances_within_a_minute(world: World) -> None:
    player, key = world.player(), {"pk": {"S": "SETTINGS"}, "sk": {"S": "HEIST"}}
    table = {"TableName": world.outputs["TableName"]}
    dynamodb = world.client("dynamodb")
    with world.settings(RULES):  # which leaves fresh instances behind, whatever this one remembers
        assert player.can_rob("a").code == "NO_TOKENS"
        dynamodb.put_item(**table, Item={**key, "HEIST_ENABLED": {"BOOL": False}})
        try:
            eventually(
                lambda: player.can_rob("a").code,
                lambda code: code == "FEATURE_DISABLED",
                within=60,
                pause=2.5,
            )
        finally:
            dynamodb.delete_item(**table, Key=key)


def test_an_invalid_settings_item_fails_no_request(world: World) -> None:
    player, key = world.player(), {"pk": {"S": "SETTINGS"}, "sk": {"S": "HEIST"}}
    table = {"TableName": world.outputs["TableName"]}
    dynamodb = world.client("dynamodb")
    with world.settings(RULES):
        dynamodb.put_item(**table, Item={**key, "HEIST_COOLDOWN_HOURS": {"S": "24h"}})
        try:
            assert player.execute("a").code == "NO_TOKENS"
            assert player.can_rob("a").code == "NO_TOKENS"
        finally:
            dynamodb.delete_item(**table, Key=key)
