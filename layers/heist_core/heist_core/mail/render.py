"""What a mail says: text and HTML, names escaped, totals from the event's own record."""

import unicodedata
from html import escape
from importlib.resources import files
from string import Template
from typing import NamedTuple

from heist_core.domain.facts import MailedEvent
from heist_core.domain.heist import Heist, plural
from heist_core.domain.names import cut
from heist_core.domain.notices import Notice
from heist_core.domain.reversal import Reversal
from heist_core.domain.times import to_iso

_NAME_LIMIT = 40
_JOINTS = frozenset(
    ".:@/\\"
    "\u00b7\u06d4\u0701\u0702\u2027\u2219\u22c5\u3002\u30fb\ua4f8\U00010a50\U0001d16d"  # dots
    "\u02d0\u0589\u05c3\u0703\u0704\u205a\u2236\ua4fd\ua789"  # colons
    "\u1735\u2044\u2215\u2571\u29f8\u2cc6\u3033"  # slashes
)
"""What joins the parts of an address, and what looks like it (Unicode's confusables.txt)."""
_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201f\u275d\u275e\u301d\u301e", '"'))
_ZERO_WIDTH_SPACE = "\u200b"


class Mail(NamedTuple):
    subject: str
    text: str
    html: str


class _Texts(NamedTuple):
    subject: str
    headline: str
    line: str
    total_label: str
    total: int
    hint: str


def mail_of(event: MailedEvent, notice: Notice) -> Mail:
    """The mail for one side of a heist or of its reversal (SPEC section 5).

    Names must be cleaned already. Here they are quoted, cut, escaped, and kept from becoming links.
    """
    attacker, victim = _shown(event.attacker_name), _shown(event.victim_name)
    to_attacker = notice.recipient_id == event.attacker_id
    if isinstance(event, Reversal):
        texts = _given(event, victim) if to_attacker else _returned(event, attacker)
    else:
        texts = _success(event, victim) if to_attacker else _loss(event, attacker)
    name = attacker if to_attacker else victim
    values = {
        "greeting": f"Hi {name or 'Player'},",
        "headline": texts.headline,
        "line": texts.line,
        "total_label": texts.total_label,
        "total": str(texts.total),
        "hint": texts.hint,
        "season": event.season,
        "at": to_iso(event.at)[:16].replace("T", " ") + " UTC",
        "heist_id": event.heist_id,
    }
    return Mail(
        subject=texts.subject,
        text=_template("heist.txt").substitute(values),
        html=_template("heist.html").substitute(
            {name: escape(value) for name, value in values.items()}
        ),
    )


def _success(heist: Heist, victim: str | None) -> _Texts:
    points = heist.plan.points_stolen
    return _Texts(
        subject=f"Your heist paid off: +{points} points",
        headline=f"+{points} points",
        line=f"You pulled a heist on {victim or 'another player'} and stole {points} points.",
        total_label="Your new total",
        total=heist.plan.attacker_points_after,
        hint="Lie low for a while: they know it was you.",
    )


def _loss(heist: Heist, attacker: str | None) -> _Texts:
    points = heist.plan.points_stolen
    return _Texts(
        subject=f"You were robbed: -{points} points",
        headline=f"-{points} points",
        line=f"{attacker or 'Someone'} pulled a heist on you "
        f"and stole {points} of your monthly points.",
        total_label="You have left",
        total=heist.plan.victim_points_after,
        hint="You are protected for a while now. Bring a friend, earn a Heist Token, strike back.",
    )


def _given(reversal: Reversal, victim: str | None) -> _Texts:
    points = reversal.points_returned
    return _Texts(
        subject=f"Your heist was reversed: -{plural(points, 'point')}",
        headline=f"-{plural(points, 'point')}",
        line=f"Your heist on {victim or 'another player'} was reversed, "
        f"and {plural(points, 'point')} went back.",
        total_label="You have left",
        total=reversal.attacker_points_after,
        hint="You have your Heist Token back."
        if reversal.token_refunded
        else "The Heist Token stays spent.",
    )


def _returned(reversal: Reversal, attacker: str | None) -> _Texts:
    points = reversal.points_returned
    return _Texts(
        subject=f"A heist on you was reversed: +{plural(points, 'point')}",
        headline=f"+{plural(points, 'point')}",
        line=f"The heist that {attacker or 'someone'} pulled on you was reversed, "
        f"and you got {plural(points, 'point')} back.",
        total_label="Your new total",
        total=reversal.victim_points_after,
        hint=f"{plural(reversal.shortfall, 'point')} more could not be returned."
        if reversal.shortfall
        else "You have back all that was stolen.",
    )


def _shown(name: str | None) -> str | None:
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
    """Also what looks like one, such as a fullwidth dot or the number 1 with a full stop."""
    return not _JOINTS.isdisjoint(unicodedata.normalize("NFKC", character))


def _template(name: str) -> Template:
    return Template(files(__package__).joinpath(name).read_text(encoding="utf-8"))
