"""Default bus: bounces, complaints and delays of mails, from SES"""

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


def _record(report: MailFeedback, envelope: Envelope) -> Mapping[str, str | int]:
    fields = {"report": envelope.detail_type}
    name = name_in(report.mail.tags)
    if name is None:
        telemetry.count("MailsNotOurs")
        return fields
    feedback = report.feedback(name)
    if feedback is None:
        _count_transient(report, envelope.detail_type)
        return fields
    recorded = wiring.record_mail_feedback()(feedback)
    telemetry.count("MailsNotOurs", int(not recorded.ours))
    if recorded.moved or recorded.suppressed:
        telemetry.count_mails({feedback.state: 1})
    return {**fields, "player": name.recipient_id, "suppressed": int(recorded.suppressed)}


def _count_transient(report: MailFeedback, detail_type: str) -> None:
    if report.bounce is not None:
        telemetry.count("MailsBouncedForNow")
    elif detail_type == "Email Delivery Delayed":
        telemetry.count("MailsDelayed")
    elif detail_type == "Email Rejected":
        telemetry.count("MailsRejected")
