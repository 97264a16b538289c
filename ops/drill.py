"""Restore a copy of the table, audit the copy, delete the copy.

The table itself is only read. A copy that has violations, or with --keep,
stays.
"""

import argparse
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from heist_core.storage.table import Table
from ops.audit import audit_copy, tell_cut
from ops.command import add_change_arguments, agreed
from ops.output import Output
from ops.target import OperatorError, Target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONGEST_RESTORE_SECONDS = 4 * 3600
SECONDS_BETWEEN_LOOKS = 5


def restore(client: "DynamoDBClient", source: str, out: Output) -> str:
    """A copy of a table as it was a moment ago; its name."""
    copy = f"{source}-drill-{datetime.now(UTC):%Y%m%d%H%M%S}"
    client.restore_table_to_point_in_time(
        SourceTableName=source, TargetTableName=copy, UseLatestRestorableTime=True
    )
    began = time.monotonic()
    try:
        while (status := _status(client, copy)) != "ACTIVE":
            if time.monotonic() - began > LONGEST_RESTORE_SECONDS:
                raise OperatorError(
                    f"{copy} is still {status}: audit it later, ./heist audit --table {copy}"
                )
            out.progress(f"{copy} is {status}")
            time.sleep(SECONDS_BETWEEN_LOOKS)
    except KeyboardInterrupt:
        out.line(f"{copy} goes on being restored: delete it, or audit it later.")
        raise
    return copy


def _status(client: "DynamoDBClient", table: str) -> str:
    """A table may not be found yet just after its restore began."""
    try:
        return client.describe_table(TableName=table)["Table"]["TableStatus"]
    except client.exceptions.ResourceNotFoundException:
        return "not there yet"


def drill(client: "DynamoDBClient", source: str, out: Output, *, keep: bool) -> int:
    """Restore, audit, delete; the number of violations in the copy that the table has, too."""
    began = time.monotonic()
    copy = restore(client, source, out)
    seconds = round(time.monotonic() - began)
    out.line(f"restored {copy} in {seconds} s")
    kept = keep
    try:
        audit, violations, cut = audit_copy(
            Table(client, copy), Table(client, source), progress=out.items_read
        )
        kept = keep or bool(violations)
    finally:  # a copy holds everybody's data, and costs
        if not kept:
            client.delete_table(TableName=copy)
    for violation in violations:
        out.line(str(violation))
    tell_cut(cut, out)
    out.line(f"{audit.items} items, {audit.players} players, {audit.heists} heists")
    out.line(f"{len(violations)} violations")
    out.line(f"{'kept' if kept else 'deleted'} {copy}")
    out.document(
        {
            "copy": copy,
            "kept": kept,
            "seconds": seconds,
            "items": audit.items,
            "violations": [asdict(violation) for violation in violations],
            "inTheCopyAlone": [asdict(violation) for violation in cut],
        }
    )
    return len(violations)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", action="store_true", help="keep the restored copy")
    add_change_arguments(parser, reason=False)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    out.line(
        f"{target.table.name} would be restored as a table beside it, at the price of its size."
    )
    if not agreed(options, out):
        out.document({"copy": None})
        return 0
    return 1 if drill(target.dynamodb, target.table.name, out, keep=options.keep) else 0
