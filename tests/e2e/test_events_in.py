"""What other systems tell us, over the real bus (SPEC section 4)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.world import World, eventually, in_parallel, unique


def _referral(referrer: object, referred: object, **more: object) -> dict[str, object]:
    return {
        "referralId": unique("r"),
        "referrerUserId": referrer,
        "referredUserId": referred,
        **more,
    }


def _points(player_id: object, points: object = 100, **more: object) -> dict[str, object]:
    return {
        "eventId": unique("e"),
        "userId": player_id,
        "points": points,
        "pointEventType": "ORDER_COMPLETED",
        **more,
    }


def _without(detail: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in detail.items() if key != name}


# ReferralCompleted


def test_a_referral_is_one_token_and_one_notification(world: World) -> None:
    player = world.player()
    world.emit(
        "referrals", "ReferralCompleted", _referral(player.id, unique(), referredUserName="Zoë")
    )

    eventually(player.tokens, lambda tokens: tokens["balance"] == 1)

    tokens = player.tokens()
    assert (tokens["totalEarned"], tokens["totalSpent"], tokens["lastSpentAt"]) == (1, 0, None)
    (notification,) = player.inbox(1)
    assert set(notification) == {
        "id",
        "userId",
        "heistId",
        "type",
        "message",
        "messageKey",
        "params",
        "metadata",
        "read",
        "readAt",
        "createdAt",
    }
    assert notification["userId"] == player.id
    assert notification["heistId"] is None
    assert notification["type"] == "TOKEN_EARNED"
    assert (
        notification["message"] == "You earned a Heist Token! Zoë joined using your referral code."
    )
    assert notification["metadata"] == {"referredUserName": "Zoë"}
    assert (notification["read"], notification["readAt"]) == (False, None)


def test_one_referred_player_is_one_token_however_often_and_concurrently_reported(
    world: World,
) -> None:
    player, newcomer = world.player(), unique("new")
    again = [_referral(player.id, newcomer) for _ in range(6)]
    again += [again[0]] * 3
    in_parallel(
        lambda detail: world.emit("referrals", "ReferralCompleted", detail), again, at_once=8
    )
    in_parallel(
        lambda detail: world.deliver("award_token", "referrals", "ReferralCompleted", detail),
        again,
        at_once=4,
    )
    assert player.tokens()["totalEarned"] == 1
    player.inbox(1)
    # another newcomer counts again; by then every repeat was handled
    world.emit("referrals", "ReferralCompleted", _referral(player.id, unique("new")))
    eventually(player.tokens, lambda tokens: tokens["totalEarned"] >= 2)
    player.inbox(2)
    assert player.tokens()["totalEarned"] == 2


def test_first_awards_of_one_referrer_at_the_same_moment_all_count(world: World) -> None:
    player = world.player()
    details = [_referral(player.id, unique("new")) for _ in range(6)]
    world.emit("referrals", "ReferralCompleted", *details)
    eventually(player.tokens, lambda tokens: tokens["balance"] >= 6)
    assert len(player.inbox(6)) == 6
    assert player.tokens()["totalEarned"] == 6


# Bad shapes


def test_events_of_the_wrong_shape_become_dead_letters_and_change_nothing(world: World) -> None:
    player = world.player()
    world.award(player.id)
    existing, fresh = world.victim(points=100), unique("fresh")
    referral, points = _referral(player.id, unique()), _points(existing)
    user: dict[str, object] = {"userId": existing, "name": "Changed"}
    referrals = [_without(referral, "referralId"), {**referral, "referrerUserId": 1.5}]
    referrals += [{**referral, "referredUserId": player.id}, {**referral, "referredUserName": 5}]
    earned = [{**points, "points": 0}, {**points, "points": "5"}, _without(points, "eventId")]
    earned += [{**points, "pointEventType": "HEIST_GAIN"}, {**points, "occurredAt": "yesterday"}]
    users = [_without(user, "userId"), {**user, "email": 5}, {**user, "updatedAt": "soon"}]
    bad = [
        *(("referrals", "ReferralCompleted", detail) for detail in referrals),
        *(("points", "PointsEarned", detail) for detail in earned),
        *(("users", "UserUpserted", detail) for detail in users),
    ]
    marked = [(source, kind, {**detail, "marker": unique("bad")}) for source, kind, detail in bad]
    handlers = {"referrals": "award_token", "points": "add_points", "users": "upsert_player"}
    over_the_bus = {source: (source, kind, detail) for source, kind, detail in marked}
    for source, kind, detail in marked:
        if (source, kind, detail) in over_the_bus.values():
            world.emit(source, kind, detail)
        else:
            world.deliver(handlers[source], source, kind, detail)

    for source, kind, detail in marked:
        entry = world.refused_event(str(detail["marker"]))
        assert set(entry) == {"event", "reason"}, detail
        assert entry["event"]["detail"] == detail
        assert entry["event"]["source"] == source
        assert entry["event"]["detail-type"] == kind
        assert isinstance(entry["reason"], str), detail
        assert entry["reason"], detail
    assert player.tokens()["totalEarned"] == 1
    assert world.points_of(existing) == 100
    assert world.ask(fresh)["code"] == "TARGET_NOT_FOUND"
    robber = world.robber()
    robber.rob(existing)
    assert robber.inbox(2)[0]["metadata"]["victimName"] is None


@pytest.mark.parametrize(
    ("source", "detail_type"),
    [
        ("user", "UserUpserted"),
        ("users", "UserUpdated"),
        ("referrals", "ReferralRevoked"),
        ("points", "ReferralCompleted"),
        ("Points", "PointsEarned"),
    ],
)
def test_an_event_that_nobody_takes_does_nothing_and_is_set_aside(
    world: World, source: str, detail_type: str
) -> None:
    player = world.player()
    detail = {**_points(player.id), **_referral(player.id, unique()), "name": '"</Nobody>"'}
    world.emit(source, detail_type, detail)
    letter = world.refused_event(str(detail["referralId"]))
    assert (letter["event"]["source"], letter["event"]["detail-type"]) == (source, detail_type)
    assert letter["event"]["detail"] == detail
    assert letter["reason"] == "UNKNOWN_EVENT"
    assert player.tokens()["totalEarned"] == 0


def test_an_event_out_is_nobodys_dead_letter(world: World) -> None:
    robber = world.robber()
    victim = world.victim()
    robber.rob(victim)
    robber.inbox(2)
    assert world.dead_letters("EventsDeadLetterQueueUrl", victim) == []


# PointsEarned


def test_an_event_id_gives_points_once_over_all_players(world: World) -> None:
    first, second = unique("first"), world.victim(points=50)
    detail = _points(first, 60)
    in_parallel(
        lambda _: world.deliver("add_points", "points", "PointsEarned", detail), range(8), at_once=4
    )
    assert world.points_of(first) == 60
    world.deliver("add_points", "points", "PointsEarned", {**detail, "userId": second})
    world.deliver("add_points", "points", "PointsEarned", {**detail, "points": 70})
    assert world.points_of(first) == 60
    assert world.points_of(second) == 50


def test_points_belong_to_the_season_in_which_they_were_earned(world: World) -> None:
    player_id = world.victim(points=40)
    first_of_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last_month = (first_of_month - timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
    world.earn(player_id, 1000, occurredAt=last_month)
    assert world.points_of(player_id) == 40
    world.earn(player_id, 25, occurredAt=first_of_month.isoformat(timespec="milliseconds"))
    assert world.points_of(player_id) == 65
    # without occurredAt the event's own time decides
    detail = _points(player_id, 500)
    world.deliver(
        "add_points",
        "points",
        "PointsEarned",
        detail,
        at=(first_of_month - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    assert world.points_of(player_id) == 65


def _from_now(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="milliseconds")


@pytest.mark.parametrize(
    ("field", "event"),
    [
        ("occurredAt", lambda: {"occurredAt": _from_now(minutes=7)}),
        ("occurredAt", lambda: {"occurredAt": "9999-12-31T23:59:59Z"}),
        ("occurredAt", lambda: {"occurredAt": _from_now(days=-401)}),
        ("occurredAt", lambda: {"occurredAt": "0001-01-01T00:00:00Z"}),
        ("occurredAt", lambda: {"occurredAt": "2026-11-22x12:00:00Z"}),
    ],
)
def test_points_of_an_impossible_date_become_a_dead_letter_naming_the_date(
    world: World, field: str, event: Callable[[], dict[str, object]]
) -> None:
    player_id = world.victim(points=40)
    detail = _points(player_id, 900, **event())
    world.deliver("add_points", "points", "PointsEarned", detail)
    assert field in world.refused_event(str(detail["eventId"]))["reason"]
    assert world.points_of(player_id) == 40


def test_an_event_of_a_source_that_may_not_send_it_becomes_a_dead_letter(world: World) -> None:
    player_id = world.victim(points=40)
    detail = _points(player_id, 900)
    world.deliver("add_points", "evil", "PointsEarned", detail)
    assert world.refused_event(str(detail["eventId"]))["reason"] == "source: must be points"
    assert world.points_of(player_id) == 40


def test_a_large_event_becomes_a_dead_letter_as_large_as_it_came(world: World) -> None:
    """No escapes, which made three bytes of one."""
    detail = _points(unique(), 0, junk="😀" * 59_000)
    world.deliver("add_points", "points", "PointsEarned", detail)
    letter = world.refused_event(str(detail["eventId"]))
    assert letter["event"]["detail"] == detail


# UserUpserted; a name shows in the notification of whoever robs its owner


def _name_seen(world: World, player_id: str) -> str | None:
    """The player's name as a robber is told it; once per player, since it protects them."""
    world.earn(player_id, 100)
    robber = world.robber()
    robber.rob(player_id)
    notification = next(one for one in robber.inbox(2) if one["type"] == "HEIST_SUCCESS")
    name: str | None = notification["metadata"]["victimName"]
    return name


