"""Check every invariant of points, tokens, ledger and inbox.

Reads only. On a live table the scan is no snapshot, so whatever looks wrong is
read again, consistently, before it is called a violation. A copy (--table) may
hold part of a transaction of its last moment: what is wrong there and right in
the live table is listed apart. The exit code is 1 if there is a violation.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

from heist_core.storage.audit import Findings, audit_table, report_of
from heist_core.storage.invariants import Violation
from heist_core.storage.table import Progress, Table
from ops.command import whole
from ops.output import Output, moment
from ops.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--last", action="store_true", help="show what the last night's audit found"
    )
    parser.add_argument("--table", help="audit this table instead, such as a restored copy")
    parser.add_argument(
        "--rounds", type=whole(1), default=3, help="scans that must agree that something is wrong"
    )


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    if options.last:
        return _show_last(target, out)
    cut: list[Violation] = []
    if options.table:
        copy = Table(target.dynamodb, options.table)
        findings, violations, cut = audit_copy(copy, target.table, progress=out.items_read)
    else:
        findings, violations = audit_table(
            target.table, rounds=options.rounds, progress=out.items_read
        )
    for violation in violations:
        out.line(str(violation))
    tell_cut(cut, out)
    seasons = ", ".join(f"{season}: {points}" for season, points in sorted(findings.earned.items()))
    out.line(
        f"{findings.items} items, {findings.players} players, {findings.heists} heists, "
        f"{findings.owing} still owing; points earned by season: {seasons or 'none'}"
    )
    out.line(f"{len(violations)} violations")
    out.document(
        {
            **report_of(findings, violations, target.now()),
            "inTheCopyAlone": [asdict(violation) for violation in cut],
        }
    )
    return 1 if violations else 0


def _show_last(target: Target, out: Output) -> int:
    found = target.timelines.audit()
    out.document({"audit": found})
    if found is None:
        out.line("There has been no nightly audit yet.")
        return 0
    violations = cast("list[dict[str, str]]", found["violations"])
    for each in violations:
        out.line(str(Violation(**each)))
    out.line(
        f"{moment(found['at'])}: {found['items']} items, {found['players']} players, "
        f"{found['heists']} heists, {found['owing']} still owing"
    )
    out.line(f"{found['violationCount']} violations")
    return 1 if found["violationCount"] else 0


def audit_copy(
    copy: Table, live: Table, *, progress: Progress = lambda _read: None
) -> tuple[Findings, list[Violation], list[Violation]]:
    """Audit a restored or exported copy: what is wrong there, and what in the copy alone.

    A copy may hold a part of a transaction of its last moment, as AWS says of restores and exports.
    What is wrong in the copy is therefore looked for in the table that it was made from: a
    violation does not go away by itself, so what is right there was cut in two by the copying.
    """
    findings, found = audit_table(copy, rounds=1, progress=progress)
    if not found:
        return findings, [], []
    _, lasting = audit_table(live, rounds=3, progress=progress)
    wrong = {(one.subject, one.invariant) for one in lasting}
    violations = [one for one in found if (one.subject, one.invariant) in wrong]
    return findings, violations, [one for one in found if one not in violations]


def tell_cut(cut: Sequence[Violation], out: Output) -> None:
    """What a copy has by half."""
    for one in cut:
        out.line(f"in the copy alone: {one}")
    if cut:
        out.line("These are transactions of the copy's last moment, of which it holds a part.")
