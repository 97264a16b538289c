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
        notified = notify(event)
        telemetry.add(fields, "inbox", notified.inbox)
        telemetry.add(fields, "mails", notified.mails[MailState.SENT])
        for state in (MailState.FAILED, MailState.PARKED):
            if notified.mails[state]:
                telemetry.add(fields, f"mails_{state.value.lower()}", notified.mails[state])
        if notified.deferred:
            fields["mails_deferred"] = notified.deferred
        telemetry.count("InboxItems", notified.inbox)
        telemetry.count_mails(notified.mails)

    queue = wiring.dead_letters("NOTIFIER_DLQ_URL")
    consumer = Consumer("notify_players", wiring.store(), queue)
    return handle_records(event, consumer, tell, wiring.record_executor())
