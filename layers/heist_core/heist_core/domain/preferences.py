"""What players choose: the defaults, and when they may go in and out of passive mode."""

from datetime import datetime

from .notices import NoticeType
from .player import Player
from .settings import Settings
from .times import end_of

EMAIL_DEFAULTS = {"robbed": "instant", "success": "instant", "reversed": "instant", "token": "off"}
"""How players who never chose are told by mail, by kind."""
EMAIL_CHOICES = ("instant", "daily", "off")
_KINDS = {
    NoticeType.HEIST_VICTIM: "robbed",
    NoticeType.HEIST_SUCCESS: "success",
    NoticeType.HEIST_REVERSED: "reversed",
    NoticeType.TOKEN_EARNED: "token",
}


def wants_mail(player: Player, notice: NoticeType) -> bool:
    """Whether a player is to be told by mail; the user system's opt-out stands above all."""
    choices = {**EMAIL_DEFAULTS, **player.preferences.email}
    return not player.profile.email_opt_out.value and choices[_KINDS[notice]] != "off"


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
