"""What the commands print: steps with their times on stderr, one sentence per problem."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STEERING = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
"""Control characters, and those that turn the direction of a line or end it."""


class ProblemError(Exception):
    """Something the person at the keyboard can do something about: one sentence that says what."""


class Step:
    """A step under way; `note` is what its line says once it is done."""

    def __init__(self) -> None:
        self.note = ""


@contextmanager
def step(name: str) -> Iterator[Step]:
    """Prints `✔ name seconds note` to stderr when the block ends, or `✘ name` if it fails."""
    started = time.monotonic()
    current = Step()
    if sys.stderr.isatty():
        print(f"… {name}", end="\r", file=sys.stderr, flush=True)
    try:
        yield current
    except Exception:
        say(f"✘ {name:<9} {time.monotonic() - started:4.1f} s")
        raise
    say(f"✔ {name:<9} {time.monotonic() - started:4.1f} s  {current.note}")


def say(line: str) -> None:
    """Prints a line to stderr at once, if there still is a terminal."""
    with suppress(OSError):
        print(_plain(line), file=sys.stderr, flush=True)


def show(line: str = "") -> None:
    """Prints a line to stdout at once."""
    print(_plain(line), flush=True)


def _plain(text: str) -> str:
    """Text that cannot steer a terminal: logs and mails hold what anybody wrote."""
    return re.sub(_STEERING, "�", text)


def plain_streams() -> None:
    """Makes both streams replace what they cannot show (a C locale) instead of failing over it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by the parent process
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
