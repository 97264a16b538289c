"""What a command is: a module with these two functions, whose docstring is its help."""

import argparse
from typing import Protocol

from heist_core.domain.player import canonical_player_id
from ops.output import Output
from ops.target import OperatorError, Target

REASON_LIMIT = 200


class Command(Protocol):
    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, target: Target, options: argparse.Namespace, out: Output, /) -> int:
        """The exit code. Raises OperatorError for what the operator can do something about."""
        ...


def add_change_arguments(parser: argparse.ArgumentParser, *, reason: bool = True) -> None:
    """The arguments of every command that changes something."""
    parser.add_argument("--apply", action="store_true", help="do it; without this, only say what")
    parser.add_argument("--ask", action="store_true", help="say what, then ask whether to do it")
    if reason:
        parser.add_argument("--reason", default="", help="why, for the log of operator actions")


def reason_of(options: argparse.Namespace) -> str:
    """The reason given, or typed now if this command asks. Raises OperatorError without one."""
    reason = str(options.reason).strip()
    if not reason and options.ask:
        reason = input("Reason: ").strip()
    if not 1 <= len(reason) <= REASON_LIMIT or not reason.isprintable():
        raise OperatorError(f"Say why, in 1 to {REASON_LIMIT} printable characters: --reason")
    return reason


def player_id_of(options: argparse.Namespace) -> str:
    """The id of the player that a command is about. Raises OperatorError for what is no id."""
    try:
        return canonical_player_id(options.player)
    except ValueError as problem:
        raise OperatorError(f"The player's id {problem}.") from None


def agreed(options: argparse.Namespace, out: Output) -> bool:
    """Whether to go on and change something, after what would change was shown."""
    if options.ask and not options.apply:
        try:
            return input("Do it? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            raise OperatorError("Nobody to ask: say --apply (with make: YES=1)") from None
    if not options.apply:
        out.line("Nothing was changed: add --apply (with make: YES=1) to do it.")
    return bool(options.apply)
