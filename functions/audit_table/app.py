"""Schedule: every invariant of the table, every night. It repairs nothing."""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.http.api import LambdaContext

_MILLISECONDS_TO_STOP_AT = 15_000
_VIOLATIONS_LOGGED = 100
_VIOLATIONS_KEPT = 100


def handler(event: Mapping[str, object], context: LambdaContext) -> Mapping[str, int]:
    """Raises TimeoutError when the table is too large for one run: docs/operations.md, "Audit"."""

    def stop_in_time(read: int) -> None:
        if context.get_remaining_time_in_millis() < _MILLISECONDS_TO_STOP_AT:
            raise TimeoutError(f"not finished after {read} items of a look")

    with telemetry.invocation("audit", "audit_table") as fields:
        audit, violations = wiring.audit_table(stop_in_time)
        for violation in violations[:_VIOLATIONS_LOGGED]:
            telemetry.violation("audit_table", str(violation))
        wiring.keep_audit(audit, violations, _VIOLATIONS_KEPT)
        counts = {"items": audit.items, "violations": len(violations)}
        fields.update(counts)
        telemetry.count("InvariantViolations", counts["violations"])
        telemetry.count("AuditsFinished")
        return counts
