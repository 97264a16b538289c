"""The settings: refused by name when invalid, overridden live by the settings item."""

from decimal import Decimal

import pytest

from heist_core.settings import (
    DECLARED,
    InvalidSettings,
    LiveSettings,
    parse_settings,
    settings_from_variables,
    values_of,
)
from heist_core.variables import variable
from tests.fakes import FakeClock

INTEGERS = {
    "HEIST_COOLDOWN_HOURS": (0, 8760),
    "HEIST_TARGET_COOLDOWN_HOURS": (0, 8760),
    "HEIST_STEAL_PERCENTAGE": (1, 100),
    "HEIST_MAX_STEAL_POINTS": (1, 1_000_000),
    "HEIST_MIN_TARGET_POINTS": (0, 1_000_000),
    "HEIST_RATE_LIMIT_PER_MINUTE": (1, 1_000_000),
    "HEIST_MAX_ROBBERIES_PER_SEASON": (0, 1000),
    "HEIST_MAX_LOSS_PERCENTAGE": (1, 100),
    "HEIST_PAIR_COOLDOWN_HOURS": (0, 8760),
    "HEIST_NEWCOMER_HOURS": (0, 8760),
    "HEIST_PASSIVE_LOCK_HOURS": (0, 8760),
    "HEIST_DIGEST_HOUR_UTC": (0, 23),
}
SWITCHES = ("HEIST_ENABLED", "HEIST_EMAIL_ENABLED", "HEIST_AWARDS_ENABLED")
NO_INTEGERS: tuple[object, ...] = (
    *("abc", "", " ", " 5", "5 ", "5\n", "0.5", "5.0", "24h", "-1", "+5", "1e3", "0x10"),
    *("1_000", "05", "٥", "NaN", "Infinity", "null", "true", "9" * 50, None, True, 5.0, []),
)
NO_SWITCHES: tuple[object, ...] = (
    *("", "1", "0", "yes", "on", "tru", " true", "true ", "null", None, 1, []),
)


def test_the_defaults_are_the_guides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DECLARED:
        monkeypatch.delenv(name, raising=False)
    assert values_of(settings_from_variables()) == {
        "HEIST_ENABLED": True,
        "HEIST_COOLDOWN_HOURS": 24,
        "HEIST_TARGET_COOLDOWN_HOURS": 48,
        "HEIST_STEAL_PERCENTAGE": 5,
        "HEIST_MAX_STEAL_POINTS": 100,
        "HEIST_MIN_TARGET_POINTS": 20,
        "HEIST_EMAIL_ENABLED": True,
        "HEIST_EMAIL_DEFAULT": "instant",
        "HEIST_DIGEST_HOUR_UTC": 8,
        "HEIST_AWARDS_ENABLED": True,
        "HEIST_RATE_LIMIT_PER_MINUTE": 10,
        "HEIST_MAX_ROBBERIES_PER_SEASON": 0,
        "HEIST_MAX_LOSS_PERCENTAGE": 100,
        "HEIST_PAIR_COOLDOWN_HOURS": 0,
        "HEIST_NEWCOMER_HOURS": 0,
        "HEIST_PASSIVE_LOCK_HOURS": 24,
    }


def test_variables_set_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HEIST_ENABLED": "FALSE",
        "HEIST_COOLDOWN_HOURS": "1",
        "HEIST_TARGET_COOLDOWN_HOURS": "2",
        "HEIST_STEAL_PERCENTAGE": "3",
        "HEIST_MAX_STEAL_POINTS": "4",
        "HEIST_MIN_TARGET_POINTS": "5",
    }.items():
        monkeypatch.setenv(name, value)
    rules = settings_from_variables()
    assert not rules.enabled
    assert (rules.cooldown.total_seconds(), rules.protection.total_seconds()) == (3600, 7200)
    assert (rules.steal_percentage, rules.max_steal_points, rules.min_target_points) == (3, 4, 5)


@pytest.mark.parametrize("name", INTEGERS)
def test_the_ends_of_each_range_are_allowed_and_no_more(name: str) -> None:
    low, high = INTEGERS[name]
    for value in (low, high):
        assert values_of(parse_settings({name: str(value)}))[name] == value
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidSettings, match=f"^{name}: "):
            parse_settings({name: str(value)})


@pytest.mark.parametrize("name", INTEGERS)
def test_what_is_no_integer_is_refused_by_name(name: str) -> None:
    for value in NO_INTEGERS:
        with pytest.raises(InvalidSettings, match=f"^{name}: .*, got "):
            parse_settings({name: value})


