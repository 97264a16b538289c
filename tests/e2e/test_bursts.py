"""Many events at one moment: the embedded AWS loses none of them, as AWS would not."""

from collections.abc import Mapping

from heist_core.storage import keys
from local.stack import Stack
from tests.e2e.world import World, earned, eventually, in_parallel, referral, unique

Event = tuple[str, str, Mapping[str, object]]


def test_of_two_hundred_events_at_once_none_is_lost(world: World, stack: Stack) -> None:
    players = [unique("burst") for _ in range(200)]
    earners, referrers, upserted = players[:100], players[100:150], players[150:]
    points = [("points", "PointsEarned", earned(player)) for player in earners]
    awards = [("referrals", "ReferralCompleted", referral(player)) for player in referrers]
    profiles = [("users", "UserUpserted", {"userId": player}) for player in upserted]

    events: list[Event] = [*points, *awards, *profiles]

    in_parallel(lambda event: stack.send(*event), events, at_once=50)

    expected = [
        *(keys.points_event(str(detail["eventId"])) for _, _, detail in points),
        *(keys.referral(str(detail["referredUserId"])) for _, _, detail in awards),
        *map(keys.player, upserted),
    ]

    def there() -> int:
        return sum(len(world.table.get_all(some)) for some in (expected[:100], expected[100:]))

    eventually(there, lambda found: found == len(expected), within=180, pause=0.5)
