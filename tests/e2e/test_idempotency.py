"""One key, one outcome, whatever happens in between (SPEC section 2, Idempotency)."""

import json

from tests.e2e.world import Reply, World, unique


def test_a_success_is_replayed_to_the_byte_although_the_cooldown_now_forbids_it(
    world: World,
) -> None:
    robber, victim, key = world.robber(tokens=3), world.victim(points=100), unique("k")
    first = robber.execute(victim, key)
    assert (first.status, first.replayed) == (200, False)
    world.earn(robber.id, 500)
    world.earn(victim, 500)
    world.award(robber.id)

    second = robber.execute(victim, key)

    assert (second.status, second.replayed) == (200, True)
    assert second.content == first.content
    assert robber.tokens()["balance"] == 3
    assert robber.execute(victim, unique("k")).code == "COOLDOWN_ACTIVE"


def test_a_key_that_is_sent_twice_is_one_key_and_two_keys_are_none(world: World) -> None:
    robber, victim, key = world.robber(tokens=3), world.victim(points=100), unique("k")
    body = json.dumps({"targetUserId": victim}).encode()

    def twice(first: str, second: str) -> Reply:
        return robber.call(
            "POST", "/execute", body, {"Idempotency-Key": first, "idempotency-key": second}
        )

    refused = twice(key, unique("other"))
    assert refused.status == 400
    assert [error["path"] for error in refused.body["errors"]] == [["Idempotency-Key"]]
    first, again = twice(key, key), robber.execute(victim, key)
    assert (first.status, again.status, again.replayed) == (200, 200, True)
    assert again.content == first.content
    assert robber.tokens()["totalSpent"] == 1


def test_a_refusal_is_remembered_although_the_heist_would_now_succeed(world: World) -> None:
    player, victim, key = world.player(), world.victim(points=100), unique("k")
    first = player.execute(victim, key)
    assert (first.status, first.code, first.replayed) == (400, "NO_TOKENS", False)
    world.award(player.id)

    second = player.execute(victim, key)

    assert (second.status, second.replayed) == (400, True)
    assert second.content == first.content
    assert player.execute(victim, unique("k")).status == 200


def test_the_same_key_for_another_target_is_a_422_that_moves_nothing(world: World) -> None:
    robber, victim, other, key = world.robber(2), world.victim(), world.victim(), unique("k")
    first = robber.execute(victim, key)

    mismatch = robber.execute(other, key)

    assert mismatch.status == 422
    assert mismatch.body["success"] is False
    assert mismatch.body["error"] == "IDEMPOTENCY_MISMATCH"
    assert robber.execute(victim, key).content == first.content
    assert robber.tokens()["totalSpent"] == 1
    assert world.points_of(other) == 100


def test_two_players_use_one_key_independently(world: World) -> None:
    key, victim = unique("k"), world.victim(points=100)
    broke, robber = world.player(), world.robber()
    assert broke.execute(victim, key).code == "NO_TOKENS"
    success = robber.execute(victim, key)
    assert (success.status, success.replayed) == (200, False)
