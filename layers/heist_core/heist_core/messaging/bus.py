"""Events out, on the stack's own bus (SPEC section 6)."""

import json
from typing import TYPE_CHECKING, Literal, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from heist_core.domain.award import Award
from heist_core.domain.errors import Unavailable
from heist_core.domain.facts import Event
from heist_core.domain.heist import Heist
from heist_core.domain.reversal import Reversal
from heist_core.domain.times import to_iso

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "heist"


class HeistCommitted(TypedDict):
    heistId: str
    attackerId: str
    victimId: str
    pointsStolen: int
    attackerPointsAfter: int
    victimPointsAfter: int
    season: str
    createdAt: str


class HeistReversed(TypedDict):
    heistId: str
    attackerId: str
    victimId: str
    pointsReturned: int
    shortfall: int
    tokenRefunded: bool
    attackerPointsAfter: int
    victimPointsAfter: int
    season: str
    createdAt: str


class TokenAwarded(TypedDict):
    userId: str
    referredUserId: str
    createdAt: str


EventOut = (
    tuple[Literal["HeistCommitted"], HeistCommitted]
    | tuple[Literal["HeistReversed"], HeistReversed]
    | tuple[Literal["TokenAwarded"], TokenAwarded]
)


def event_of(event: Event) -> EventOut:
    """The fact as other systems see it."""
    match event:
        case Heist():
            return "HeistCommitted", HeistCommitted(
                heistId=event.heist_id,
                attackerId=event.attacker_id,
                victimId=event.victim_id,
                pointsStolen=event.plan.points_stolen,
                attackerPointsAfter=event.plan.attacker_points_after,
                victimPointsAfter=event.plan.victim_points_after,
                season=event.season,
                createdAt=to_iso(event.at),
            )
        case Reversal():
            return "HeistReversed", HeistReversed(
                heistId=event.heist_id,
                attackerId=event.attacker_id,
                victimId=event.victim_id,
                pointsReturned=event.points_returned,
                shortfall=event.shortfall,
                tokenRefunded=event.token_refunded,
                attackerPointsAfter=event.attacker_points_after,
                victimPointsAfter=event.victim_points_after,
                season=event.season,
                createdAt=to_iso(event.at),
            )
        case Award():
            return "TokenAwarded", TokenAwarded(
                userId=event.referrer_id,
                referredUserId=event.referred_id,
                createdAt=to_iso(event.at),
            )


class Bus:
    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, event: Event) -> None:
        """At least once. Raises Unavailable when the bus did not take it for certain."""
        detail_type, detail = event_of(event)
        try:
            answer = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._name,
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail),
                    }
                ]
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable from error
        if answer["FailedEntryCount"]:
            raise Unavailable
