"""Import the old system's players, tokens, points and heists.

FOLDER holds one file per table of its PostgreSQL database: User, HeistToken,
Heist and UserPointEvent (only User must be there), as CSV from `COPY ... TO ...
CSV HEADER` or as JSON lines (.jsonl). Every row is checked; those that cannot
be taken are listed with line, field and reason in FOLDER/rejects.csv. The
import can be repeated after any interruption and goes on where it was; at the
end it reads everything back and compares. A table takes one export. The exit
code is 1 while rows are rejected, unless they are skipped, or anything differs.
"""

import argparse
import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TextIO

from heist_core.domain.action import Action
from heist_core.domain.times import from_iso, to_iso
from heist_core.storage import keys
from heist_core.storage.importing.loading import CALLS_AT_ONCE, Loader, Verified
from heist_core.storage.importing.mapping import Sums
from heist_core.storage.importing.pace import Pace
from heist_core.storage.operator import record_action
from heist_core.storage.wire import Item
from heist_core.storage.writes import Step, put_new, update
from ops.command import add_change_arguments, agreed, reason_of
from ops.output import Output
from ops.target import OperatorError, Target

from .checked import CheckedExport
from .files import REJECTS, Export, ExportError, find_export
from .in_parts import InParts
from .rows import RowError

_SEASON = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--season",
        help="YYYY-MM, the month that monthlyPoints belong to; without it, that of the newest "
        "time in the export",
    )
    parser.add_argument(
        "--skip-rejected",
        action="store_true",
        help="go on without the rejected rows, which stay out",
    )
    parser.add_argument(
        "--in-parts",
        action="store_true",
        help="let Step Functions write and compare, for more than a million players; the stack "
        "must be deployed with ImportInParts=on",
    )
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    if options.season is not None and not _SEASON.fullmatch(options.season):
        raise OperatorError(f"--season must be YYYY-MM, not {options.season}")
    try:
        export = find_export(options.folder)
    except ExportError as problem:
        raise OperatorError(str(problem)) from problem
    in_parts = InParts(target) if options.in_parts else None
    record = RunRecord(target)
    began = record.read()
    now = from_iso(str(began["startedAt"])) if began else target.now()
    with closing(CheckedExport()) as checked, closing(Rejects(options.folder / REJECTS)) as rejects:
        try:
            checked.load(export, options.season, now, rejects, _percent(out, "read", export.size))
        except ExportError as problem:
            raise OperatorError(f"{problem} {rejects.where}".rstrip()) from problem
        expected = checked.sums()
        name = f"{export.fingerprint()} of {checked.season}"
        report = _report(name, checked, expected)
        _tell(out, export, checked, rejects, expected)
        if began and began["export"] != name:
            raise OperatorError(
                f"This table was filled from another export ({began['export']}, "
                f"{began['startedAt']}), "
                f"and this one is {name}. A table takes one export, so that nothing counts twice."
            )
        if rejects.counts and not options.skip_rejected:
            out.line(
                f"{rejects.where} Put them right in the old system and export again, or go on "
                "without them: --skip-rejected"
            )
            out.document(report)
            return 1
        if not agreed(options, out):
            out.document(report)
            return 0
        if not began:
            record.begin(name, reason_of(options), expected, rejects.counts.total())
        verified = in_parts.load(checked, name, out) if in_parts else _load(target, checked, out)
    code = _settle(out, record, report, expected, verified)
    if in_parts:
        in_parts.forget()
    return code


def _load(target: Target, checked: CheckedExport, out: Output) -> Verified:
    verified = Verified()
    pool = ThreadPoolExecutor(CALLS_AT_ONCE)
    with closing(Loader(target.table, Pace(), pool)) as loader:
        for kind, total, units in checked.kinds():
            loader.load(units, out.counted(f"{kind} written", total))
        for kind, total, units in checked.kinds():
            verified.add(loader.verify(units, out.counted(f"{kind} compared", total)))
    return verified


def _percent(out: Output, done: str, total: int) -> Callable[[int], None]:
    return lambda position: out.progress(f"{100 * position // max(total, 1)} % {done}")


