"""Heists one at a time: what they move, what refuses them, what a repeat answers (SPEC section 2).

Every refusal and every race is in tests/unit and tests/integration.
"""

import json
from datetime import UTC, datetime, timedelta

from tests.e2e.world import Player, Reply, World, unique

ALLOWED_DRIFT = timedelta(seconds=90)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _refused(player: Player, target: str, code: str, message: str, details: object) -> None:
    reply, asked = player.execute(target), player.can_rob(target).body
    assert reply.status == 400
    assert reply.body == {
        "success": False,
        "error": "ELIGIBILITY_FAILED",
        "code": code,
        "message": message,
        "details": details,
    }
    assert asked == {
        "eligible": False,
        "code": code,
        "reason": message,
        "details": details,
        "potentialSteal": 0,
        "targetPoints": 0,
    }


def test_a_heist_moves_the_share_and_spends_one_token(world: World) -> None:
    robber = world.robber(tokens=2)
    world.earn(robber.id, 1000)
    victim = world.victim(points=801)
    asked = robber.can_rob(victim).body
    assert asked == {"eligible": True, "potentialSteal": 40, "targetPoints": 801}
    before = datetime.now(UTC)

    reply = robber.execute(victim, key=unique())

    assert (reply.status, reply.replayed) == (200, False)
    body = reply.body
    assert body["success"] is True
    assert body["pointsStolen"] == 40
    assert body["message"] == "Success! You stole 40 points!"
    assert (body["attackerPointsAfter"], body["tokensLeft"]) == (1040, 1)
    assert abs(_moment(body["cooldownEndsAt"]) - before - timedelta(hours=24)) < ALLOWED_DRIFT
    tokens = robber.tokens()
    assert (tokens["balance"], tokens["totalEarned"], tokens["totalSpent"]) == (1, 2, 1)
    assert abs(_moment(tokens["lastSpentAt"]) - before) < ALLOWED_DRIFT
    assert abs(_moment(tokens["lastEarnedAt"]) - before) < ALLOWED_DRIFT
    assert world.points_of(robber.id) == 1040


def test_a_player_never_seen_has_zeros_and_no_token_to_rob_with(world: World) -> None:
    player = world.player()
    assert player.tokens() == {
        "balance": 0,
        "totalEarned": 0,
        "totalSpent": 0,
        "lastEarnedAt": None,
        "lastSpentAt": None,
    }
    _refused(player, world.victim(), "NO_TOKENS", "You need at least 1 Heist Token", {})


def test_a_success_is_replayed_to_the_byte_and_its_key_is_good_for_nothing_else(
    world: World,
) -> None:
    robber, victim, key = world.robber(tokens=2), world.victim(points=100), unique("k")
    first = robber.execute(victim, key)
    world.earn(robber.id, 500)
    world.award(robber.id)

    second = robber.execute(victim, key)

    assert (first.status, first.replayed) == (200, False)
    assert (second.status, second.replayed) == (200, True)
    assert second.content == first.content
    assert robber.tokens()["balance"] == 2
    mismatch = robber.execute(world.victim(), key)
    assert (mismatch.status, mismatch.body["error"]) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_key_that_is_sent_twice_is_one_key_and_two_keys_are_none(world: World) -> None:
    """The gateway joins headers of one name."""
    robber, victim, key = world.robber(tokens=2), world.victim(points=100), unique("k")
    body = json.dumps({"targetUserId": victim}).encode()

    def twice(first: str, second: str) -> Reply:
        keys = {"Idempotency-Key": first, "idempotency-key": second}
        return robber.call("POST", "/execute", body, keys)

    refused = twice(key, unique("other"))
    assert refused.status == 400
    assert [error["path"] for error in refused.body["errors"]] == [["Idempotency-Key"]]
    first, again = twice(key, key), robber.execute(victim, key)
    assert (first.status, again.status, again.replayed) == (200, 200, True)
    assert again.content == first.content
