"""`make mails`: what it prints, and what it opens."""

import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from local.console import ProblemError
from local.mails import SentMail, lines_of, open_mails
from local.stack import Stack

HOSTILE = '</iframe><script>alert(1)</script>"'


def request(**changes: object) -> dict[str, Any]:
    return {
        "FromEmailAddress": "heists@example.com",
        "Destination": {"ToAddresses": ["alice@example.com"]},
        "Content": {
            "Simple": {
                "Subject": {"Data": HOSTILE},
                "Body": {
                    "Text": {"Data": "Hi “Alice”,\n\n" + "word " * 30 + "\n"},
                    "Html": {"Data": "<!doctype html><p>Hi"},
                },
                "Headers": [
                    {
                        "Name": "List-Unsubscribe",
                        "Value": f"<https://api.example/{'x' * 100}>, <mailto:a@example.com>",
                    },
                    {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
                ],
            }
        },
        **changes,
    }


class Mailbox:
    def __init__(self, *requests: dict[str, Any]) -> None:
        self.requests = requests

    def mail_requests(self) -> list[dict[str, Any]]:
        return [{"sentAt": 1795348800.0, "request": each} for each in self.requests]

    @property
    def stack(self) -> Stack:
        return cast("Stack", self)


def test_a_mail_is_shown_with_headers_and_tags_in_eighty_columns() -> None:
    tags = [{"Name": "kind", "Value": "robbed"}]
    sent = request(EmailTags=tags, ConfigurationSetName="heist-local")
    lines = list(lines_of(SentMail(datetime(2026, 11, 22, 12, tzinfo=UTC), sent)))
    text = "\n".join(line.strip() for line in lines)
    for header in (
        "From: heists@example.com",
        "To: alice@example.com",
        f"Subject: {HOSTILE}",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Tag: kind=robbed",
        "Configuration set: heist-local",
        "<mailto:a@example.com>",
        "Hi “Alice”,",
    ):
        assert header in text
    assert [line.split()[0] for line in lines if len(line) > 80] == [
        f"<https://api.example/{'x' * 100}>,"
    ]


@pytest.mark.parametrize("found", [True, False])
def test_the_html_is_opened_in_a_browser_or_said_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    opened: list[str] = []

    class Browser:
        def open(self, address: str) -> bool:
            opened.append(address)
            return found

    monkeypatch.setattr(webbrowser, "get", Browser)
    folder = tmp_path / "mails"
    mailbox = Mailbox(request(), request())
    if found:
        open_mails(mailbox.stack, folder)
    else:
        with pytest.raises(ProblemError, match=r"no browser.*index\.html"):
            open_mails(mailbox.stack, folder)
    assert opened == [(folder / "index.html").as_uri()]
    page = (folder / "index.html").read_text("utf-8")
    assert page.count("<iframe sandbox src=") == 2
    assert "<script>" not in page
    assert (folder / "2.html").read_text("utf-8") == "<!doctype html><p>Hi"


def test_a_machine_without_any_browser_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> object:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    with pytest.raises(ProblemError, match="no browser"):
        open_mails(Mailbox().stack, tmp_path / "mails")
