"""Heists one at a time: what they move, and what refuses them (SPEC section 2)."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.world import Player, Reply, World, unique

REFUSAL_KEYS = {"success", "error", "code", "message", "details"}
ALLOWED_DRIFT = timedelta(seconds=90)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _refusal(reply: Reply, code: str, message: str, details: object) -> None:
    assert reply.status == 400
    assert reply.body == {
        "success": False,
        "error": "ELIGIBILITY_FAILED",
        "code": code,
        "message": message,
        "details": details,
    }


def _asked_the_same(player: Player, target: str, code: str, reason: str) -> None:
    body = player.can_rob(target).body
    assert {
        "eligible": False,
        "code": code,
        "reason": reason,
        "potentialSteal": 0,
        "targetPoints": 0,
    } == {name: value for name, value in body.items() if name != "details"}


def test_a_player_never_seen_has_zeros_and_nulls(world: World) -> None:
    assert world.player().tokens() == {
        "balance": 0,
        "totalEarned": 0,
        "totalSpent": 0,
        "lastEarnedAt": None,
        "lastSpentAt": None,
    }


def test_a_heist_moves_the_share_and_spends_one_token(world: World) -> None:
    robber = world.robber(tokens=2)
    world.earn(robber.id, 1000)
    victim = world.victim(points=801)
    asked = robber.can_rob(victim).body
    assert asked["eligible"] is True
    assert (asked["potentialSteal"], asked["targetPoints"]) == (40, 801)
    assert not {"reason", "code"} & set(asked)
    before = datetime.now(UTC)

    reply = robber.execute(victim, key=unique())

    assert reply.status == 200
    assert not reply.replayed
    body = reply.body
    assert set(body) == {
        "success",
        "heistId",
        "pointsStolen",
        "message",
        "attackerPointsAfter",
        "tokensLeft",
        "cooldownEndsAt",
    }
    assert body["success"] is True
    assert body["pointsStolen"] == 40
    assert body["message"] == "Success! You stole 40 points!"
    assert body["attackerPointsAfter"] == 1040
    assert body["tokensLeft"] == 1
    assert abs(_moment(body["cooldownEndsAt"]) - before - timedelta(hours=24)) < ALLOWED_DRIFT
    tokens = robber.tokens()
    assert (tokens["balance"], tokens["totalEarned"], tokens["totalSpent"]) == (1, 2, 1)
    assert abs(_moment(tokens["lastSpentAt"]) - before) < ALLOWED_DRIFT
    assert abs(_moment(tokens["lastEarnedAt"]) - before) < ALLOWED_DRIFT
    assert world.points_of(robber.id) == 1040


@pytest.mark.parametrize(
    ("points", "stolen"), [(20, 1), (39, 1), (40, 2), (1999, 99), (2000, 100), (5000, 100)]
)
def test_the_share_is_five_percent_rounded_down_and_at_most_a_hundred(
    world: World, points: int, stolen: int
) -> None:
    robber, victim = world.robber(), world.victim(points)
    assert robber.can_rob(victim).body["potentialSteal"] == stolen
    assert robber.rob(victim)["pointsStolen"] == stolen


def test_a_player_without_tokens_is_refused(world: World) -> None:
    player, victim = world.player(), world.victim()
    message = "You need at least 1 Heist Token"
    _refusal(player.execute(victim), "NO_TOKENS", message, {})
    _asked_the_same(player, victim, "NO_TOKENS", message)


def test_after_a_heist_comes_the_cooldown_and_the_victims_protection(world: World) -> None:
    robber, victim = world.robber(tokens=2), world.victim()
    ends_at = robber.rob(victim)["cooldownEndsAt"]
    other = world.victim()
    message = "You can perform another heist in 24 hours"
    _refusal(robber.execute(other), "COOLDOWN_ACTIVE", message, {"cooldownEndsAt": ends_at})
    _asked_the_same(robber, other, "COOLDOWN_ACTIVE", message)
    assert robber.can_rob(other).body["details"] == {"cooldownEndsAt": ends_at}

    second = world.robber()
    protected_until = _moment(ends_at) + timedelta(hours=24)
    details = {
        "protectionEndsAt": protected_until.isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        )
    }
    message = "This player was recently robbed and is protected for 48 more hours"
    _refusal(second.execute(victim), "TARGET_PROTECTED", message, details)
    _asked_the_same(second, victim, "TARGET_PROTECTED", message)
    assert second.can_rob(victim).body["details"] == details
    assert second.tokens()["balance"] == 1
    assert robber.tokens()["balance"] == 1


def test_nobody_robs_themselves(world: World) -> None:
    robber = world.robber()
    world.earn(robber.id, 100)
    _refusal(robber.execute(robber.id), "SELF_TARGET", "You cannot rob yourself", {})
    _asked_the_same(robber, robber.id, "SELF_TARGET", "You cannot rob yourself")


def test_a_target_nobody_has_heard_of_is_not_found(world: World) -> None:
    robber, nobody = world.robber(), unique("nobody")
    _refusal(robber.execute(nobody), "TARGET_NOT_FOUND", "Target user not found", {})
    _asked_the_same(robber, nobody, "TARGET_NOT_FOUND", "Target user not found")


@pytest.mark.parametrize("points", [None, 19])
def test_a_target_below_the_minimum_is_refused_without_its_balance(
    world: World, points: int | None
) -> None:
    robber, victim = world.robber(), unique("poor")
    if points is None:
        world.profile(victim, name="Poor")
    else:
        world.earn(victim, points)
    message = "Target must have at least 20 points"
    _refusal(robber.execute(victim), "TARGET_BELOW_MINIMUM", message, {})
    _asked_the_same(robber, victim, "TARGET_BELOW_MINIMUM", message)


def test_refusals_spend_nothing(world: World) -> None:
    robber = world.robber()
    for target in (robber.id, unique(), world.victim(points=5)):
        reply = robber.execute(target, key=unique())
        assert reply.status == 400
        assert set(reply.body) == REFUSAL_KEYS
    assert robber.tokens()["balance"] == 1
    assert robber.tokens()["totalSpent"] == 0


def test_the_checks_run_in_the_guides_order(world: World) -> None:
    broke = world.player()
    assert broke.execute(broke.id).code == "NO_TOKENS"
    assert broke.execute(unique()).code == "NO_TOKENS"
    resting, robbed = world.robber(tokens=3), world.victim(points=20)
    resting.rob(robbed)
    for target in (resting.id, unique(), robbed):
        assert resting.execute(target).code == "COOLDOWN_ACTIVE"
        assert resting.can_rob(target).code == "COOLDOWN_ACTIVE"
    fresh = world.robber()
    assert fresh.execute(fresh.id).code == "SELF_TARGET"
    # 19 points are left: below the minimum, and protected too
    assert fresh.execute(robbed).code == "TARGET_BELOW_MINIMUM"
    assert fresh.can_rob(robbed).code == "TARGET_BELOW_MINIMUM"


def test_an_integer_and_its_digits_are_the_same_player(world: World) -> None:
    number = 9_000_000_000_000_000 - int(datetime.now(UTC).timestamp() * 1_000_000)
    victim = world.victim(points=100, player_id=str(number))
    assert world.robber().execute(number).status == 200
    assert world.robber().execute(victim).code == "TARGET_PROTECTED"


def test_asking_moves_nothing(world: World) -> None:
    robber, victim = world.robber(), world.victim(points=200)
    for _ in range(3):
        assert robber.can_rob(victim).body["targetPoints"] == 200
    assert robber.tokens()["balance"] == 1
