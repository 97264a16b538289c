"""List what operators did: who, when, what, why.

Entries are never changed and never deleted.
"""

import argparse
import re

from heist_core.storage import keys
from ops.output import Output
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
        entry
        for entry in target.table.partition(keys.actions(month))
        if options.subject in ("", entry["subject"])
    ]
    out.table(
        ("when", "who", "what", "subject", "why", "before", "after"),
        (
            (
                *(entry[name] for name in ("at", "who", "what", "subject", "why")),
                in_words(entry["before"]),
                in_words(entry["after"]),
            )
            for entry in found
        ),
    )
    out.line(f"{len(found)} actions in {month}")
    out.document({"month": month, "actions": found})
    return 0


def in_words(values: object) -> str:
    """`name value, name value` of a map; `-` for an empty one."""
    if not isinstance(values, dict) or not values:
        return "-"
    return ", ".join(f"{name} {value}" for name, value in values.items())
