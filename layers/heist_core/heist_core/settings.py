"""The nine settings of the game: from variables, overridden live by the settings item.

SPEC section 7. Nothing is read at import.
"""

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .domain.heist import Rules
from .variables import InvalidSettings as InvalidSettings

_DIGITS = re.compile(r"0|[1-9][0-9]{0,8}")
SETTINGS_ITEM_SECONDS = 30.0


def _integer(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not _DIGITS.fullmatch(text):
        raise ValueError("must be an integer")
    return int(text)


def _boolean(value: object) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


Hours = Annotated[int, BeforeValidator(_integer), Field(ge=0, le=8760)]
Percentage = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=100)]
Amount = Annotated[int, BeforeValidator(_integer), Field(ge=0, le=1_000_000)]
PositiveAmount = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=1_000_000)]
Switch = Annotated[bool, BeforeValidator(_boolean)]


class HeistSettings(BaseModel):
    """The nine settings under the names of their variables."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    HEIST_ENABLED: Switch = True
    HEIST_COOLDOWN_HOURS: Hours = 24
    HEIST_TARGET_COOLDOWN_HOURS: Hours = 48
    HEIST_STEAL_PERCENTAGE: Percentage = 5
    HEIST_MAX_STEAL_POINTS: PositiveAmount = 100
    HEIST_MIN_TARGET_POINTS: Amount = 20
    HEIST_EMAIL_ENABLED: Switch = True
    HEIST_AWARDS_ENABLED: Switch = True
    HEIST_RATE_LIMIT_PER_MINUTE: PositiveAmount = 10

    @property
    def rules(self) -> Rules:
        return Rules(
            enabled=self.HEIST_ENABLED,
            cooldown=timedelta(hours=self.HEIST_COOLDOWN_HOURS),
            protection=timedelta(hours=self.HEIST_TARGET_COOLDOWN_HOURS),
            steal_percentage=self.HEIST_STEAL_PERCENTAGE,
            max_steal_points=self.HEIST_MAX_STEAL_POINTS,
            min_target_points=self.HEIST_MIN_TARGET_POINTS,
        )


def parse_settings(values: Mapping[str, object]) -> HeistSettings:
    """Settings from variables or the settings item; absent ones have their defaults.

    Raises InvalidSettings.
    """
    try:
        return HeistSettings.model_validate(dict(values))
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}, got {problem['input']!r}"
            for problem in error.errors(include_url=False)
        ]
        raise InvalidSettings("; ".join(problems)) from error


def settings_from_variables() -> HeistSettings:
    """Raises InvalidSettings."""
    return parse_settings({name: os.environ[name] for name in _NAMES if name in os.environ})


def overrides_of(item: Mapping[str, object] | None) -> dict[str, object]:
    """What a settings item sets, valid or not; its other attributes are ignored."""
    return {name: value for name, value in (item or {}).items() if name in _NAMES}


_NAMES = tuple(HeistSettings.model_fields)


class LiveSettings:
    """The settings in effect: variables, under the settings item that was last read and valid."""

    def __init__(
        self,
        variables: HeistSettings,
        clock: Callable[[], float],
        on_invalid: Callable[[], None],
    ) -> None:
        """`clock` is monotonic, in seconds; `on_invalid` is called for every invalid item read."""
        self._variables = variables
        self._clock = clock
        self._on_invalid = on_invalid
        self._read_at: float | None = None
        self.current = variables

    @property
    def stale(self) -> bool:
        """Whether the settings item is due to be read again."""
        return self._read_at is None or self._clock() - self._read_at >= SETTINGS_ITEM_SECONDS

    def refresh(self, item: Mapping[str, object] | None) -> None:
        """Take over a settings item just read; an invalid one leaves the last good values."""
        read_at = self._clock()
        try:
            self.current = parse_settings({**self._variables.model_dump(), **overrides_of(item)})
        except InvalidSettings:
            self._on_invalid()
        self._read_at = read_at  # last: other threads use the settings once they are not stale