def _settle(
    out: Output, record: "RunRecord", report: dict[str, object], expected: Sums, verified: Verified
) -> int:
    held = verified.sums.lines()
    names = dict.fromkeys([*expected.lines(), *held])
    rows = [(name, expected.lines().get(name, 0), held.get(name, 0)) for name in names]
    out.line("The export and the table, read back:")
    out.table(
        ("", "export", "table", ""),
        [(*row, "" if row[1] == row[2] else "DIFFERENT") for row in rows],
    )
    same = not verified.different and expected == verified.sums
    if same:
        record.finish(held)
        out.line(
            "Everything is there, and the sums are the same. ./heist audit checks the whole table."
        )
    else:
        out.line(
            f"{verified.different} are missing or different: {', '.join(verified.differences)}"
        )
    out.document({**report, "applied": True, "table": held, "different": verified.different})
    return 0 if same else 1


def _report(name: str, checked: CheckedExport, sums: Sums) -> dict[str, object]:
    return {
        "export": name,
        "season": checked.season,
        "files": {
            table: {
                "file": file.name,
                "form": file.form,
                "rows": file.rows,
                "taken": file.taken,
                "rejected": file.rejected,
                "leftOut": dict(file.left_out),
            }
            for table, file in checked.files.items()
        },
        "notes": checked.notes,
        "sums": sums.lines(),
        "applied": False,
    }


def _tell(
    out: Output, export: Export, checked: CheckedExport, rejects: "Rejects", sums: Sums
) -> None:
    out.table(
        ("file", "rows", "taken", "rejected", "left out"),
        [
            (file.name, file.rows, file.taken, file.rejected, file.left_out.total())
            for file in checked.files.values()
        ],
    )
    if rejects.counts:
        out.table(
            ("file", "field", "what is allowed", "rows rejected"),
            [(*which, number) for which, number in sorted(rejects.counts.items())],
        )
    for file in checked.files.values():
        out.line(f"{file.name}: taken for {file.form}")
        if file.nulls:
            out.line(rf"{file.name}: {file.nulls} values \N are taken as nothing")
        for reason, number in file.left_out.items():
            out.line(f"{file.name}: {number} left out, {reason}")
        if file.ignored_columns:
            out.line(f"{file.name}: columns not needed: {', '.join(file.ignored_columns)}")
    if export.ignored:
        out.line(f"Files not needed: {', '.join(export.ignored)}")
    for note in checked.notes:
        out.line(note)
    out.line(f"monthlyPoints are points of {checked.season}.")
    out.table(("what is taken", "sum"), list(sums.lines().items()))


class Rejects:
    """The list of rejected rows, and how many there are of each kind. Holds nobody's data."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._file: TextIO | None = None
        path.unlink(missing_ok=True)

    def __call__(self, file: str, line: int, error: RowError) -> None:
        if self._file is None:
            self._file = self._path.open("w", newline="", encoding="utf-8")
            self._writer = csv.writer(self._file)
            self._writer.writerow(("file", "line", "field", "reason"))
        self._writer.writerow((file, line, error.field, error.reason))
        self.counts[file, error.field, error.reason] += 1

    @property
    def where(self) -> str:
        """A sentence on the list, if there is one."""
        return f"Rejected rows are listed in {self._path}." if self.counts else ""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class RunRecord:
    """Which export a table was filled from, so that it takes no other; with the operator's log."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def read(self) -> Item | None:
        return self._target.table.get(keys.IMPORT)

    def begin(self, name: str, why: str, sums: Sums, rejected: int) -> None:
        """Raises Contention when another import began meanwhile."""
        action = self._action("import", name, why, {**sums.lines(), "rows skipped": rejected})
        item = {**keys.IMPORT, "export": name, "startedAt": to_iso(action.at), "why": why}
        self._target.table.transact([Step("run", {"Put": put_new(item)}), record_action(action)])

    def finish(self, held: Mapping[str, int]) -> None:
        """Note, once, that everything is there."""
        run = self.read()
        if run is None or "finishedAt" in run:
            return
        action = self._action("import finished", str(run["export"]), str(run["why"]), held)
        change = update(
            keys.IMPORT,
            "SET finishedAt = :at",
            {":at": to_iso(action.at)},
            condition="attribute_not_exists(finishedAt)",
        )
        self._target.table.transact([Step("run", {"Update": change}), record_action(action)])

    def _action(self, what: str, name: str, why: str, after: Mapping[str, int]) -> Action:
        return self._target.action(what, f"export {name}", why, before={}, after=after)
