"""Schedule: sends the daily digests that are due; for operators, resends one"""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.domain.mails import MailState
from heist_core.http.api import LambdaContext

_MILLISECONDS_TO_STOP_AT = 20_000


def handler(event: Mapping[str, object], context: LambdaContext) -> Mapping[str, object]:
    """Takes `{"resend": {"recipientId", "upTo"}}` (sends that one digest), or the schedule's
    event."""
    with telemetry.invocation("digests", "send_digests") as fields:
        resend = event.get("resend")
        if isinstance(resend, Mapping):
            up_to = resend.get("upTo")
            settled = isinstance(up_to, int) and wiring.send_digests().resend(
                str(resend.get("recipientId")), up_to
            )
            fields["settled"] = int(settled)
            return {"settled": settled}

        def out_of_time() -> bool:
            return context.get_remaining_time_in_millis() < _MILLISECONDS_TO_STOP_AT

        sent = wiring.send_digests()(out_of_time)
        waiting = sent.waiting + sent.unfinished
        fields.update(mails=sent.digests[MailState.SENT], waiting=waiting)
        for state in (MailState.FAILED, MailState.PARKED):
            if sent.digests[state]:
                fields[f"mails_{state.value.lower()}"] = sent.digests[state]
        if sent.deferred:
            fields["mails_deferred"] = sent.deferred
        telemetry.count_mails(sent.digests)
        telemetry.count("DigestsSent", sent.digests[MailState.SENT])
        telemetry.count_even_none("DigestsWaiting", waiting)
        return {"sent": sent.digests[MailState.SENT], "waiting": waiting}
