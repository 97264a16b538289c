"""Bus: PointsEarned from points"""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.domain.award import EarnedPoints
from heist_core.event_contracts import Envelope, PointsEarned
from heist_core.events import EventAnswer, handle_event
from heist_core.http.api import LambdaContext
from heist_core.use_cases.add_points import Adding


def handler(event: Mapping[str, object], context: LambdaContext) -> EventAnswer:
    queue = wiring.dead_letters("EVENTS_DLQ_URL")
    return handle_event(event, "add_points", PointsEarned, _add, queue, wiring.clock().now())


def _add(event: PointsEarned, envelope: Envelope) -> Mapping[str, str | int]:
    earned = EarnedPoints(
        event_id=event.eventId,
        player_id=event.userId,
        points=event.points,
        point_event_type=event.pointEventType,
        occurred_at=event.occurred_at(envelope.time),
    )
    adding = wiring.add_points()(earned)
    points = earned.points if adding is Adding.ADDED else 0
    telemetry.count("PointsEarned", points)
    telemetry.count("EventsForErased", int(adding is Adding.ERASED))
    return {"player": earned.player_id, "points": points}
