"""Players' preferences: defaults, and when passive mode may change."""

from collections.abc import Mapping
from datetime import datetime

from .notices import NoticeType
from .player import Player
from .settings import Settings
from .times import end_of

EMAIL_CHOICES = ("instant", "daily", "off")
_KINDS = {
    NoticeType.HEIST_VICTIM: "robbed",
    NoticeType.HEIST_SUCCESS: "success",
    NoticeType.HEIST_REVERSED: "reversed",
    NoticeType.TOKEN_EARNED: "token",
}
MAIL_KINDS = tuple(_KINDS.values())


def mail_kind(notice: NoticeType) -> str:
    """The kind of mail that tells of a notice, as preferences name it."""
    return _KINDS[notice]


def email_choices(chosen: Mapping[str, str], settings: Settings) -> Mapping[str, str]:
    """The delivery of each kind of mail; the operator's default where nothing was chosen."""
    default = settings.email_default
    kinds = {"robbed": default, "success": default, "reversed": default, "token": "off"}
    return {**kinds, **chosen}


def email_choice(player: Player, notice: NoticeType, settings: Settings) -> str:
    """The delivery of a notice's mail; the user system's opt-out outranks all."""
    if player.profile.email_opt_out.value:
        return "off"
    return email_choices(player.preferences.email, settings)[mail_kind(notice)]


def passive_locked_until(player: Player, rules: Settings, now: datetime) -> datetime | None:
    """Until when the next switch of passive mode is refused; None: it is not.

    That is some hours from the last switch and, for switching on, from the player's last heist as
    well, so that nobody robs and hides. A reversed heist counts: its token stays dated as spent.
    """
    moments = [player.preferences.passive_switched_at]
    if not player.preferences.passive:
        moments += [player.last_heist_at, player.last_spent_at]
    ends = (end_of(moment, rules.passive_lock, now) for moment in moments)
    return max((ends_at for ends_at in ends if ends_at is not None), default=None)
