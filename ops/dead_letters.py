"""List the dead letters: whose they are, their cause and age.

Each is shown by the beginning of its id, which `redrive` and `discard` take.
Reading hides a dead letter from other readers for a moment and changes nothing
else.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from heist_core.messaging.dead_letter_queues import DeadLetter, DeadLetterQueues, causes_of
from ops.output import Output
from ops.target import OperatorError, Target

QUEUES = ("EventsDeadLetterQueueUrl", "NotifierDeadLetterQueueUrl")
SHORT_ID = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    with queues_of(target).received() as found:
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


def show(letters: Iterable[DeadLetter], now: datetime, out: Output) -> None:
    """Prints two lines for each."""
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


def show_causes(letters: Iterable[DeadLetter], out: Output) -> None:
    """Prints the number of each kind and cause."""
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


def queues_of(target: Target) -> DeadLetterQueues:
    """Both dead-letter queues of a deployment."""
    return DeadLetterQueues(target.sqs, [target.outputs[name] for name in QUEUES])


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that select dead letters."""
    parser.add_argument(
        "letters", nargs="*", metavar="LETTER", help="ids, or their beginnings; default: all"
    )
    parser.add_argument("--cause", help="only those whose cause contains this text")


def selected(letters: Sequence[DeadLetter], options: argparse.Namespace) -> list[DeadLetter]:
    """The dead letters that the arguments select. Raises OperatorError for an unknown id."""
    for start in options.letters:
        found = [letter for letter in letters if letter.id.startswith(start)]
        if len(found) != 1:
            number = "is no dead letter" if not found else f"are {len(found)} dead letters"
            raise OperatorError(
                f"There {number} whose id begins with {start}: ./heist dead-letters lists them."
            )
    return [
        letter
        for letter in letters
        if (not options.letters or letter.id.startswith(tuple(options.letters)))
        and (options.cause is None or options.cause in letter.cause)
    ]
