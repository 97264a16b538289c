"""template.yaml as AWS would process it: loops expanded, SAM transformed, conditions decided.

`python -m tests.template.processed OLD NEW` prints how two templates differ in what they deploy:
resources, properties and grants, for every combination of the parameters that decide conditions.
With one argument it writes the template without its loops there, for tools that know none.
"""

import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from local.tools import ENVIRONMENTS
from ops.template import TEMPLATE, load

# Each parameter that decides a condition, off and on.
SWITCHES: dict[str, tuple[str, str]] = {
    "Stage": ("prod", "local"),
    "JwtIssuer": ("", "https://issuer.example"),
    "SenderEmail": ("", "heist@example.com"),
    "AlarmEmail": ("", "on-call@example.com"),
    "AllowedOrigins": ("", "https://game.example"),
    "Tracing": ("off", "on"),
    "Pages": ("none", "both"),
}

# SAM's translator pins other libraries than the functions', so it runs in SAM CLI's environment.
TRANSLATE = """
import json, sys
import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

template = json.load(sys.stdin)
session = boto3.Session("x", "x", region_name="eu-west-1")
undecided = {name: {"Ref": name} for name in template["Parameters"]}
translator = Translator({}, Parser(), boto_session=session)
json.dump(translator.translate(template, undecided), sys.stdout)
"""


# --- AWS::LanguageExtensions -------------------------------------------------------------------


