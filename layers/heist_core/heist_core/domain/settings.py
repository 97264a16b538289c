"""What operators can set: the only place where a setting is declared (SPEC section 7)."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

HIGHEST = 1_000_000


def _number(default: int, lowest: int, highest: int) -> Any:
    return field(default=default, metadata={"lowest": lowest, "highest": highest})


@dataclass(frozen=True, slots=True)
class Settings:
    """The nine settings; the variable of each is `HEIST_` and its name in capitals."""

    enabled: bool = True
    cooldown_hours: int = _number(24, 0, 8760)
    target_cooldown_hours: int = _number(48, 0, 8760)
    steal_percentage: int = _number(5, 1, 100)
    max_steal_points: int = _number(100, 1, HIGHEST)
    min_target_points: int = _number(20, 0, HIGHEST)
    email_enabled: bool = True
    awards_enabled: bool = True
    rate_limit_per_minute: int = _number(10, 1, HIGHEST)

    @property
    def cooldown(self) -> timedelta:
        return timedelta(hours=self.cooldown_hours)

    @property
    def protection(self) -> timedelta:
        return timedelta(hours=self.target_cooldown_hours)
