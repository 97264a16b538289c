"""List the dead letters: whose they are, why, and for how long.

Each is shown by the beginning of its id, which `redrive` and `discard` take.
Reading hides a letter from others for a moment, and changes nothing else.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from heist_core.messaging.letters import Letter, causes_of
from ops.letters import SHORT_ID, add_selection, letters_of, selected
from ops.output import Output
from ops.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    with letters_of(target).taken() as found:
        chosen = selected(found, options)
    show(chosen, target.now(), out)
    out.line()
    show_causes(chosen, out)
    out.document(
        {
            "waiting": len(chosen),
            "causes": causes_of(chosen, target.now()),
            "letters": [letter.document(target.now()) for letter in chosen],
        }
    )
    return 0


def show(letters: Iterable[Letter], now: datetime, out: Output) -> None:
    """Two lines a letter."""
    out.entries(
        ("letter", "age", "kind", "player"),
        (
            (
                (letter.id[:SHORT_ID], age(letter.sent_at, now), letter.kind, letter.player or "-"),
                f"{letter.source} {letter.reference}: {letter.cause}",
            )
            for letter in letters
        ),
    )


def show_causes(letters: Iterable[Letter], out: Output) -> None:
    """How many of each kind and cause."""
    found = Counter((letter.kind, letter.cause) for letter in letters)
    out.table(
        ("letters", "kind", "cause"),
        [(number, kind, cause) for (kind, cause), number in sorted(found.items())],
        empty="The dead-letter queues are empty.",
    )


def age(since: datetime, now: datetime) -> str:
    """`40 s`, `5 min`, `3 h`, `9 d`."""
    seconds = max(0, int((now - since).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
