"""Schedule: every invariant of the table, every night. It repairs nothing.

A table too large for one run is audited in steps, on an export of it: template.yaml, AuditMachine.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypedDict, cast

from heist_core import telemetry, wiring
from heist_core.http.api import LambdaContext

if TYPE_CHECKING:
    from heist_core.storage.audit_export import DataFile, Plan

_MILLISECONDS_TO_STOP_AT = 15_000


class ToPlan(TypedDict):
    do: Literal["plan"]
    export: str


class ToSplit(TypedDict):
    do: Literal["split"]
    plan: "Plan"
    file: "DataFile"


class ToAudit(TypedDict):
    do: Literal["audit"]
    plan: "Plan"
    share: int


class ToDecide(TypedDict):
    do: Literal["decide"]
    earlier: "list[Plan]"
    plan: "Plan"


Step = ToPlan | ToSplit | ToAudit | ToDecide


def handler(event: Mapping[str, object], context: LambdaContext) -> Mapping[str, object]:
    """A step, or without one all of it. Raises TimeoutError when the table is too large for one
    run: docs/operations.md, "Audit"."""

    def stop_in_time(read: int) -> None:
        if context.get_remaining_time_in_millis() < _MILLISECONDS_TO_STOP_AT:
            raise TimeoutError(f"not finished after {read} items of a look")

    with telemetry.invocation("audit", "audit_table") as fields:
        if "do" in event:
            return _take(cast("Step", event), fields)
        counts = wiring.keep_audit(*wiring.audit_table(stop_in_time))
        fields.update(counts)
        return counts


def _take(step: Step, fields: telemetry.Fields) -> Mapping[str, object]:
    fields["step"] = step["do"]
    audit = wiring.export_audit()
    if step["do"] == "plan":
        return audit.plan(step["export"])
    if step["do"] == "split":
        fields["items"] = audit.split(step["file"], step["plan"])
        return {}
    if step["do"] == "audit":
        fields["violations"] = audit.audit(step["share"], step["plan"])
        return {}
    decided = audit.decide([*step["earlier"], step["plan"]])
    if decided is None:
        return {"settled": False}
    counts = wiring.keep_audit(*decided)
    fields.update(counts)
    return {"settled": True, **counts}
