"""Table stream: inbox items and mails"""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.domain.facts import Event
from heist_core.domain.mails import MailState
from heist_core.http.api import LambdaContext
from heist_core.streams import BatchAnswer, Consumer, handle_records


def handler(event: Mapping[str, object], context: LambdaContext) -> BatchAnswer:
    # Made here, since no client may be made by two threads at once.
    notify = wiring.notify_players()

    def tell(event: Event, fields: telemetry.Fields) -> None:
        told = notify(event)
        telemetry.add(fields, "inbox", told.inbox)
        telemetry.add(fields, "mails", told.mails[MailState.SENT])
        for state in (MailState.FAILED, MailState.PARKED):
            if told.mails[state]:
                telemetry.add(fields, f"mails_{state.value.lower()}", told.mails[state])
        telemetry.count("InboxItems", told.inbox)
        telemetry.count_mails(told.mails)

    queue = wiring.dead_letters("NOTIFIER_DLQ_URL")
    consumer = Consumer("notify_players", wiring.store(), queue)
    return handle_records(event, consumer, tell, wiring.record_executor())
