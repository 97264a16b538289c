"""Renders mails as text and HTML: names escaped, totals from the event's own record."""

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.award import Award
from heist_core.domain.facts import Event
from heist_core.domain.heist import Heist
from heist_core.domain.names import cut
from heist_core.domain.notices import Message, Notice, message_of
from heist_core.domain.reversal import Reversal
from heist_core.domain.times import to_iso
from heist_core.texts import Texts

if TYPE_CHECKING:
    from heist_core.domain.digests import Summary, Totals

_NAME_LIMIT = 40
_JOINTS = frozenset(
    ".:@/\\"
    "\u00b7\u0660\u06f0\u1427\u16eb\u2022\u2027\u2219\u22c5\u2e31\u2e33\u30fb\ua4f8\ua78f"  # dots
    "\U00010101\U00010a50\U0001d16d"
    "\u02d0\u02f8\u0589\u05c3\u0703\u0704\u16ec\u205a\u2236\ua4fd\ua789"  # colons
    "\u1735\u2041\u2044\u2215\u2571\u27cb\u29f8\u2cc6\u3033"  # slashes
)
"""What joins the parts of an address, and what looks like it (Unicode's confusables.txt)."""
_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201f\u275d\u275e\u301d\u301e", '"'))
_ZERO_WIDTH_SPACE = "\u200b"
_NAMES = frozenset({"attackerName", "victimName", "referredUserName"})
_LINE_SEPARATOR = "\u2028"
"""Between the lines of a part of a layout: no name holds one."""
_NEXT_LINE = '</p>\n<p style="margin:8px 0 0;overflow:hidden">'
"""As in news.html. Each line by itself, so that no pile of marks reaches into another."""


class Mail(NamedTuple):
    subject: str
    text: str
    html: str


class _Told(NamedTuple):
    """The content for one side. `kind` is the key of its texts."""

    kind: str
    points: int
    total: int
    hint: str


def mail_of(event: Event, notice: Notice, texts: Texts, unsubscribe: str) -> Mail:
    """The mail for one side of a heist or of its reversal, or for a token (SPEC section 5).

    `unsubscribe` is the address that ends mails of its kind.
    Names must be cleaned already. Here they are quoted, cut, escaped, and kept from becoming links.
    """
    if isinstance(event, Award):
        return _token(event, texts, unsubscribe)
    name, other = shown(event.attacker_name), shown(event.victim_name)
    to_attacker = notice.recipient_id == event.attacker_id
    if not to_attacker:
        name, other = other, name
    kind, points, total, hint = _told(event, texts, to_attacker=to_attacker)
    parts = {
        "greeting": texts.text("mail.greeting", name=name),
        "line": texts.text(f"mail.{kind}.line", other=other, points=points),
        "total_label": texts.text(f"mail.{kind}.total_label"),
        "total": texts.text("mail.total", points=total),
        "hint": hint,
        "reference": texts.text("mail.reference", heistId=event.heist_id),
        "season": texts.text("mail.season", season=event.season),
        "at": _minute(event.at),
        "why": texts.text("mail.why"),
        "sender": _sender(texts),
        "stop": texts.text("mail.stop"),
        "unsubscribe": unsubscribe,
    }
    headline = texts.text(f"mail.{kind}.headline", points=points)
    html = {**parts, "headline": headline, "language": texts.language}
    return Mail(
        subject=texts.text(f"mail.{kind}.subject", points=points),
        text=texts.layout("mail.txt", parts, escape=str),
        html=texts.layout("mail.html", html, escape=escape),
    )


def _token(award: Award, texts: Texts, unsubscribe: str) -> Mail:
    line = texts.text("mail.token.line", other=shown(award.referred_name))
    return _news(
        texts,
        subject=texts.text("mail.token.subject"),
        headline=texts.text("mail.token.headline"),
        lines=[line, "", texts.text("mail.token.hint")],
        preview=line,
        at=award.at,
        unsubscribe=unsubscribe,
    )


