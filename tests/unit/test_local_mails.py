"""`make mails`: what it prints, and what it opens."""

import webbrowser
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from local.console import ProblemError
from local.mailbox import SentMail, frame, page
from local.mails import lines_of, open_mails

if TYPE_CHECKING:
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


STACK = cast("Stack", SimpleNamespace(outputs=SimpleNamespace(Endpoint="http://127.0.0.1:1")))


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
def test_the_mailbox_is_opened_in_a_browser_or_said_where_it_is(
    monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    opened: list[str] = []

    class Browser:
        def open(self, address: str) -> bool:
            opened.append(address)
            return found

    monkeypatch.setattr(webbrowser, "get", Browser)
    if found:
        open_mails(STACK)
    else:
        with pytest.raises(ProblemError, match=r"no browser.*/_heist/mailbox"):
            open_mails(STACK)
    assert opened == ["http://127.0.0.1:1/_heist/mailbox"]


def test_a_machine_without_any_browser_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> object:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    with pytest.raises(ProblemError, match="no browser"):
        open_mails(STACK)


def test_the_mailbox_escapes_what_others_wrote_and_frames_each_mail() -> None:
    sent = SentMail.of({"sentAt": 1795348800.0, "request": request()})
    shown = page([sent, sent])
    assert shown.count("<iframe sandbox=") == 2
    assert "<script>" not in shown
    assert shown.index("mailbox/1") < shown.index("mailbox/0")
    address = f"https://api.example/{'x' * 100}"
    assert f'&lt;<a href="{address}" target="_blank" rel="noreferrer">{address}</a>&gt;' in shown


@pytest.mark.parametrize(
    ("written", "framed"),
    [
        ("<html><head><title>", '<html><head><base target="_blank"><title>'),
        ("<!doctype html><p>Hi", '<!doctype html><p>Hi<base target="_blank">'),
    ],
)
def test_links_of_a_mail_open_outside_its_frame(written: str, framed: str) -> None:
    mail = request()
    mail["Content"]["Simple"]["Body"]["Html"]["Data"] = written
    assert frame(SentMail.of({"sentAt": 0, "request": mail})) == framed
