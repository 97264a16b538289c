"""Schedule: settles what is still owed, trims standings; for operators, resends one mail"""

from collections.abc import Mapping
from datetime import timedelta

from heist_core import telemetry, wiring
from heist_core.http.api import LambdaContext
from heist_core.use_cases.sweep_notifications import GRACE

_MILLISECONDS_TO_STOP_AT = 20_000


def handler(event: Mapping[str, object], context: LambdaContext) -> Mapping[str, object]:
    """Takes `{"resend": {"heistId" or "referredId", "recipientId", "type"}}` (sends that one mail),
    `{"graceSeconds": 0}` (also settles what has just become owed), or the schedule's event."""
    with telemetry.invocation("sweep", "sweep_notifications") as fields:
        resend = event.get("resend")
        if isinstance(resend, Mapping):
            notified = wiring.sweep_notifications().resend_mail(
                str(resend.get("heistId") or resend.get("referredId")),
                str(resend.get("recipientId")),
                str(resend.get("type")),
            )
            settled = notified is not None and notified.settled
            telemetry.count_mails({} if notified is None else notified.mails)
            fields["settled"] = int(settled)
            return {"settled": settled}
        grace_seconds = event.get("graceSeconds")

        def out_of_time() -> bool:
            return context.get_remaining_time_in_millis() < _MILLISECONDS_TO_STOP_AT

        swept = wiring.sweep_notifications()(
            out_of_time,
            timedelta(seconds=grace_seconds) if isinstance(grace_seconds, int) else GRACE,
            _log,
        )
        fields.update(settled=swept.settled, waiting=swept.waiting, parked=swept.set_aside)
        fields["awarded"] = swept.awarded
        if swept.deferred:
            fields["mails_deferred"] = swept.deferred
        fields["trimmed"] = wiring.keep_statistics().trim(out_of_time)
        telemetry.count_even_none("OwedSettledBySweeper", swept.settled)
        telemetry.count_even_none("OwedAfterSweep", swept.waiting)
        telemetry.count("TokensAwarded", swept.awarded)
        telemetry.count("RecordsParked", swept.set_aside)
        telemetry.count_mails(swept.mails)
        return {"settled": swept.settled, "waiting": swept.waiting, "parked": swept.set_aside}


def _log(subject: str, correlation_id: str | None, outcome: str) -> None:
    about = telemetry.about(subject, correlation_id)
    telemetry.record("sweep_notifications", {**about, "outcome": outcome})
