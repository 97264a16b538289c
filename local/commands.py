"""The commands behind the Makefile's local targets."""

import argparse
import json
import os

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from local.console import ProblemError, plain_streams, say, show
from local.demo import demo
from local.deployment import forget_settings_of_aws
from local.environment import show_environment
from local.logs import Follower, follow
from local.mails import open_mails, show_mails
from local.run import run
from local.stack import Stack

OUTSIDE = (BotoCoreError, ClientError, urllib3.exceptions.HTTPError, json.JSONDecodeError)
"""How it shows that the embedded AWS ended in the middle, or answered what AWS would not."""


def main() -> int:
    """Runs one command; 1, and one sentence on stderr, if something is in the way."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start the embedded AWS, deploy, put players in, stay up")
    commands.add_parser("demo", help="play one heist from the referral to the e-mails")
    mails = commands.add_parser("mails", help="print the mails that were sent")
    mails.add_argument("--open", action="store_true", help="in a browser, as HTML")
    logs = commands.add_parser("logs", help="print what the functions logged")
    logs.add_argument("--follow", action="store_true", help="and go on until Ctrl-C")
    commands.add_parser("env", help="print exports with which AWS's tools reach the embedded AWS")
    arguments = parser.parse_args()
    plain_streams()
    forgotten = forget_settings_of_aws(os.environ)
    try:
        if arguments.command == "run":
            run(os.environ)
        elif arguments.command == "demo":
            demo()
        elif arguments.command == "mails":
            (open_mails if arguments.open else show_mails)(Stack.running())
        elif arguments.command == "logs":
            show_logs(Stack.running(), on_and_on=arguments.follow)
        else:
            show_environment(Stack.running(), forgotten)
    except ProblemError as problem:
        say(f"✘ {problem}")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        forget_stdout()
    except OSError as error:
        forget_stdout()
        say(f"✘ {error}")
        return 1
    except OUTSIDE as error:
        say(f"✘ The embedded AWS did not do its part: {error}")
        return 1
    return 0


def forget_stdout() -> None:
    """Lets go of an output that takes no more, so that Python does not try again as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def show_logs(stack: Stack, *, on_and_on: bool) -> None:
    """Prints one line per invocation so far; with `on_and_on`, each new one too."""
    for line in follow(stack) if on_and_on else Follower(stack).new_lines():
        show(line)
