"""See, steer, stop, undo: the operator's commands, on the running local stack or on --stage."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError

from heist_core.domain.errors import Malformed, Misconfigured, Unavailable
from ops import (
    actions,
    adopt,
    audit,
    block,
    config,
    dead_letters,
    discard,
    drill,
    erase,
    export,
    grant,
    heist,
    heists,
    player,
    population,
    preflight,
    rebuild_stats,
    redrive,
    report,
    reverse,
    rotate_key,
    smoke,
    unblock,
    unsuppress,
)
from ops.command import Command
from ops.importer import command as importer
from ops.output import Output, plain
from ops.simulator import command as simulator
from ops.target import OperatorError, Target, find_if_named, find_stage, find_target

COMMANDS: dict[str, Command] = {
    "actions": actions,
    "adopt": adopt,
    "audit": audit,
    "block": block,
    "config": config,
    "dead-letters": dead_letters,
    "discard": discard,
    "drill": drill,
    "erase": erase,
    "export": export,
    "grant": grant,
    "heist": heist,
    "heists": heists,
    "import": importer,
    "player": player,
    "population": population,
    "preflight": preflight,
    "rebuild-stats": rebuild_stats,
    "redrive": redrive,
    "report": report,
    "reverse": reverse,
    "rotate-key": rotate_key,
    "simulate": simulator,
    "smoke": smoke,
    "unblock": unblock,
    "unsuppress": unsuppress,
}

FINDERS: dict[Command, Callable[[str], Target]] = {
    adopt: find_stage,
    preflight: find_stage,
    simulator: find_if_named,
}
"""Of those that do not need a stack."""

_PROJECT = f"{Path(__file__).parent.parent}{os.sep}"


def parser() -> argparse.ArgumentParser:
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument(
        "--stage",
        default="",
        help="a deployed stage such as dev or prod; without it, the local stack of `make run`",
    )
    every.add_argument("--json", action="store_true", help="one JSON document on stdout")
    tool = argparse.ArgumentParser(
        prog="heist",
        description=__doc__,
        epilog="What changes anything only says what it would do, unless told --apply or --ask.",
        allow_abbrev=False,
    )
    commands = tool.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        text = command.__doc__ or ""
        one = commands.add_parser(
            name,
            parents=[every],
            help=text.partition("\n")[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(one)
    return tool


def main(arguments: list[str] | None = None) -> int:
    """The command's exit code: 1 and a sentence on stderr when something is in the way, 2 for
    usage.

    Whatever the world outside does (no terminal, AWS gone, output closed or full) ends here.
    """
    _steady_streams()
    options = parser().parse_args(arguments)
    out = Output(as_json=options.json)
    try:
        command = COMMANDS[options.command]
        find = FINDERS.get(command, find_target)
        code = command.run(find(options.stage), options, out)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - shown to a person, as a sentence
        if isinstance(error, OSError):
            _drop_output()
        with suppress(OSError):
            out.end_progress()
            print(plain(sentence_of(error)), file=sys.stderr, flush=True)
        return 1
    return code


def sentence_of(error: Exception) -> str:
    """What went wrong, and what to do about it, for the person at the keyboard."""
    match error:
        case OperatorError():
            return str(error)
        case BrokenPipeError():
            return "Nobody reads the output any more."
        case Misconfigured():
            return (
                f"AWS refuses: {error.__cause__}. Are account and region those of the stage "
                "(`aws sts get-caller-identity`), and may your role do this?"
            )
        case Unavailable():
            cause = error.__cause__ or "others kept changing the same items"
            return f"The table did not answer: {cause}. The same command again is safe."
        case HTTPClientError() | BotocoreConnectionError():
            return f"AWS did not answer: {error}. The same command again is safe."
        case BotoCoreError() | ClientError():
            return f"AWS says: {error}"
        case Malformed():
            return f"An item of the table cannot be read: {error}. ./heist audit names such items."
        case OSError():
            return f"This machine says: {error}"
    ours = [step for step in traceback.extract_tb(error.__traceback__) if _PROJECT in step.filename]
    where = f", {ours[-1].filename.removeprefix(_PROJECT)}:{ours[-1].lineno}" if ours else ""
    return f"A defect of this program: {type(error).__name__}: {error}{where}"


def _steady_streams() -> None:
    """Let all streams be there even if they were closed, and replace what they cannot show."""
    sys.stdin = sys.stdin or Path(os.devnull).open("r")  # noqa: SIM115 - as long as we live
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def _drop_output() -> None:
    """What is still buffered cannot be written, and must not be tried again on the way out."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(number: int, _frame: object) -> None:
    """Asked to end: what was taken is given back on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for asked in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(asked) is not signal.SIG_IGN:  # nohup
            signal.signal(asked, _end)
    sys.exit(main())
