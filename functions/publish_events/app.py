"""Table stream: events out"""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.domain.inbox import Event
from heist_core.http.api import LambdaContext
from heist_core.streams import BatchAnswer, handle_records
from heist_core.use_cases.publish_event import publish_event


def handler(event: Mapping[str, object], context: LambdaContext) -> BatchAnswer:
    queue = wiring.dead_letters("NOTIFIER_DLQ_URL")
    return handle_records(event, "publish_events", _publish, wiring.store(), queue)


def _publish(event: Event, fields: telemetry.Fields) -> None:
    publish_event(wiring.store(), wiring.bus(), event)
    telemetry.add(fields, "published", 1)
