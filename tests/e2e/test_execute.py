"""Heists one at a time: what they move, and what refuses them (SPEC section 2)."""

from datetime import UTC, datetime, timedelta

from tests.e2e.world import Player, Reply, World, unique

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


def test_an_integer_and_its_digits_are_the_same_player(world: World) -> None:
    number = 9_000_000_000_000_000 - int(datetime.now(UTC).timestamp() * 1_000_000)
    victim = world.victim(points=100, player_id=str(number))
    assert world.robber().execute(number).status == 200
    assert world.robber().execute(victim).code == "TARGET_PROTECTED"