def _upsert(world: World, player_id: str, **fields: object) -> None:
    world.deliver("upsert_player", "users", "UserUpserted", {"userId": player_id, **fields})


def test_a_profile_over_the_bus_makes_a_player(world: World) -> None:
    player_id = unique("new")
    assert world.ask(player_id)["code"] == "TARGET_NOT_FOUND"
    world.emit(
        "users", "UserUpserted", {"userId": player_id, "name": "Nova", "email": "nova@example.com"}
    )
    eventually(
        lambda: world.ask(player_id), lambda seen: seen["code"] == "TARGET_BELOW_MINIMUM", pause=0.2
    )
    assert _name_seen(world, player_id) == "Nova"


def test_a_date_after_its_event_locks_no_profile(world: World) -> None:
    player_id = unique()
    for at in ("9999-12-31T00:00:00Z", _from_now(minutes=7)):
        marker = unique("ahead")
        detail = {"userId": player_id, "name": "Never", "updatedAt": at, "marker": marker}
        world.deliver("upsert_player", "users", "UserUpserted", detail)
        assert "updatedAt" in world.refused_event(marker)["reason"]
    _upsert(world, player_id, name="Ahead", updatedAt=_from_now(minutes=4))
    assert _name_seen(world, player_id) == "Ahead"
