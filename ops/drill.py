"""Restore drill: restore a copy of the table, audit the copy, delete the copy: `make drill`.

The table itself is only read. A copy that has violations, or with --keep, stays.
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from heist_core.storage.audit import Table, audit_table
from ops.audit import show_progress
from ops.target import NoTargetError, add_stage_argument, find_target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONGEST_RESTORE_SECONDS = 4 * 3600


def restore(client: "DynamoDBClient", source: str) -> str:
    """A copy of a table as it was a moment ago; its name."""
    copy = f"{source}-drill-{datetime.now(UTC):%Y%m%d%H%M%S}"
    client.restore_table_to_point_in_time(
        SourceTableName=source, TargetTableName=copy, UseLatestRestorableTime=True
    )
    began = time.monotonic()
    while (status := client.describe_table(TableName=copy)["Table"]["TableStatus"]) != "ACTIVE":
        if time.monotonic() - began > LONGEST_RESTORE_SECONDS:
            raise TimeoutError(f"{copy} is still {status}; audit it later with --table")
        print(f"{copy} is {status}", end="\r", file=sys.stderr, flush=True)
        time.sleep(5)
    return copy


def drill(client: "DynamoDBClient", source: str, *, keep: bool) -> int:
    """Restore, audit, delete; the number of violations in the copy."""
    began = time.monotonic()
    copy = restore(client, source)
    print(f"restored {copy} in {time.monotonic() - began:.0f} s")
    audit, violations = audit_table(Table(client, copy), rounds=1, progress=show_progress)
    for violation in violations:
        print(violation)
    print(f"{audit.items} items, {len(audit.players)} players, {len(audit.heists)} heists")
    print(f"{len(violations)} violations")
    if keep or violations:
        print(f"kept {copy}")
    else:
        client.delete_table(TableName=copy)
        print(f"deleted {copy}")
    return len(violations)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="drill", description=__doc__)
    add_stage_argument(parser)
    parser.add_argument("--keep", action="store_true", help="keep the restored copy")
    options = parser.parse_args(arguments)
    try:
        target = find_target(options.stage)
    except NoTargetError as problem:
        print(problem, file=sys.stderr)
        return 1
    client = target.session.client("dynamodb", endpoint_url=target.endpoint)
    return 1 if drill(client, target.outputs["TableName"], keep=options.keep) else 0


if __name__ == "__main__":
    sys.exit(main())
