"""Which of the dead letters a command is about."""

import argparse
from collections.abc import Sequence

from heist_core.messaging.letters import Letter, Letters
from ops.target import OperatorError, Target

QUEUES = ("EventsDeadLetterQueueUrl", "NotifierDeadLetterQueueUrl")
SHORT_ID = 8


def letters_of(target: Target) -> Letters:
    """Those of both queues."""
    return Letters(target.sqs, [target.outputs[name] for name in QUEUES])


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The arguments of a command that is about some of the letters."""
    parser.add_argument(
        "letters", nargs="*", metavar="LETTER", help="its id, or how that begins; without, all"
    )
    parser.add_argument("--cause", help="only letters whose cause holds this text")


def selected(letters: Sequence[Letter], options: argparse.Namespace) -> list[Letter]:
    """Those that the arguments name. Raises OperatorError for an id that no letter has."""
    for start in options.letters:
        found = [letter for letter in letters if letter.id.startswith(start)]
        if len(found) != 1:
            number = "no letter begins" if not found else f"{len(found)} letters begin"
            raise OperatorError(f"There {number} with {start}: ./heist dead-letters lists them.")
    return [
        letter
        for letter in letters
        if (not options.letters or letter.id.startswith(tuple(options.letters)))
        and (options.cause is None or options.cause in letter.cause)
    ]
