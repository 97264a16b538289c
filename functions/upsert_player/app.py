"""Bus: UserUpserted from users"""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.event_contracts import Envelope, UserUpserted
from heist_core.events import EventAnswer, handle_event
from heist_core.http.api import LambdaContext


def handler(event: Mapping[str, object], context: LambdaContext) -> EventAnswer:
    queue = wiring.dead_letters("EVENTS_DLQ_URL")
    return handle_event(event, "upsert_player", UserUpserted, _upsert, queue, wiring.clock().now())


def _upsert(update: UserUpserted, envelope: Envelope) -> Mapping[str, str | int]:
    taken = wiring.upsert_player()(update, envelope.time)
    telemetry.count("EventsForErased", int(not taken))
    return {"player": update.userId}
