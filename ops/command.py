"""What a command is: a module with these two functions, whose docstring is its help."""

import argparse
import re
import sys
from collections.abc import Callable
from typing import Protocol

from heist_core.domain.action import reason_from
from ops.output import Output
from ops.target import OperatorError, Target


class Command(Protocol):
    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, target: Target, options: argparse.Namespace, out: Output, /) -> int:
        """The exit code. Raises OperatorError for what the operator can do something about."""
        ...


def whole(least: int) -> Callable[[str], int]:
    """How an argument's text is read as a whole number, from `least` to nine digits."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, {least} or more: {text!a}")
        return int(text)

    return read


def add_change_arguments(parser: argparse.ArgumentParser, *, reason: bool = True) -> None:
    """The arguments of every command that changes something: without them it only says what."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--apply", action="store_true", help="do it; without this, only say what")
    how.add_argument("--ask", action="store_true", help="say what, then ask whether to do it")
    if reason:
        parser.add_argument(
            "--reason", default="", help="why, for the log of operator actions; needed to do it"
        )


def reason_of(options: argparse.Namespace) -> str:
    """The reason given, or typed now if this command asks; may be empty if nothing is to be done.

    Raises OperatorError.
    """
    reason = str(options.reason).strip()
    if not reason and options.ask:
        reason = _answer("Reason: ")
    if not reason and not options.apply and not options.ask:
        return ""
    try:
        return reason_from(reason)
    except ValueError as problem:
        raise OperatorError(f"--reason '…' {problem}") from None


def agreed(options: argparse.Namespace, out: Output) -> bool:
    """Whether to go on and change something, after what would change was shown."""
    if options.ask:
        return _answer("Do it? [y/N] ").lower() in ("y", "yes")
    if not options.apply:
        out.line("Nothing was changed: --apply does it, --ask asks first.")
    return bool(options.apply)


def _answer(question: str) -> str:
    """What is typed in answer; the question goes to stderr, which is no part of a document."""
    print(question, end="", file=sys.stderr, flush=True)
    try:
        return input().strip()
    except EOFError:
        raise OperatorError("There is nobody to ask: say --apply instead of --ask.") from None
