"""Table stream: events out, and statistics"""

from collections.abc import Mapping, Sequence

from heist_core import telemetry, wiring
from heist_core.domain.facts import Fact
from heist_core.http.api import LambdaContext
from heist_core.streams import BatchAnswer, Consumer, handle_batch


def handler(event: Mapping[str, object], context: LambdaContext) -> BatchAnswer:
    queue = wiring.dead_letters("NOTIFIER_DLQ_URL")
    consumer = Consumer("publish_and_count", wiring.store(), queue)
    return handle_batch(event, consumer, _relay, wiring.bus().announce_deliveries)


def _relay(facts: Sequence[Fact], fields: telemetry.Fields) -> Sequence[telemetry.Fields]:
    relayed = wiring.publish_and_count()(facts)
    fields.update(published=len(relayed.published), counted=relayed.counted, left=relayed.left)
    telemetry.count_even_none("LeftToSweeper", relayed.left)
    for defect in relayed.defects:
        telemetry.logger().error(
            "left to the sweeper", exc_info=defect, extra={"function": "publish_and_count"}
        )
    return [{"published": int(fact in relayed.published)} for fact in facts]
