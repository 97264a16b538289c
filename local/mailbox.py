"""The mails that the local stack sent, as pages for a browser: `GET /_heist/mailbox`.

Mails are text of others, so each is shown in a frame of its own that may run nothing; its links
open in a new tab. Standard library only: the gate serves this, in the embedded AWS's environment.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FRAME_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


@dataclass(frozen=True)
class SentMail:
    """A request to SES, and when it was taken."""

    sent_at: datetime
    request: Mapping[str, Any]

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "SentMail":
        """From what the runner keeps of each request."""
        return cls(datetime.fromtimestamp(kept["sentAt"], UTC), kept["request"])

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


def page(mails: Sequence[SentMail]) -> str:
    """Every mail with its headers, newest first; its HTML is asked for by its number from 0."""
    shown = [
        f'<article aria-label="Mail {number + 1}"><time>{mail.sent_at:%Y-%m-%d %H:%M:%S} UTC</time>'
        f"<dl>{''.join(map(_row, mail.headers))}</dl>"
        '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" '
        f'title="Mail {number + 1}" src="mailbox/{number}"></iframe></article>'
        for number, mail in reversed([*enumerate(mails)])
    ]
    count = f"{len(mails)} mail{'' if len(mails) == 1 else 's'}"
    return f'{_HEAD}<h1>{count}</h1><a href="">Look again</a>\n' + "\n".join(shown)


def frame(mail: SentMail) -> str:
    """The HTML of a mail, whose links open elsewhere than in its frame."""
    return re.sub("<head>|$", r'\g<0><base target="_blank">', mail.html, count=1)


def _row(header: tuple[str, str]) -> str:
    name, value = (html.escape(each) for each in header)
    linked = re.sub(
        r"https?://[^\s<>&,]+", r'<a href="\g<0>" target="_blank" rel="noreferrer">\g<0></a>', value
    )
    return f"<dt>{name}</dt><dd>{linked}</dd>"


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mails</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { max-width: 45rem; margin: 1.5rem auto; padding: 0 0.8rem; overflow-wrap: anywhere; }
article { margin: 1.5rem 0; border-top: 1px solid; padding-top: 0.8rem; }
dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0.1rem 0.8rem; }
dt { font-weight: 600; }
dd { margin: 0; }
iframe { width: 100%; height: 30rem; border: 1px solid; resize: both; }
</style></head><body>
"""
