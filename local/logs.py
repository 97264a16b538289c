"""The functions' logs as a person reads them: one line per invocation."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.console import ProblemError
from local.deployment import STACK
from local.stack import Stack

PREFIX = f"/aws/lambda/{STACK}-"
PLATFORM_LINES = ("START ", "END ", "REPORT ", "INIT_START ")


class Follower:
    """Reads what the functions logged since the last look."""

    def __init__(self, stack: Stack, since: float = 0) -> None:
        """`since` is in seconds of the epoch; 0 is everything."""
        self._stack = stack
        self._names = {player: name for name, player in stack.outputs.Players.items()}
        self._since = int(since * 1000)
        self._seen: set[tuple[str, int, str]] = set()

    def new_lines(self) -> Iterator[str]:
        """What is new, oldest first; what could not be read this time is a line, too.

        Raises ProblemError when the stack has ended.
        """
        found: list[tuple[int, str, str]] = []
        try:
            groups = self._stack.logs.describe_log_groups(logGroupNamePrefix=PREFIX)["logGroups"]
        except (BotoCoreError, ClientError) as error:
            yield self._missed("the logs", error)
            return
        for group in groups:
            function = group["logGroupName"].removeprefix(PREFIX).replace("-", "_")
            try:
                found += self._new_events(group["logGroupName"], function)
            except (BotoCoreError, ClientError) as error:
                yield self._missed(f"the log of {function}", error)
        for timestamp, function, message in sorted(found, key=lambda each: each[0]):
            if line := readable(message.rstrip(), function, self._names):
                yield f"{datetime.fromtimestamp(timestamp / 1000):%H:%M:%S} {line}"  # noqa: DTZ006
        if found:
            self._since = max(self._since, max(found)[0] - 2000)

    def _new_events(self, group: str, function: str) -> list[tuple[int, str, str]]:
        pages = self._stack.logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=self._since
        )
        found = []
        for event in (event for page in pages for event in page["events"]):
            # Not by eventId: the emulator leaves it out of some.
            known = (event.get("logStreamName", ""), event["timestamp"], event["message"])
            if known not in self._seen:
                self._seen.add(known)
                found.append((event["timestamp"], function, event["message"]))
        return found

    def _missed(self, what: str, error: BotoCoreError | ClientError) -> str:
        """A line about a look that failed; raises ProblemError if there is nothing to look at."""
        if self._stack.is_gone():
            raise ProblemError("The embedded AWS has ended.") from error
        return f"! Could not read {what} this time: {error}"


def follow(stack: Stack) -> Iterator[str]:
    """Every line so far, then each new one, until the stack ends: then raises ProblemError."""
    follower = Follower(stack)
    while True:
        yield from follower.new_lines()
        time.sleep(1)


def readable(message: str, function: str, names: dict[str, str]) -> str | None:
    """One log message as a short line; None for what Lambda writes, for metrics, and for the lines
    of single records, which their batch sums up.

    `names` maps player ids to what they are called here.
    """
    try:
        fields = json.loads(message)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return (
            None
            if message.startswith(PLATFORM_LINES) or not message
            else f"{function:<23} {message}"
        )
    if fields.get("message") == "record" or "_aws" in fields:
        return None
    if fields.get("message") == "leaderboard" and "closed" not in fields:
        return None  # every minute
    parts = [f"{fields.get('function', function):<23}", f"{outcome(fields):<7}"]
    if "ms" in fields:
        parts.append(f"{fields['ms']:>5} ms")
    parts.append(summary(fields, names))
    return " ".join(parts).rstrip()


def outcome(fields: dict[str, Any]) -> str:
    """How an invocation ended, in a word."""
    if fields.get("level") in ("ERROR", "CRITICAL"):
        return "ERROR"
    return str(fields.get("status", "ok"))


def summary(fields: dict[str, Any], names: dict[str, str]) -> str:
    """What happened, from the fields that the functions log."""

    def name(field: str) -> str:
        player = str(fields[field])
        return names.get(player, player)

    parts = []
    if "caller" in fields:
        parts.append(name("caller") + (f"→{name('target')}" if "target" in fields else ""))
    if "player" in fields:
        parts.append(name("player"))
    if fields.get("points"):
        parts.append(f"+{fields['points']}")
    if fields.get("tokens"):
        parts.append(f"+{fields['tokens']} token")
    parts += [
        str(fields[field])
        for field in ("code", "cause", "exception_name", "violation")
        if field in fields
    ]
    counts = ("inbox", "mails", "published", "settled", "waiting", "parked", "failed")
    counted = [f"{fields[field]} {field}" for field in counts if fields.get(field)]
    if counted:
        parts.append(", ".join(counted))
    if fields.get("message") not in ("request", "event", "batch", "sweep", "audit", "resource"):
        parts.append(str(fields.get("message", "")))
    if "exception" in fields:
        parts.append(str(fields["exception"]).strip().splitlines()[-1])
    return " ".join(parts)