@pytest.mark.parametrize("name", SWITCHES)
def test_what_is_neither_true_nor_false_is_refused_by_name(name: str) -> None:
    for value in NO_SWITCHES:
        with pytest.raises(InvalidSettings, match=f"^{name}: .*, got "):
            parse_settings({name: value})


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize(
    ("value", "on"),
    [("true", True), ("TRUE", True), ("True", True), ("false", False), ("FALSE", False)],
)
def test_a_switch_may_be_written_in_any_case(name: str, value: str, on: bool) -> None:
    assert values_of(parse_settings({name: value}))[name] is on


@pytest.mark.parametrize("value", ["instant", "daily"])
def test_mails_are_by_default_at_once_or_daily(value: str) -> None:
    assert parse_settings({"HEIST_EMAIL_DEFAULT": value}).email_default == value


@pytest.mark.parametrize("value", ["", "off", "Daily", " daily", None, True, 1, []])
def test_what_is_neither_instant_nor_daily_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidSettings, match=r"^HEIST_EMAIL_DEFAULT: must"):
        parse_settings({"HEIST_EMAIL_DEFAULT": value})


def test_every_invalid_setting_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        parse_settings({"HEIST_COOLDOWN_HOURS": "24h", "HEIST_STEAL_PERCENTAGE": "-5"})
    assert "HEIST_COOLDOWN_HOURS: " in str(caught.value)
    assert "HEIST_STEAL_PERCENTAGE: " in str(caught.value)
    assert "'24h'" in str(caught.value)


def test_an_invalid_variable_refuses_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEIST_COOLDOWN_HOURS", "abc")
    with pytest.raises(InvalidSettings, match="HEIST_COOLDOWN_HOURS"):
        settings_from_variables()


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABLE_NAME", raising=False)
    with pytest.raises(InvalidSettings, match="TABLE_NAME"):
        variable("TABLE_NAME")
    assert variable("TABLE_NAME", "") == ""


class Live:
    """Live settings over default variables, and how often an invalid item was told of."""

    def __init__(self, **variables: object) -> None:
        self.clock = FakeClock()
        self.invalid = 0
        self.settings = LiveSettings(
            parse_settings(variables), self.clock.monotonic, self._count_invalid
        )

    def _count_invalid(self) -> None:
        self.invalid += 1

    @property
    def percentage(self) -> int:
        return self.settings.current.steal_percentage

    def stale(self) -> bool:
        return self.settings.stale

    def enabled(self) -> bool:
        return self.settings.current.enabled


def test_the_item_is_due_at_first_and_again_after_thirty_seconds() -> None:
    live = Live()
    assert live.stale()
    live.settings.refresh(None)
    assert not live.stale()
    live.clock.pass_(seconds=29.999)
    assert not live.stale()
    live.clock.pass_(seconds=0.001)
    assert live.stale()


def test_the_item_overrides_what_it_names_and_its_removal_brings_the_variables_back() -> None:
    live = Live(HEIST_STEAL_PERCENTAGE="7")
    live.settings.refresh({"pk": "SETTINGS", "sk": "HEIST", "HEIST_ENABLED": False})
    assert live.percentage == 7
    assert not live.enabled()
    live.settings.refresh({"HEIST_STEAL_PERCENTAGE": Decimal(9), "HEIST_ENABLED": "TRUE"})
    assert live.percentage == 9
    assert live.enabled()
    live.settings.refresh({"HEIST_STEAL_PERCENTAGE": "11"})
    assert live.percentage == 11
    live.settings.refresh(None)
    assert live.percentage == 7
    assert live.invalid == 0


@pytest.mark.parametrize(
    "bad", ["abc", Decimal(0), Decimal(101), Decimal("0.5"), None, True, {"n": 1}, b"5"]
)
def test_an_invalid_item_keeps_the_last_good_values_and_is_counted(bad: object) -> None:
    live = Live(HEIST_STEAL_PERCENTAGE="7")
    live.settings.refresh({"HEIST_STEAL_PERCENTAGE": bad, "HEIST_MAX_STEAL_POINTS": Decimal(1)})
    assert live.percentage == 7
    assert live.settings.current.max_steal_points == 100
    live.settings.refresh({"HEIST_STEAL_PERCENTAGE": Decimal(9)})
    live.settings.refresh({"HEIST_STEAL_PERCENTAGE": bad})
    assert live.percentage == 9
    assert live.invalid == 2


def test_an_invalid_item_is_not_read_again_at_once() -> None:
    live = Live()
    live.settings.refresh({"HEIST_ENABLED": "maybe"})
    assert not live.stale()
