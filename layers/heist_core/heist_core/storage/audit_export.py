"""The audit of a table that is too large for one process, on an export of it to S3.

Step Functions runs the steps (template.yaml, AuditMachine): `plan` once an export is there, `split`
for each of its files, `audit` for each share, and `decide`. No step needs more memory when the
table grows. Each can be repeated: it writes the same under the same names.
"""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any, TypedDict

from .audit import Findings, audit_items, lasting, share_of, subjects_of
from .bucket import Bucket
from .invariants import Violation
from .table import Table
from .wire import from_wire

ITEMS_IN_A_SHARE = 1_000_000
"""Each is in one or two shares: docs/operations.md, "Audit", has the memory that takes."""
PENDING_BYTES = 256 * 1024 * 1024
LOOKS = 2
"""Exports that must agree that something is wrong."""


class DataFile(TypedDict):
    """A line of an export's `manifest-files.json`, as far as it is read."""

    dataFileS3Key: str
    itemCount: int


class Plan(TypedDict):
    manifest: str
    """The key of the export's list of files."""
    items: int
    into: str
    """What the keys of all that is made from this export begin with."""
    shares: list[int]


class BrokenExport(Exception):
    """Files and counts of an export, or of what was made from it, do not agree."""


class ExportAudit:
    """The steps of an audit. `table` is the live one, where suspects are read again."""

    def __init__(self, bucket: Bucket, table: Table) -> None:
        self._bucket = bucket
        self._table = table

    def plan(self, export_arn: str) -> Plan:
        export_id = export_arn.rpartition("/")[2]
        summary = self._bucket.document(f"AWSDynamoDB/{export_id}/manifest-summary.json")
        items = int(summary["itemCount"])
        return {
            "manifest": str(summary["manifestFilesS3Key"]),
            "items": items,
            "into": f"audits/{export_id}",
            "shares": list(range(items // ITEMS_IN_A_SHARE + 1)),
        }

    def split(self, file: DataFile, plan: Plan) -> int:
        """Put each item of a file where all shares find it that look into what it is about.

        The number of items. Raises BrokenExport if it is not the manifest's.
        """
        name = PurePath(file["dataFileS3Key"]).name.partition(".")[0]
        shares = len(plan["shares"])
        pending: dict[int, list[bytes]] = defaultdict(list)
        items = size = parts = 0

        def write() -> None:
            nonlocal size, parts
            for share, lines in pending.items():
                content = gzip.compress(b"".join(lines), compresslevel=1, mtime=0)
                self._bucket.put(f"{plan['into']}/{share}/{name}-{parts}.json.gz", content)
            pending.clear()
            size, parts = 0, parts + 1

        for line in self._bucket.lines(file["dataFileS3Key"]):
            items += 1
            for share in {share_of(one, shares) for one in subjects_of(_item(line))}:
                pending[share].append(line)
                size += len(line)
            if size > PENDING_BYTES:
                write()
        write()
        if items != file["itemCount"]:
            raise BrokenExport(f"{name} has {items} items, its manifest {file['itemCount']}")
        return items

    def audit(self, share: int, plan: Plan) -> int:
        """Look into one share; the number of violations."""
        into, shares = plan["into"], len(plan["shares"])
        parts = self._bucket.keys(f"{into}/{share}/")
        items = (_item(line) for part in parts for line in self._bucket.lines(part))
        audit = audit_items(items, lambda subject: share_of(subject, shares) == share)
        findings = audit.findings()
        found = {**vars(findings), "of_one": list(map(asdict, sorted(findings.of_one)))}
        self._bucket.put(f"{into}/found/{share}.json", json.dumps(found).encode())
        return len(findings.of_one)

    def decide(self, plans: Sequence[Plan]) -> tuple[Findings, list[Violation]] | None:
        """What the looks at the plans' exports came to; None if another look must tell.

        Raises BrokenExport.
        """
        looks = list(map(self.look, plans))
        found = [look.violations() for look in looks]
        if not found[0]:
            return looks[0], []
        if len(looks) < LOOKS:
            return None
        return looks[-1], lasting(self._table, found)

    def look(self, plan: Plan) -> Findings:
        """What was found in all shares. Raises BrokenExport when an item is missing."""
        findings = Findings()
        for share in plan["shares"]:
            findings.add(
                _findings_from(self._bucket.document(f"{plan['into']}/found/{share}.json"))
            )
        if findings.items != plan["items"]:
            raise BrokenExport(
                f"{plan['into']} has {findings.items} items, its manifest {plan['items']}"
            )
        return findings


def _item(line: bytes) -> Mapping[str, object]:
    return from_wire(json.loads(line)["Item"])


def _findings_from(found: Any) -> Findings:
    return Findings(
        **{
            **found,
            "earned": Counter(found["earned"]),
            "held": Counter(found["held"]),
            "of_one": {Violation(**one) for one in found["of_one"]},
        }
    )
