"""Passive mode: when a player may go in and out of it."""

from datetime import datetime

from .player import Player
from .settings import Settings
from .times import end_of


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
