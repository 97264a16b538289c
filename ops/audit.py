"""Check every invariant of points, tokens, ledger and inbox on a table: `make audit`.

Reads only. The exit code is 1 if there is a violation.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from heist_core.storage.audit import Table, audit_table
from ops.target import NoTargetError, add_stage_argument, find_target

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def show_progress(read: int) -> None:
    """One line on a terminal that counts up; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"{read} items read", end="\r", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    add_stage_argument(parser)
    parser.add_argument("--table", help="audit this table instead, such as a restored copy")
    parser.add_argument(
        "--rounds", type=int, default=3, help="scans that must agree that something is wrong"
    )
    options = parser.parse_args(arguments)
    try:
        target = find_target(options.stage)
    except NoTargetError as problem:
        print(problem, file=sys.stderr)
        return 1
    client: DynamoDBClient = target.session.client("dynamodb", endpoint_url=target.endpoint)
    table = Table(client, options.table or target.outputs["TableName"])
    audit, violations = audit_table(table, rounds=options.rounds, progress=show_progress)
    for violation in violations:
        print(violation)
    seasons = ", ".join(f"{season}: {points}" for season, points in sorted(audit.earned.items()))
    print(
        f"{audit.items} items, {len(audit.players)} players, {len(audit.heists)} heists, "
        f"{len(audit.owing)} still owing; points earned by season: {seasons or 'none'}"
    )
    print(f"{len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
