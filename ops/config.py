"""Show the settings in effect, or change them without redeploying.

Without arguments it shows them and where each comes from; --history lists the
versions. --set NAME=VALUE (again for several; NAME= goes back to the variable)
and --back VERSION show the difference, checked by the functions' own rules, and
with --apply or --ask write it as a new version. Version 0 is no overrides at
all.
"""

import argparse
from datetime import timedelta

from heist_core.domain.errors import Contention, SettingsMoved
from heist_core.domain.settings import Settings
from heist_core.settings import (
    SETTINGS_ITEM_SECONDS,
    InvalidSettings,
    overrides_of,
    parse_settings,
    values_of,
)
from heist_core.storage import keys
from heist_core.use_cases.change_settings import NAMES, ChangeSettings, InEffect, Values, number_of
from ops.command import add_change_arguments, agreed, reason_of, whole
from ops.output import Output, moment
from ops.target import OperatorError, Target

READS_FROM = "execute_heist"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--set", action="append", metavar="NAME=VALUE", help="change a setting")
    what.add_argument("--back", type=whole(0), metavar="VERSION", help="the values of that version")
    what.add_argument("--history", action="store_true", help="list the versions")
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    if options.history:
        return show_history(target, out)
    current = read(target)
    if options.set:
        return change(target, current, changed(current, options.set), options, out)
    if options.back is not None:
        return change(target, current, version_of(target, options.back), options, out)
    return show(current, out)


def read(target: Target) -> InEffect:
    """Raises OperatorError when the variables are not there or not valid."""
    configuration = target.lambdas.get_function_configuration(
        FunctionName=target.function(READS_FROM)
    )
    variables = configuration["Environment"]["Variables"]
    try:
        settings = parse_settings({name: variables[name] for name in NAMES if name in variables})
    except InvalidSettings as problem:
        raise OperatorError(f"The variables of {READS_FROM} are not valid: {problem}") from problem
    return InEffect(settings, target.store.settings_item())


def in_effect(target: Target) -> Settings:
    """Raises OperatorError or InvalidSettings."""
    current = read(target)
    return current.under(current.overrides)


def show(current: InEffect, out: Output) -> int:
    """What is in effect. An invalid item is in effect nowhere: 1."""
    problem = current.problem
    rows = [
        (name, value, _source(current, name)) for name, value in values_of(current.settings).items()
    ]
    out.table(("setting", "in effect", "from"), rows)
    if current.version is not None and current.item is not None:
        out.line(
            f"Version {current.version}, {current.item.get('at')}, "
            f"by {current.item.get('author')}: {current.item.get('reason')}"
        )
    elif current.item is not None:
        out.line("The settings item was written by hand: it has no version.")
    if problem:
        out.line(f"The settings item is not valid: {problem}")
        out.line(
            "Instances keep the last good values they read; new ones have the variables, shown "
            "here."
        )
    out.document(
        {
            "version": current.version,
            "item": _in_words(current),
            "problem": problem or None,
            "settings": {name: {"value": value, "from": source} for name, value, source in rows},
        }
    )
    return 1 if problem else 0


def _source(current: InEffect, name: str) -> str:
    source = current.source(name)
    return f"{source}, {_in_words(current)}" if source == "settings item" else source


def _in_words(current: InEffect) -> str:
    if current.item is None:
        return "none"
    return "by hand" if current.version is None else f"version {current.version}"


def show_history(target: Target, out: Output) -> int:
    versions = list(target.table.partition(keys.SETTINGS["pk"], keys.SETTINGS_VERSIONS))
    out.entries(
        ("version", "when", "sets"),
        (
            (
                (
                    number_of(each),
                    moment(each["at"]),
                    ", ".join(f"{name} {value}" for name, value in overrides_of(each).items())
                    or "nothing",
                ),
                f"{each['author']}: {each['reason']}",
            )
            for each in versions
        ),
    )
    out.line(f"{len(versions)} versions; back to one: ./heist config --back VERSION")
    out.document({"versions": versions})
    return 0


def changed(current: InEffect, assignments: list[str]) -> dict[str, object]:
    """The overrides with these assignments. Raises OperatorError for what `assigned` refuses."""
    overrides = current.overrides
    for name, value in assigned(assignments).items():
        overrides.pop(name, None)
        if value:
            overrides[name] = value
    return overrides


def assigned(assignments: list[str]) -> dict[str, str]:
    """The values by name. Raises OperatorError for a name that is unknown or given twice."""
    found: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if name in found:
            raise OperatorError(f"{name} is set twice: which of them is meant?")
        if name not in NAMES or not equals:
            raise OperatorError(
                f"{assignment}: must be NAME=VALUE, where NAME is one of {', '.join(NAMES)}"
            )
        found[name] = value
    return found


def version_of(target: Target, version: int) -> dict[str, object]:
    """What a version sets. Raises OperatorError when there is none such."""
    if version == 0:
        return {}
    wanted = keys.settings_version(version)
    found = list(target.table.partition(wanted["pk"], wanted["sk"]))
    if not found:
        raise OperatorError(f"There is no version {version}: ./heist config --history lists them.")
    return overrides_of(found[0])


def change(
    target: Target,
    current: InEffect,
    overrides: Values,
    options: argparse.Namespace,
    out: Output,
) -> int:
    """Show the difference, and write it if agreed to."""
    use_case = ChangeSettings(target.operations, current.variables, target.clock)
    try:
        planned = use_case.plan(current, overrides)
    except InvalidSettings as problem:
        raise OperatorError(f"Not valid: {problem}") from problem
    now, then = planned.change.before, planned.change.after
    document: dict[str, object] = {
        "difference": {name: {"before": now[name], "after": then[name]} for name in now},
        "done": False,
    }
    if not planned.change.changed:
        out.line("Nothing to change: that is in effect already.")
        out.document(document)
        return 0
    rows = [(name, now[name], then[name], _source(current, name)) for name in now]
    out.table(("setting", "now", "then", "now from"), rows)
    reason = reason_of(options)
    if agreed(options, out):
        action = target.action("config", "settings", reason)
        try:
            changed = use_case(current, planned, action)
        except (SettingsMoved, Contention) as problem:
            raise OperatorError(
                "Somebody else changed the settings meanwhile; nothing was written. Look again: "
                "./heist config"
            ) from problem
        version = int(str(changed.about["version"]))
        seen_by = target.now() + timedelta(seconds=SETTINGS_ITEM_SECONDS)
        document |= {"done": True, "version": version, "everywhereAt": f"{seen_by:%H:%M:%S}Z"}
        verify(target, version, planned.settings)
        out.line(f"Version {version} is in the table and valid.")
        out.line(
            f"Every instance has it by {seen_by:%H:%M:%S} UTC: each reads it with the first call "
            f"{SETTINGS_ITEM_SECONDS:.0f} s after its last reading."
        )
        out.line(f"Back: ./heist config --back {current.version or 0}")
    out.document(document)
    return 0


def verify(target: Target, version: int, expected: Settings) -> None:
    """Read what instances will read. Raises OperatorError unless it is what was written."""
    found = read(target)
    try:
        valid = found.version == version and found.under(found.overrides) == expected
    except InvalidSettings:
        valid = False
    if not valid:
        raise OperatorError(
            f"Version {version} was written, and is not what stands there now: ./heist config "
            "shows it."
        )
