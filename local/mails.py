"""`make mails`: the mails that the running stack sent, as a person reads them, with headers."""

import html
import shutil
import textwrap
import webbrowser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.console import ProblemError, show
from local.stack import Stack
from local.tools import ROOT

FOLDER = ROOT / ".local" / "mails"
INDENT = " " * 10
WIDTH = 80


@dataclass(frozen=True)
class SentMail:
    """A request to SES, and when it was taken."""

    sent_at: datetime
    request: Mapping[str, Any]

    @property
    def headers(self) -> Iterator[tuple[str, str]]:
        """In the order of a mail, with what only SES sees last."""
        simple = self.request["Content"]["Simple"]
        yield "From", self.request["FromEmailAddress"]
        yield "To", ", ".join(self.request["Destination"]["ToAddresses"])
        yield "Subject", simple["Subject"]["Data"]
        for header in simple.get("Headers", ()):
            yield header["Name"], header["Value"]
        for tag in self.request.get("EmailTags", ()):
            yield "Tag", f"{tag['Name']}={tag['Value']}"
        if "ConfigurationSetName" in self.request:
            yield "Configuration set", self.request["ConfigurationSetName"]

    @property
    def text(self) -> str:
        return str(self.request["Content"]["Simple"]["Body"]["Text"]["Data"])

    @property
    def html(self) -> str:
        return str(self.request["Content"]["Simple"]["Body"]["Html"]["Data"])


def sent_mails(stack: Stack) -> list[SentMail]:
    """Every mail so far, oldest first."""
    return [
        SentMail(datetime.fromtimestamp(mail["sentAt"], UTC), mail["request"])
        for mail in stack.mail_requests()
    ]


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


def open_mails(stack: Stack, folder: Path = FOLDER) -> None:
    """Opens the HTML of every mail in a browser; raises ProblemError where there is none."""
    mails = sent_mails(stack)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    frames = []
    for number, mail in enumerate(mails, 1):
        (folder / f"{number}.html").write_text(mail.html, "utf-8")
        rows = "".join(
            f"<dt>{html.escape(name)}<dd>{html.escape(value)}" for name, value in mail.headers
        )
        frames.append(f'<dl>{rows}</dl><iframe sandbox src="{number}.html"></iframe>')
    page = folder / "index.html"
    page.write_text(_PAGE + "\n".join(frames or ["<p>No mails yet.</p>"]), "utf-8")
    try:
        opened = webbrowser.get().open(page.as_uri())
    except webbrowser.Error:
        opened = False
    if not opened:
        raise ProblemError(f"There is no browser here. The mails are in {page}.")
    show(f"{len(mails)} mail{'' if len(mails) == 1 else 's'} in {page}")


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mails</title>
<style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { max-width: 640px; margin: 24px auto; padding: 0 12px; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 24px 0 8px; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
iframe { width: 100%; height: 480px; border: 1px solid; resize: both; }
</style>
"""
