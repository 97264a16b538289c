"""Default bus: what became of mails, from SES"""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.domain.mail_feedback import name_in
from heist_core.event_contracts import Envelope, MailFeedback
from heist_core.events import EventAnswer, handle_event
from heist_core.http.api import LambdaContext


def handler(event: Mapping[str, object], context: LambdaContext) -> EventAnswer:
    queue = wiring.dead_letters("EVENTS_DLQ_URL")
    return handle_event(
        event, "record_mail_feedback", MailFeedback, _record, queue, wiring.clock().now()
    )


def _record(told: MailFeedback, envelope: Envelope) -> Mapping[str, str | int]:
    fields = {"told": envelope.detail_type}
    name = name_in(told.mail.tags)
    if name is None:
        telemetry.count("MailsNotOurs")
        return fields
    feedback = told.feedback(name)
    if feedback is None:
        _count_what_may_pass(told, envelope.detail_type)
        return fields
    heard = wiring.record_mail_feedback()(feedback)
    telemetry.count("MailsNotOurs", int(not heard.ours))
    if heard.moved or heard.suppressed:
        telemetry.count_mails({feedback.state: 1})
    return {**fields, "player": name.recipient_id, "suppressed": int(heard.suppressed)}


def _count_what_may_pass(told: MailFeedback, detail_type: str) -> None:
    if told.bounce is not None:
        telemetry.count("MailsBouncedForNow")
    elif detail_type == "Email Delivery Delayed":
        telemetry.count("MailsDelayed")
    elif detail_type == "Email Rejected":
        telemetry.count("MailsRejected")
