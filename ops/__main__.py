"""See, steer, stop, undo: the operator's commands, on the running local stack or on --stage."""

import argparse
import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from heist_core.domain.errors import Unavailable
from ops import (
    actions,
    audit,
    block,
    config,
    drill,
    erase,
    export,
    player,
    rebuild_stats,
    redrive,
    report,
    reverse,
    smoke,
    unblock,
)
from ops.command import Command
from ops.moving_in import command as moving_in
from ops.output import Output
from ops.target import OperatorError, find_target

COMMANDS: dict[str, Command] = {
    "actions": actions,
    "audit": audit,
    "block": block,
    "config": config,
    "drill": drill,
    "erase": erase,
    "export": export,
    "import": moving_in,
    "player": player,
    "rebuild-stats": rebuild_stats,
    "redrive": redrive,
    "report": report,
    "reverse": reverse,
    "smoke": smoke,
    "unblock": unblock,
}


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
    """The command's exit code; 1 and a sentence on stderr when something is in the way; 2 for usage."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    options = parser().parse_args(arguments)
    try:
        target = find_target(options.stage)
        return COMMANDS[options.command].run(target, options, Output(as_json=options.json))
    except OperatorError as problem:
        print(problem, file=sys.stderr)
    except Unavailable as problem:
        cause = problem.__cause__ or type(problem).__name__
        print(f"The table did not answer, or others kept changing it: {cause}", file=sys.stderr)
        print("The same command again is safe.", file=sys.stderr)
    except (BotoCoreError, ClientError) as problem:
        print(f"AWS says: {problem}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


if __name__ == "__main__":
    sys.exit(main())
