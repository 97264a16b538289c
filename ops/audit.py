"""Check every invariant of points, tokens, ledger and inbox.

Reads only. On a live table the scan is no snapshot, so whatever looks wrong is
read again, consistently, before it is called a violation. The exit code is 1 if
there is one.
"""

import argparse
from dataclasses import asdict

from heist_core.storage.audit import audit_table
from heist_core.storage.table import Table
from ops.output import Output
from ops.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", help="audit this table instead, such as a restored copy")
    parser.add_argument(
        "--rounds", type=int, default=3, help="scans that must agree that something is wrong"
    )


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    table = Table(target.dynamodb, options.table) if options.table else target.table
    audit, violations = audit_table(table, rounds=options.rounds, progress=out.items_read)
    for violation in violations:
        out.line(str(violation))
    seasons = ", ".join(f"{season}: {points}" for season, points in sorted(audit.earned.items()))
    out.line(
        f"{audit.items} items, {len(audit.players)} players, {len(audit.heists)} heists, "
        f"{len(audit.owing)} still owing; points earned by season: {seasons or 'none'}"
    )
    out.line(f"{len(violations)} violations")
    out.document(
        {
            "items": audit.items,
            "players": len(audit.players),
            "heists": len(audit.heists),
            "owing": len(audit.owing),
            "pointsEarned": dict(sorted(audit.earned.items())),
            "violations": [asdict(violation) for violation in violations],
        }
    )
    return 1 if violations else 0
