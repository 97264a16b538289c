"""The import by Step Functions: units into parts in S3, a run of the stack's machine, its sums.

A run is called by its export and a number, so that whoever comes again finds it: one that is under
way is waited for, one that has ended is added up, and only one that failed is followed by another.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from heist_core.storage.bucket import Bucket
from heist_core.storage.importing.loading import Verified
from heist_core.storage.importing.parts import Run, parts_of
from ops.output import Output
from ops.target import STACK_PREFIX, OperatorError, Target

from .checked import CheckedExport

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef
    from mypy_boto3_stepfunctions.type_defs import ExecutionListItemTypeDef

_SECONDS_BETWEEN_LOOKS = 2.0
_KEYS_AT_ONCE = 1000  # S3's own limit
_DONE = {"load": "written", "compare": "compared"}


class InParts:
    """Raises OperatorError if the stack has nothing to do it with."""

    def __init__(self, target: Target) -> None:
        machine, bucket = target.resource("ImportMachine"), target.resource("ImportBucket")
        if not machine or not bucket:
            raise OperatorError(
                f"{STACK_PREFIX}{target.stage} cannot import in parts: deploy it with "
                "ImportInParts=on, and without it after the import (docs/operations.md, "
                '"Import in parts").'
            )
        self._target, self._machine, self._bucket_name = target, machine, bucket
        self._bucket = Bucket(target.s3, bucket)
        self._run = Run(self._bucket, "")

    def load(self, checked: CheckedExport, name: str, out: Output) -> Verified:
        """What the table holds when all parts are written and compared. Raises OperatorError."""
        export = name.replace(" of ", "-")
        parts = {kind: parts_of(total) for kind, total, _ in checked.kinds()}
        phases = [(do, kind) for do in _DONE for kind, number in parts.items() if number]
        earlier = self._earlier(export)
        if earlier and self._is_to_be_waited_for(earlier[0], sum(parts.values())):
            self._run = Run(self._bucket, earlier[0]["name"])
        else:
            self._run = Run(self._bucket, f"{export}-{len(earlier) + 1}")
            self._start(checked, phases, out)
        self._wait(phases, parts, out)
        verified = Verified()
        for part in self._run.found():
            verified.add(part)
        return verified

    def forget(self) -> None:
        """Delete everything that the run has in the bucket: its parts hold names and addresses."""
        keys = list(self._bucket.keys(f"{self._run.name}/"))
        for at in range(0, len(keys), _KEYS_AT_ONCE):
            there: list[ObjectIdentifierTypeDef] = [
                {"Key": key} for key in keys[at : at + _KEYS_AT_ONCE]
            ]
            self._target.s3.delete_objects(Bucket=self._bucket_name, Delete={"Objects": there})

    def _earlier(self, export: str) -> "Sequence[ExecutionListItemTypeDef]":
        """Runs of this export, the last one first."""
        runs = self._target.steps.list_executions(stateMachineArn=self._machine)["executions"]
        of_it = [run for run in runs if run["name"].startswith(f"{export}-")]
        return sorted(of_it, key=lambda run: run["startDate"], reverse=True)

    def _is_to_be_waited_for(self, run: "ExecutionListItemTypeDef", parts: int) -> bool:
        """Under way, or ended well and nobody has added up yet what it found."""
        found = sum(1 for _ in self._bucket.keys(f"{run['name']}/found/"))
        return run["status"] == "RUNNING" or (run["status"] == "SUCCEEDED" and found == parts)

    def _start(
        self, checked: CheckedExport, phases: Sequence[tuple[str, str]], out: Output
    ) -> None:
        for kind, total, units in checked.kinds():
            self._run.write(kind, units, out.counted(f"{kind} put into parts", total))
        phase: dict[str, object] = {}
        for do, kind in reversed(phases):
            phase = {"do": do, "manifest": self._run.manifest(kind), "then": phase}
        steps = self._target.steps
        with suppress(steps.exceptions.ExecutionAlreadyExists):
            steps.start_execution(
                stateMachineArn=self._machine,
                name=self._run.name,
                input=json.dumps({"run": self._run.name, "phase": phase}),
            )

    def _wait(self, phases: Sequence[tuple[str, str]], parts: dict[str, int], out: Output) -> None:
        steps = self._target.steps
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{self._run.name}"
        while True:
            self._target.clock.sleep(_SECONDS_BETWEEN_LOOKS)
            run = steps.describe_execution(executionArn=arn)
            if run["status"] == "SUCCEEDED":
                return
            if run["status"] != "RUNNING":
                raise OperatorError(
                    f"The run {self._run.name} is {run['status']}. Its history in Step Functions "
                    "names the part and the error. The same command again begins another; what is "
                    "there stays."
                )
            maps = steps.list_map_runs(executionArn=arn)["mapRuns"]
            if maps:
                last = max(maps, key=lambda one: one["startDate"])["mapRunArn"]
                counts = steps.describe_map_run(mapRunArn=last)["itemCounts"]
                do, kind = phases[len(maps) - 1]
                out.progress(f"{kind} {_DONE[do]}: {counts['succeeded']} of {parts[kind]} parts")
