"""Shows the settings in effect with their sources and versions, and changes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.action import Action, Change, Remember, forget
from heist_core.domain.settings import Settings
from heist_core.settings import DECLARED, InvalidSettings, overrides_of, parse_settings, values_of

from .clock import Clock

if TYPE_CHECKING:
    from heist_core.storage.operator_store import OperatorStore

NAMES = tuple(DECLARED)
VERSIONS_SHOWN = 100
Values = Mapping[str, object]


@dataclass(frozen=True)
class InEffect:
    """What the deployed variables say, and the settings item over them."""

    variables: Settings
    item: Mapping[str, object] | None

    @property
    def overrides(self) -> dict[str, object]:
        return overrides_of(self.item)

    @property
    def version(self) -> int | None:
        """None: no item, or one that was written by hand."""
        return None if self.item is None or "version" not in self.item else number_of(self.item)

    @property
    def problem(self) -> str:
        """Why the settings item is in effect nowhere; empty if it is valid."""
        try:
            self.under(self.overrides)
        except InvalidSettings as problem:
            return str(problem)
        return ""

    @property
    def settings(self) -> Settings:
        """Of new instances: what is not valid is as if it were not there."""
        return self.variables if self.problem else self.under(self.overrides)

    def under(self, overrides: Values) -> Settings:
        """Raises InvalidSettings."""
        return parse_settings(overrides, self.variables)

    def source(self, name: str) -> str:
        """`default`, `variable` or `settings item`."""
        if name in self.overrides and not self.problem:
            return "settings item"
        default = DECLARED[name].default
        return "default" if values_of(self.variables)[name] == default else "variable"

    def document(self, versions: Sequence[Values]) -> dict[str, object]:
        """As the API tells it; `version` is 0 where nobody set any, or by hand."""
        return {
            "version": self.version or 0,
            "problem": self.problem or None,
            "settings": [
                {"name": name, "value": value, "source": self.source(name)}
                for name, value in values_of(self.settings).items()
            ],
            "versions": [
                {
                    "version": number_of(each),
                    "at": each["at"],
                    "author": each["author"],
                    "reason": each["reason"],
                    "changes": as_typed(overrides_of(each)),
                }
                for each in reversed(versions[-VERSIONS_SHOWN:])
            ],
        }


class SettingsChange(NamedTuple):
    """What other overrides would change; `typed` are they, as instances read them."""

    change: Change
    typed: Mapping[str, object]
    settings: Settings


@dataclass(frozen=True)
class ChangeSettings:
    store: "OperatorStore"
    variables: Settings
    clock: Clock

    def read(self) -> InEffect:
        """Raises Unavailable."""
        return InEffect(self.variables, self.store.settings_item())

    def plan(self, current: InEffect, overrides: Values) -> SettingsChange:
        """Raises InvalidSettings with everything that is not valid."""
        after = current.under(overrides)
        now, then = values_of(current.settings), values_of(after)
        typed = {name: value for name, value in then.items() if name in overrides}
        names = [
            name
            for name in NAMES
            if now[name] != then[name] or (name in current.overrides) != (name in typed)
        ]
        change = Change(
            about={"version": current.version or 0},
            before={name: now[name] for name in names},
            after={name: then[name] for name in names},
            changed=bool(names),
        )
        return SettingsChange(change, typed, after)

    def __call__(
        self,
        current: InEffect,
        planned: SettingsChange,
        action: Action,
        *,
        remember: Remember = forget,
    ) -> Change:
        """Write them as a new version, with the entry in the log.

        Time, before and after of `action` are set here. Raises SettingsMoved when somebody was
        faster; AnsweredAlready if what `remember` made stands already; Contention or Unavailable.
        """
        versions = self.store.settings_versions()
        version = max(map(number_of, versions), default=0) + 1
        change = replace(planned.change, about={"version": version})
        logged = replace(
            action,
            at=self.clock.now(),
            before={"version": current.version, **_plain(current.overrides)},
            after={"version": version, **planned.typed},
        )
        self.store.change_settings(
            current.item, NAMES, planned.typed, version, logged, remember(change)
        )
        return change


@dataclass(frozen=True)
class ShowSettings:
    store: "OperatorStore"
    variables: Settings

    def __call__(self) -> dict[str, object]:
        """Raises Unavailable."""
        current = InEffect(self.variables, self.store.settings_item())
        return current.document(self.store.settings_versions())


def as_typed(values: Values) -> dict[str, object]:
    """Values of an item as JSON has them; what is not valid, as text."""
    typed: dict[str, object] = {}
    for name, value in values.items():
        try:
            typed[name] = values_of(parse_settings({name: value}))[name]
        except InvalidSettings:
            typed[name] = str(value)
    return typed


def _plain(values: Values) -> dict[str, object]:
    """Whatever was written by hand, fit for the log."""
    return {
        name: value if isinstance(value, bool) else str(value) for name, value in values.items()
    }


def number_of(item: Values) -> int:
    """An item's version; 0 for one that was written by hand."""
    try:
        return int(str(item.get("version")))
    except ValueError:
        return 0