def expanded(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template without Fn::ForEach.

    As on an account, a loop's identifier is replaced in the keys of its fragment, in Fn::Sub and
    as a Ref, and nowhere else: `!GetAtt ${Name}Logs.Arn` stays what it is, and fails later.
    """
    resources = _expand(template["Resources"], {}, template.get("Mappings", {}))
    for resource in resources.values():
        for code in ("CodeUri", "ContentUri"):  # as `sam package` leaves them
            if code in resource.get("Properties", {}):
                resource["Properties"][code] = f"s3://packages/{resource['Properties'][code]}"
    return {**template, "Transform": "AWS::Serverless-2016-10-31", "Resources": resources}


def _expand(node: Any, bound: Mapping[str, str], mappings: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_expand(each, bound, mappings) for each in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((function, argument),) = node.items()
        if function == "Ref":
            name = _expand(argument, bound, mappings)
            return bound.get(name, {"Ref": name})
        if function == "Fn::Sub":
            return _substitute(argument, bound, mappings)
        if function == "Fn::FindInMap":
            return _find(_expand(argument, bound, mappings), mappings)
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key.startswith("Fn::ForEach::"):
            identifier, collection, fragment = value
            for item in collection:
                inside = {**bound, identifier: item}
                copy = _expand(fragment, inside, mappings)
                made |= {_named(name, inside): each for name, each in copy.items()}
        else:
            made[key] = _expand(value, bound, mappings)
    return made


def _named(text: str, bound: Mapping[str, str]) -> str:
    for identifier, item in bound.items():
        text = text.replace(f"${{{identifier}}}", item)
    return text


def _substitute(argument: Any, bound: Mapping[str, str], mappings: Mapping[str, Any]) -> Any:
    """A plain string if nothing is left that only the stack knows."""
    text, variables = argument if isinstance(argument, list) else (argument, {})
    text = _named(text, bound)
    left = {}
    for name, value in variables.items():
        known = _expand(value, bound, mappings)
        if isinstance(known, str):
            text = text.replace(f"${{{name}}}", known)
        else:
            left[name] = known
    if left:
        return {"Fn::Sub": [text, left]}
    return {"Fn::Sub": text} if "${" in text else text


def _find(argument: list[Any], mappings: Mapping[str, Any]) -> Any:
    name, first, second, *default = argument
    found = mappings[name][first]
    return found[second] if second in found or not default else default[0]["DefaultValue"]


# --- AWS::Serverless and conditions --------------------------------------------------------------


@dataclass(frozen=True)
class Processed:
    """What a template deploys with given parameters.

    What only the stack knows is text of the form of Fn::Sub: `${Table.Arn}` for
    `!GetAtt Table.Arn`, `${Table}` for `!Ref Table`.
    """

    parameters: Mapping[str, str]
    resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Any]

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of the resources of one type, by logical id."""
        return {
            name: each.get("Properties", {})
            for name, each in self.resources.items()
            if each["Type"] == kind
        }

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Every statement of a role's policies, in line or attached."""
        properties = self.resources[role]["Properties"]
        documents = [each["PolicyDocument"] for each in properties.get("Policies", [])]
        for attached in properties.get("ManagedPolicyArns", []):
            named = self.resources[attached.removeprefix("${").removesuffix("}")]
            documents.append(named["Properties"]["PolicyDocument"])
        documents += [
            policy["PolicyDocument"]
            for policy in self.of_type("AWS::IAM::Policy").values()
            if f"${{{role}}}" in policy["Roles"]
        ]
        return [each for document in documents for each in as_list(document["Statement"])]

    def grants(self, role: str) -> set[tuple[str, str, str]]:
        """What a role allows: action, resource, and the condition as JSON."""
        return {
            (action, resource, json.dumps(statement.get("Condition", {}), sort_keys=True))
            for statement in self.statements(role)
            for action in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
        }


def as_list(value: Any) -> list[Any]:
    """IAM takes one of a thing for a list of one."""
    return value if isinstance(value, list) else [value]


def combinations(template: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every combination of the switches, all other parameters at their defaults."""
    defaults = {name: str(each["Default"]) for name, each in template["Parameters"].items()}
    sets = []
    for chosen in itertools.product(*SWITCHES.values()):
        values = {**defaults, **dict(zip(SWITCHES, chosen, strict=True))}
        values["JwtAudience"] = "game" if values["JwtIssuer"] else ""
        values["NightlyAudit"] = "export" if values["Pages"] == "both" else "scan"
        values["ImportInParts"] = "on" if values["Pages"] == "both" else "off"
        sets.append(values)
    return sets


def translated(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template after AWS::LanguageExtensions and AWS::Serverless, no parameter decided."""
    python = ENVIRONMENTS / "sam" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", TRANSLATE],
        input=json.dumps(expanded(template)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@cache
def every_combination(path: Path = TEMPLATE) -> list[Processed]:
    """The template at a path with every combination of the switches."""
    template = translated(load(path))
    return [decided(template, parameters) for parameters in combinations(template)]


_NOTHING = object()


def decided(template: Mapping[str, Any], parameters: Mapping[str, str]) -> Processed:
    """What an expanded or translated template deploys with these parameters."""
    decide = _Decider(parameters, template["Conditions"])
    resources = {
        name: decide.value({key: part for key, part in each.items() if key != "Condition"})
        for name, each in template["Resources"].items()
        if "Condition" not in each or decide.condition(each["Condition"])
    }
    for each in resources.values():
        _substitute_in_definition(each.get("Properties", {}))
    outputs = {
        name: decide.value(each)["Value"]
        for name, each in template["Outputs"].items()
        if "Condition" not in each or decide.condition(each["Condition"])
    }
    return Processed(parameters, resources, outputs)


def _substitute_in_definition(properties: dict[str, Any]) -> None:
    """What SAM takes out of a state machine's definition goes back to its place."""
    for name, value in properties.pop("DefinitionSubstitutions", {}).items():
        definition = properties["DefinitionString"]
        properties["DefinitionString"] = definition.replace(f"${{{name}}}", value)


class _Decider:
    """Intrinsic functions, as far as parameters and conditions decide them."""

    def __init__(self, parameters: Mapping[str, str], conditions: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self._conditions = conditions

    def condition(self, name: str) -> bool:
        return bool(self.value(self._conditions[name]))

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            values = [self.value(each) for each in node]
            return [each for each in values if each is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref":
                return self._reference(argument)
            if function == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if function.startswith("Fn::"):
                return self._call(function, argument)
        members = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in members.items() if value is not _NOTHING}

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        return self._parameters.get(name, f"${{{name}}}")

    def _call(self, function: str, argument: Any) -> Any:
        if function == "Fn::If":
            condition, yes, no = argument
            return self.value(yes if self.condition(condition) else no)
        if function == "Fn::GetAtt":
            parts = [argument] if isinstance(argument, str) else self.value(argument)
            return "${" + ".".join(parts) + "}"
        if function == "Fn::Sub":
            text, variables = argument if isinstance(argument, list) else (argument, {})
            known = {name: self.value(value) for name, value in variables.items()}
            return re.sub(
                r"\$\{([\w:.]+)\}",
                lambda found: known.get(found[1], self._reference(found[1])),
                text,
            )
        values = self.value(argument)
        if function == "Fn::Equals":
            return values[0] == values[1]
        if function == "Fn::Not":
            return not values[0]
        if function == "Fn::And":
            return all(values)
        if function == "Fn::Or":
            return any(values)
        if function == "Fn::Split":
            return values[1].split(values[0])
        if function == "Fn::Join":
            return values[0].join(values[1])
        raise ValueError(f"{function} is not known here: teach it to tests/template/processed.py")


# --- Two templates beside each other -------------------------------------------------------------


def differences(old: Processed, new: Processed) -> Iterator[str]:
    """A line for each resource, property and grant that only one of the two has."""
    for name in sorted(old.resources.keys() | new.resources.keys()):
        if name not in new.resources:
            yield f"- {name}: {old.resources[name]['Type']}"
        elif name not in old.resources:
            yield f"+ {name}: {new.resources[name]['Type']}"
        elif new.resources[name]["Type"] == "AWS::IAM::Role":
            for sign, lines in (
                ("-", old.grants(name) - new.grants(name)),
                ("+", new.grants(name) - old.grants(name)),
            ):
                for action, resource, condition in sorted(lines):
                    yield f"{sign} {name} may {action} on {resource} if {condition}"
        else:
            yield from _different(name, old.resources[name], new.resources[name])
    yield from _different("Outputs", old.outputs, new.outputs)


def _different(where: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _different(f"{where}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield f"! {where}: {_brief(old)} -> {_brief(new)}"


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 100 else text[:97] + "..."


def compare(old: Path, new: Path) -> None:
    """Prints each difference once, with how many of the combinations show it."""
    pairs = list(zip(every_combination(old), every_combination(new), strict=True))
    counted = Counter(line for before, after in pairs for line in differences(before, after))
    for line, times in sorted(counted.items()):
        print(line if times == len(pairs) else f"{line}   ({times} of {len(pairs)})")


if __name__ == "__main__":
    paths = [Path(argument) for argument in sys.argv[1:]]
    if len(paths) == 1:
        paths[0].write_text(json.dumps(expanded(load()), indent=2), "utf-8")
    else:
        compare(*paths)