def digest_of(summary: "Summary", name: str | None, texts: Texts, unsubscribe: str) -> Mail:
    """A day's notices in one mail: what they add up to, then the newest of them.

    `name` is the recipient's. Names and `unsubscribe` as in `mail_of`.
    """
    notices = len(summary.items)
    unread = texts.text("mail.digest.unread", unread=summary.unread, notices=notices)
    lines = [texts.text("mail.greeting", name=shown(name)), "", *_totals(summary.totals, texts)]
    lines += [unread, "", *(_line(item.notice, texts) for item in summary.shown)]
    if summary.more:
        lines.append(texts.text("mail.digest.more", more=summary.more))
    return _news(
        texts,
        subject=texts.text("mail.digest.subject", notices=notices),
        headline=texts.text("mail.digest.headline"),
        lines=lines,
        preview=unread,
        at=summary.items[0].notice.created_at,
        unsubscribe=unsubscribe,
    )


def _totals(totals: "Totals", texts: Texts) -> Iterator[str]:
    if totals.robberies:
        yield texts.text("mail.digest.robbed", times=totals.robberies, points=totals.points_lost)
    if totals.heists:
        yield texts.text("mail.digest.success", times=totals.heists, points=totals.points_stolen)
    if totals.reversals:
        yield texts.text("mail.digest.reversed", times=totals.reversals)
    if totals.tokens:
        yield texts.text("mail.digest.token", times=totals.tokens)


def _line(notice: Notice, texts: Texts) -> str:
    key, params = message_of(notice)
    quoted = {
        name: shown(value) if name in _NAMES and isinstance(value, str) else value
        for name, value in params.items()
    }
    message = texts.message(Message(key, quoted))
    return texts.text("mail.digest.line", at=_minute(notice.created_at), message=message)


def _news(
    texts: Texts,
    *,
    subject: str,
    headline: str,
    lines: Sequence[str],
    preview: str,
    at: datetime,
    unsubscribe: str,
) -> Mail:
    """A mail of lines. `preview` is what a mail program shows beside the subject."""
    parts = {
        "headline": headline,
        "lines": _LINE_SEPARATOR.join(lines),
        "at": _minute(at),
        "why": texts.text("mail.why"),
        "stop": texts.text("mail.stop"),
        "unsubscribe": unsubscribe,
        "sender": _sender(texts),
    }
    html = {**parts, "preview": preview, "language": texts.language}
    return Mail(
        subject=subject,
        text=texts.layout(
            "news.txt", parts, escape=lambda part: part.replace(_LINE_SEPARATOR, "\n")
        ),
        html=texts.layout(
            "news.html", html, escape=lambda part: escape(part).replace(_LINE_SEPARATOR, _NEXT_LINE)
        ),
    )


def _sender(texts: Texts) -> str:
    product, address = texts.text("product.name"), texts.text("product.address")
    return f"{product}, {address}" if address else product


def _minute(moment: datetime) -> str:
    return to_iso(moment)[:16].replace("T", " ") + " UTC"


def _told(event: Heist | Reversal, texts: Texts, *, to_attacker: bool) -> _Told:
    if isinstance(event, Heist):
        plan = event.plan
        kind = "success" if to_attacker else "robbed"
        total = plan.attacker_points_after if to_attacker else plan.victim_points_after
        return _Told(kind, plan.points_stolen, total, texts.text(f"mail.{kind}.hint"))
    if to_attacker:
        total = event.attacker_points_after
        key = "hint_refunded" if event.token_refunded else "hint"
        hint = texts.text(f"mail.reversed_attacker.{key}")
        return _Told("reversed_attacker", event.points_returned, total, hint)
    total = event.victim_points_after
    hint = (
        texts.text("mail.reversed_victim.hint_partly", shortfall=event.shortfall)
        if event.shortfall
        else texts.text("mail.reversed_victim.hint")
    )
    return _Told("reversed_victim", event.points_returned, total, hint)


def shown(name: str | None) -> str | None:
    """A name in quotes that it cannot end itself, short, and so that mail programs do not turn it
    into a link: each joint of an address gets an invisible space, whatever stands beside it."""
    if name is None:
        return None
    short, dots = (name, "") if len(name) <= _NAME_LIMIT else (cut(name, _NAME_LIMIT - 1), "\u2026")
    unlinked = (
        character + _ZERO_WIDTH_SPACE * _is_joint(character)
        for character in short.translate(_QUOTES)
    )
    return f"\u201c{''.join(unlinked)}{dots}\u201d"


def _is_joint(character: str) -> bool:
    """Also what looks like one, such as a fullwidth dot or the full stop of any script."""
    return "FULL STOP" in unicodedata.name(character, "") or not _JOINTS.isdisjoint(
        unicodedata.normalize("NFKC", character)
    )
