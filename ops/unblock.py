"""Let a blocked player take part in heists again."""

import argparse

from ops.block import set_blocked
from ops.command import add_change_arguments
from ops.output import Output
from ops.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("player", help="id, login or e-mail address")
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    return set_blocked(target, options, out, blocked=False)
