"""Events out, on the stack's own bus (SPEC section 6)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from heist_core.domain.award import Award
from heist_core.domain.board import Standing, placed
from heist_core.domain.errors import Unavailable
from heist_core.domain.facts import Event, points_changes
from heist_core.domain.heist import Heist
from heist_core.domain.notices import InboxItem
from heist_core.domain.points import PointsChange
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


class PointsChanged(TypedDict):
    userId: str
    season: str
    points: int
    change: int
    reason: str
    at: str
    version: int


class NotificationDelivered(TypedDict):
    notificationId: str
    userId: str
    type: str
    heistId: str | None
    createdAt: str


class SeasonClosed(TypedDict):
    season: str
    players: int
    winners: list[Mapping[str, str | int]]


EventOut = (
    tuple[Literal["HeistCommitted"], HeistCommitted]
    | tuple[Literal["HeistReversed"], HeistReversed]
    | tuple[Literal["TokenAwarded"], TokenAwarded]
    | tuple[Literal["PointsChanged"], PointsChanged]
    | tuple[Literal["SeasonClosed"], SeasonClosed]
    | tuple[Literal["NotificationDelivered"], NotificationDelivered]
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


def change_out(change: PointsChange) -> EventOut:
    """The change of a player's points as other systems see it."""
    return "PointsChanged", PointsChanged(
        userId=change.player_id,
        season=change.season,
        points=change.points,
        change=change.change,
        reason=change.reason,
        at=to_iso(change.at),
        version=change.version,
    )


def events_of(event: Event) -> list[EventOut]:
    """Publishes a fact at once: its own event, and those of the changes of points."""
    return [event_of(event), *map(change_out, points_changes(event))]


WINNERS = 100
ENTRIES_AT_ONCE = 10
"""EventBridge takes no more in a call."""


def closing_of(season: str, players: int, standings: Iterable[Standing]) -> EventOut:
    """The end of a season as other systems see it."""
    winners: list[Mapping[str, str | int]] = [
        {
            "rank": place.rank,
            "userId": place.standing.player_id,
            "points": place.standing.points,
        }
        for place in islice(placed(standings), WINNERS)
        if place.standing.player_id is not None
    ]
    return "SeasonClosed", SeasonClosed(season=season, players=players, winners=winners)


def delivery_of(item: InboxItem) -> EventOut:
    """An inbox item as other systems see it, for push messages: no names, no text."""
    notice = item.notice
    return "NotificationDelivered", NotificationDelivered(
        notificationId=item.id,
        userId=notice.recipient_id,
        type=notice.type.value,
        heistId=notice.heist_id,
        createdAt=to_iso(notice.created_at),
    )


class Bus:
    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, event: Event) -> None:
        """At least once. Raises Unavailable when the bus did not take all of it for certain."""
        self._put(events_of(event))

    def publish_change(self, change: PointsChange) -> None:
        """The same for a change that no other event tells of."""
        self._put([change_out(change)])

    def announce_closing(self, season: str, players: int, standings: Iterable[Standing]) -> None:
        """The same for a season that has ended."""
        self._put([closing_of(season, players, standings)])

    def announce_deliveries(self, arrived: Sequence[InboxItem]) -> None:
        """The same for items that came into inboxes."""
        for at in range(0, len(arrived), ENTRIES_AT_ONCE):
            self._put([delivery_of(item) for item in arrived[at : at + ENTRIES_AT_ONCE]])

    def _put(self, events: Sequence[EventOut]) -> None:
        try:
            answer = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._name,
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail),
                    }
                    for detail_type, detail in events
                ]
            )
        except (BotoCoreError, ClientError) as error:
            raise Unavailable from error
        if answer["FailedEntryCount"]:
            raise Unavailable
