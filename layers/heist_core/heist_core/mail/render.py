"""What a mail says: text and HTML, names escaped, totals from the heist's own record."""

import re
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from heist_core.domain.heist import Heist
from heist_core.domain.inbox import Notice, NoticeType
from heist_core.domain.times import to_iso

_LINK_JOINTS = re.compile(r"(?<=\w)([.:@])(?=[\w/])")
_ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True, slots=True)
class Mail:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class _Story:
    subject: str
    headline: str
    line: str
    total_label: str
    total: int
    hint: str


def mail_of(heist: Heist, notice: Notice) -> Mail:
    """The mail for one side of a heist (SPEC section 5).

    Names must be cleaned already. Here they are escaped, and kept from becoming links.
    """
    attacker, victim = _unlinked(heist.attacker_name), _unlinked(heist.victim_name)
    if notice.type is NoticeType.HEIST_SUCCESS:
        story, name = _success(heist, victim), attacker
    else:
        story, name = _loss(heist, attacker), victim
    values = {
        "greeting": f"Hi {name or 'Player'},",
        "headline": story.headline,
        "line": story.line,
        "total_label": story.total_label,
        "total": str(story.total),
        "hint": story.hint,
        "season": heist.plan.season,
        "at": to_iso(heist.plan.at)[:16].replace("T", " ") + " UTC",
        "heist_id": heist.attempt.id,
    }
    return Mail(
        subject=story.subject,
        text=_template("heist.txt").substitute(values),
        html=_template("heist.html").substitute(
            {name: escape(value) for name, value in values.items()}
        ),
    )


def _success(heist: Heist, victim: str | None) -> _Story:
    points = heist.plan.points_stolen
    return _Story(
        subject=f"Your heist paid off: +{points} points",
        headline=f"+{points} points",
        line=f"You pulled a heist on {victim or 'another player'} and stole {points} points.",
        total_label="Your new total",
        total=heist.plan.attacker_points_after,
        hint="Lie low for a while: they know it was you.",
    )


def _loss(heist: Heist, attacker: str | None) -> _Story:
    points = heist.plan.points_stolen
    return _Story(
        subject=f"You were robbed: -{points} points",
        headline=f"-{points} points",
        line=f"{attacker or 'Someone'} pulled a heist on you "
        f"and stole {points} of your monthly points.",
        total_label="You have left",
        total=heist.plan.victim_points_after,
        hint="You are protected for a while now. Bring a friend, earn a Heist Token, strike back.",
    )


def _unlinked(name: str | None) -> str | None:
    """A name that mail programs do not turn into a link: its joints get an invisible space."""
    return name and _LINK_JOINTS.sub(rf"\1{_ZERO_WIDTH_SPACE}", name)


def _template(name: str) -> Template:
    return Template(files(__package__).joinpath(name).read_text(encoding="utf-8"))
