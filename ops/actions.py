"""List what operators did: who, when, what, why.

Entries are never changed and never deleted.
"""

import argparse
import re
from collections.abc import Mapping

from heist_core.storage import keys
from heist_core.storage.timelines import action_document
from ops.output import Entry, Output, moment
from ops.target import OperatorError, Target

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", default="", help="YYYY-MM; without it, this month")
    parser.add_argument("--subject", default="", help="only these, such as 'player 42'")


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    month = options.month or f"{target.now():%Y-%m}"
    if not _MONTH.fullmatch(month):
        raise OperatorError(f"--month must be YYYY-MM, not {month}")
    found = [
        action_document(entry)
        for entry in target.table.partition(keys.actions(month))
        if options.subject in ("", entry["subject"])
    ]
    out.entries(("when", "what", "subject"), map(action_entry, found))
    out.line(f"{len(found)} actions in {month}")
    out.document({"month": month, "actions": found})
    return 0


def action_entry(entry: Mapping[str, object]) -> Entry:
    """Two lines each."""
    before, after = in_words(entry["before"]) or "nothing", in_words(entry["after"]) or "nothing"
    cells = (moment(entry["at"]), entry["what"], entry["subject"])
    return cells, f"{entry['who']}: {entry['why']} ({before} → {after})"


def in_words(values: object) -> str:
    """`name value, name value` of what an action has before or after."""
    if isinstance(values, Mapping):
        return ", ".join(f"{name} {in_words(value)}" for name, value in values.items())
    return str(values)
