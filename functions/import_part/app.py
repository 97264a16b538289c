"""Step Functions, while an import runs in parts: one part into the table, or compared with it.

template.yaml, ImportMachine, says in which order; docs/operations.md, "Import in parts", how.
"""

from typing import TYPE_CHECKING

from heist_core import telemetry, wiring
from heist_core.http.api import LambdaContext

if TYPE_CHECKING:
    from heist_core.storage.importing.parts import Step


def handler(event: "Step", context: LambdaContext) -> dict[str, int]:
    """How many units were written, or differ. Raises Unavailable and BrokenPart."""
    with telemetry.invocation("import", "import_part") as fields:
        fields.update(step=event["do"], run=event["run"], part=event["part"])
        run, loader = wiring.import_run(event["run"]), wiring.import_loader()
        units = run.units(event["part"])
        if event["do"] == "load":
            counts = {"written": loader.load(units)}
        else:
            verified = loader.verify(units)
            run.keep(event["part"], verified)
            counts = {"different": verified.different}
        fields.update(counts)
        return counts
