"""`make mails`: the mails that the running stack sent, as a person reads them, with headers."""

import textwrap
import webbrowser
from collections.abc import Iterator

from local.console import ProblemError, show
from local.gate import MAILBOX
from local.mailbox import SentMail
from local.stack import Stack

INDENT = " " * 10
WIDTH = 80


def sent_mails(stack: Stack) -> list[SentMail]:
    """Every mail so far, oldest first."""
    return [SentMail.of(mail) for mail in stack.mail_requests()]


def show_mails(stack: Stack) -> None:
    """Prints every mail as text, oldest first."""
    mails = sent_mails(stack)
    for mail in mails:
        for line in lines_of(mail):
            show(line)
        show()
    show(f"{len(mails)} mail{'' if len(mails) == 1 else 's'}")


def lines_of(mail: SentMail) -> Iterator[str]:
    """A mail in lines of at most 80 characters; a link may be longer, since it is copied whole."""
    time = f"{mail.sent_at.astimezone():%H:%M:%S}  "
    for name, value in mail.headers:
        yield from _wrapped(f"{name}: {value}", time or INDENT, f"{INDENT}    ")
        time = ""
    yield ""
    for line in mail.text.strip().splitlines():
        yield from _wrapped(line, INDENT, INDENT)


def _wrapped(line: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        line,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def open_mails(stack: Stack) -> None:
    """Opens the local mailbox in a browser; raises ProblemError where there is none."""
    address = stack.outputs.Endpoint + MAILBOX
    try:
        opened = webbrowser.get().open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        raise ProblemError(f"There is no browser here. The mails are at {address}.")
    show(address)
