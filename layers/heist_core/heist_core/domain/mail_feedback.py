"""Bounces and complaints about mails that were sent, and the tags that identify each mail."""

import base64
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from .award import Award
from .facts import Event
from .mails import MailState
from .player import Player, Suppression, canonical_player_id
from .reversal import Reversal

_ABOUT = ("heist", "reversal", "referral", "digest")
_REASONS = {MailState.BOUNCED: "BOUNCE", MailState.COMPLAINED: "COMPLAINT"}
_SENT = (MailState.SENDING, MailState.SENT, MailState.PARKED)


class MailName(NamedTuple):
    """Identifies a mail: its recipient and its subject. A digest is about no single event, so its
    `subject_id` is the player's id."""

    about: str
    subject_id: str
    recipient_id: str


class Feedback(NamedTuple):
    """`state` is BOUNCED or COMPLAINED; `addresses` are those that the mail went to."""

    name: MailName
    state: MailState
    addresses: Collection[str]
    at: datetime


def mail_name(event: Event, recipient_id: str) -> MailName:
    """The name of a mail that tells a player of an event."""
    if isinstance(event, Award):
        return MailName("referral", event.referred_id, recipient_id)
    about = "reversal" if isinstance(event, Reversal) else "heist"
    return MailName(about, event.heist_id, recipient_id)


def tags_of(name: MailName) -> dict[str, str]:
    """The name as SES's message tags. Ids are encoded: not all of their characters may stand in a
    tag's value."""
    return {
        "about": name.about,
        "subject": _encoded(name.subject_id),
        "recipient": _encoded(name.recipient_id),
    }


def name_in(tags: Mapping[str, Sequence[str]]) -> MailName | None:
    """The name in the tags of a mail, each of which SES sends as a list; None if it has none."""
    try:
        [about], [subject], [recipient] = (tags[each] for each in ("about", "subject", "recipient"))
        name = MailName(about, _decoded(subject), _decoded(recipient))
    except (KeyError, ValueError):
        return None
    return name if name.about in _ABOUT and tags_of(name)["subject"] == subject else None


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decoded(value: str) -> str:
    """Raises ValueError for what is no id."""
    padded = value + "=" * (-len(value) % 4)
    return canonical_player_id(base64.urlsafe_b64decode(padded).decode())


def state_after(seen: MailState, reported: MailState) -> MailState | None:
    """The new state of a mail; None if it does not change.

    A complaint outranks a bounce, in whatever order they arrive. A mail that waits to be sent
    again stays as it is: the report is about an earlier attempt.
    """
    if reported is MailState.COMPLAINED and seen is MailState.BOUNCED:
        return reported
    return reported if seen in _SENT else None


def suppression_after(player: Player, feedback: Feedback) -> Suppression | None:
    """The suppression to store for a player's address; None if nothing changes.

    Only for the address that the mail went to: the player may have another one by now.
    """
    address, current = player.profile.email.value, player.profile.suppressed
    if address is None or address.casefold() not in {one.casefold() for one in feedback.addresses}:
        return None
    reason = _REASONS[feedback.state]
    if current is not None and reason in (current.reason, _REASONS[MailState.BOUNCED]):
        return None
    return Suppression(reason, feedback.at)
