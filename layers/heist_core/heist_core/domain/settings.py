"""The settings of the game, each declared only here (SPEC section 7)."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

HIGHEST = 1_000_000


def _number(default: int, lowest: int, highest: int) -> Any:
    return field(default=default, metadata={"lowest": lowest, "highest": highest})


def _choice(default: str, *others: str) -> Any:
    return field(default=default, metadata={"choices": (default, *others)})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings; the variable of each is `HEIST_` and its name in capitals."""

    enabled: bool = True
    cooldown_hours: int = _number(24, 0, 8760)
    target_cooldown_hours: int = _number(48, 0, 8760)
    steal_percentage: int = _number(5, 1, 100)
    max_steal_points: int = _number(100, 1, HIGHEST)
    min_target_points: int = _number(20, 0, HIGHEST)
    email_enabled: bool = True
    email_default: str = _choice("instant", "daily")
    digest_hour_utc: int = _number(8, 0, 23)
    awards_enabled: bool = True
    rate_limit_per_minute: int = _number(10, 1, HIGHEST)
    max_robberies_per_season: int = _number(0, 0, 1000)
    max_loss_percentage: int = _number(100, 1, 100)
    pair_cooldown_hours: int = _number(0, 0, 8760)
    newcomer_hours: int = _number(0, 0, 8760)
    passive_lock_hours: int = _number(24, 0, 8760)

    @property
    def cooldown(self) -> timedelta:
        return timedelta(hours=self.cooldown_hours)

    @property
    def protection(self) -> timedelta:
        return timedelta(hours=self.target_cooldown_hours)

    @property
    def pair_cooldown(self) -> timedelta:
        return timedelta(hours=self.pair_cooldown_hours)

    @property
    def newcomer(self) -> timedelta:
        return timedelta(hours=self.newcomer_hours)

    @property
    def passive_lock(self) -> timedelta:
        return timedelta(hours=self.passive_lock_hours)
