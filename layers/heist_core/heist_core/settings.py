"""The settings of the game: from variables, overridden live by the settings item.

Nothing is read at import.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, replace

from .domain.settings import Settings
from .variables import InvalidSettings as InvalidSettings

_DIGITS = re.compile(r"0|[1-9][0-9]{0,8}")
SETTINGS_ITEM_SECONDS = 30.0
_DEFAULTS = Settings()

DECLARED = {f"HEIST_{setting.name.upper()}": setting for setting in fields(Settings)}
"""Every setting under the name of its variable, which is also that of the settings item."""


def parse_settings(values: Mapping[str, object], over: Settings = _DEFAULTS) -> Settings:
    """The settings that variables or a settings item name, over others. Raises InvalidSettings."""
    parsed: dict[str, object] = {}
    problems: list[str] = []
    for name, setting in DECLARED.items():
        if name in values:
            try:
                parsed[setting.name] = _read(setting, values[name])
            except ValueError as problem:
                problems.append(f"{name}: {problem}, got {values[name]!r}")
    if problems:
        raise InvalidSettings("; ".join(problems))
    return replace(over, **parsed)  # type: ignore[arg-type]


def _read(setting: "Field[object]", value: object) -> object:
    """A switch, choice or number as variables and items have it. Raises ValueError with what is
    allowed."""
    text = str(value)
    if isinstance(setting.default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError("must be true or false")
        return text.lower() == "true"
    if "choices" in setting.metadata:
        if text not in setting.metadata["choices"]:
            raise ValueError("must be " + " or ".join(setting.metadata["choices"]))
        return text
    lowest, highest = setting.metadata["lowest"], setting.metadata["highest"]
    is_number = _DIGITS.fullmatch(text) and not isinstance(value, bool)
    if not is_number or not lowest <= int(text) <= highest:
        raise ValueError(f"must be a whole number, {lowest} to {highest}")
    return int(text)


def values_of(settings: Settings) -> dict[str, object]:
    """Every value under the name of its variable."""
    return {name: getattr(settings, setting.name) for name, setting in DECLARED.items()}


def settings_from_variables() -> Settings:
    """Raises InvalidSettings."""
    return parse_settings(os.environ)


def overrides_of(item: Mapping[str, object] | None) -> dict[str, object]:
    """What a settings item sets, valid or not; its other attributes are ignored."""
    return {name: value for name, value in (item or {}).items() if name in DECLARED}


class LiveSettings:
    """The settings in effect: variables, under the settings item that was last read and valid."""

    def __init__(
        self,
        variables: Settings,
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
            self.current = parse_settings(overrides_of(item), self._variables)
        except InvalidSettings:
            self._on_invalid()
        self._read_at = read_at  # last: other threads use the settings once they are not stale
