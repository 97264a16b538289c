"""What other systems tell us, over the real bus (SPEC section 4)."""

import pytest

from tests.e2e.world import World, earned, eventually, in_parallel, referral, unique


def test_a_referral_is_one_token_and_one_notification(world: World) -> None:
    player = world.player()
    world.stack.send(
        "referrals", "ReferralCompleted", {**referral(player.id), "referredUserName": "Zoë"}
    )

    tokens = eventually(player.tokens, lambda tokens: tokens["balance"] == 1)

    assert (tokens["totalEarned"], tokens["totalSpent"], tokens["lastSpentAt"]) == (1, 0, None)
    (notice,) = player.inbox(1)
    assert (notice["userId"], notice["heistId"]) == (player.id, None)
    assert notice["type"] == "TOKEN_EARNED"
    assert notice["message"] == "You earned a Heist Token! Zoë joined using your referral code."
    assert notice["metadata"] == {"referredUserName": "Zoë"}
    assert (notice["read"], notice["readAt"]) == (False, None)


def test_one_referred_player_is_one_token_however_often_reported(
    world: World,
) -> None:
    player, newcomer = world.player(), unique("new")
    again = [referral(player.id, newcomer) for _ in range(6)]
    again += [again[0]] * 3
    in_parallel(
        lambda detail: world.stack.send("referrals", "ReferralCompleted", detail), again, at_once=8
    )
    in_parallel(
        lambda detail: world.deliver("award_token", "referrals", "ReferralCompleted", detail),
        again,
        at_once=4,
    )
    assert player.tokens()["totalEarned"] == 1
    # another newcomer counts again; by then every repeat was handled
    world.stack.send("referrals", "ReferralCompleted", referral(player.id))
    eventually(player.tokens, lambda tokens: tokens["totalEarned"] >= 2)
    player.inbox(2)
    assert player.tokens()["totalEarned"] == 2


def test_events_of_the_wrong_shape_become_dead_letters_and_change_nothing(world: World) -> None:
    player, existing = world.player(), world.victim(points=100)
    bad = {
        "ReferralCompleted": ("referrals", referral(player.id, player.id)),
        "PointsEarned": ("points", earned(existing, 0)),
        "UserUpserted": ("users", {"userId": existing, "email": 5}),
    }
    marked = {
        kind: (source, {**detail, "marker": unique("bad")})
        for kind, (source, detail) in bad.items()
    }
    for kind, (source, detail) in marked.items():
        world.stack.send(source, kind, detail)

    for kind, (source, detail) in marked.items():
        entry = world.refused_event(str(detail["marker"]))
        assert set(entry) == {"event", "reason"}, detail
        assert entry["event"]["detail"] == detail
        assert (entry["event"]["source"], entry["event"]["detail-type"]) == (source, kind)
        assert entry["reason"], detail
    assert player.tokens()["totalEarned"] == 0
    assert world.points_of(existing) == 100


@pytest.mark.parametrize(
    ("source", "detail_type"), [("user", "UserUpserted"), ("points", "ReferralCompleted")]
)
def test_an_event_that_nobody_takes_does_nothing_and_is_set_aside(
    world: World, source: str, detail_type: str
) -> None:
    player = world.player()
    detail = {**earned(player.id), **referral(player.id), "name": '"</Nobody>"'}
    world.stack.send(source, detail_type, detail)
    letter = world.refused_event(str(detail["referralId"]))
    assert (letter["event"]["source"], letter["event"]["detail-type"]) == (source, detail_type)
    assert letter["event"]["detail"] == detail
    assert letter["reason"] == "UNKNOWN_EVENT"
    assert player.tokens()["totalEarned"] == 0


def test_an_event_out_is_nobodys_dead_letter(world: World) -> None:
    robber, victim = world.robber(), world.victim()
    robber.rob(victim)
    robber.inbox(2)
    assert world.dead_letters("EventsDeadLetterQueueUrl", victim) == []


def test_a_profile_over_the_bus_makes_a_player_whose_name_robbers_are_told(world: World) -> None:
    player_id = unique("new")
    assert world.ask(player_id)["code"] == "TARGET_NOT_FOUND"
    world.stack.send("users", "UserUpserted", {"userId": player_id, "name": "Nova"})
    eventually(
        lambda: world.ask(player_id), lambda seen: seen["code"] == "TARGET_BELOW_MINIMUM", pause=0.2
    )
    world.earn(player_id, 100)
    robber = world.robber()
    robber.rob(player_id)
    assert robber.inbox(2)[0]["metadata"]["victimName"] == "Nova"
