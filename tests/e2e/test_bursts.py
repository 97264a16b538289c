"""Many events at one moment: the embedded AWS loses none of them, as AWS would not."""

from collections.abc import Mapping

from local.stack import Stack
from tests.e2e.world import World, eventually, in_parallel, unique

Event = tuple[str, str, Mapping[str, object]]


def earned(player: str) -> Event:
    detail = {"eventId": f"e-{player}", "userId": player, "points": 5, "pointEventType": "BURST"}
    return "points", "PointsEarned", detail


def referred(player: str) -> Event:
    detail = {"referralId": "r", "referrerUserId": player, "referredUserId": f"n-{player}"}
    return "referrals", "ReferralCompleted", detail


def named(player: str) -> Event:
    return "users", "UserUpserted", {"userId": player, "name": "Nell"}


def test_of_two_hundred_events_at_once_none_is_lost(world: World, stack: Stack) -> None:
    players = [unique("burst") for _ in range(200)]
    earners, referrers, upserted = players[:100], players[100:150], players[150:]
    events = [*map(earned, earners), *map(referred, referrers), *map(named, upserted)]

    in_parallel(lambda event: world.emit(*event), events, at_once=50)

    expected = [
        *((f"POINTS#e-{player}", "POINTS") for player in earners),
        *((f"REFERRAL#n-{player}", "REFERRAL") for player in referrers),
        *((f"PLAYER#{player}", "STATE") for player in upserted),
    ]

    def missing() -> list[tuple[str, str]]:
        items = in_parallel(lambda key: stack.item(*key), expected, at_once=8)
        return [key for key, item in zip(expected, items, strict=True) if item is None]

    eventually(missing, lambda left: not left, within=180, pause=0.5)
