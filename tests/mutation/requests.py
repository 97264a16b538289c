"""Mutants of what goes over the wire: requests to DynamoDB without one of their parts.

Nothing here knows the product's text or its names. A write is known by the kind of its item, its
condition, and the function that sends it. So whatever the tests make the product send is found, and
broken, wherever it is built.
"""

import copy
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from local.tools import ROOT

if TYPE_CHECKING:
    from types import FrameType

Request = dict[str, Any]

SINGLE = {"PutItem": "Put", "UpdateItem": "Update", "DeleteItem": "Delete"}
_PRODUCT = (f"{ROOT}/layers/", f"{ROOT}/ops/", f"{ROOT}/functions/")
_STORAGE = f"{ROOT}/layers/heist_core/heist_core/storage/"
_GATEWAY = f"{_STORAGE}table.py"
_BETWEEN = ("/botocore/", "/boto3/", "/tests/fakes.py", __file__)
"""Whose frames lie between the product and the wire."""
_KIND = re.compile("[A-Z]")
"""How the kinds of the product's items begin; tests of the gateway send others."""
_ONE_A_NAME = frozenset({"POINT_TYPES"})
_SETTING = re.compile("[A-Z][A-Z_]+")
_KEY = frozenset({"pk", "sk"})
_CHANGES = re.compile(r"\b(SET|ADD|REMOVE|DELETE)\s+")
_WORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN"})


class Place(NamedTuple):
    """A write among all that the product sends; `nth` of those alike in one call, -1 for all."""

    write: str
    sender: str
    nth: int = 0

    def __str__(self) -> str:
        nth = f" ({self.nth + 1})" if self.nth > 0 else ""
        return f"{self.write}{nth}, in {self.sender}"

    def wherever(self) -> "Place":
        return self._replace(nth=-1)


@dataclass(frozen=True, order=True)
class Mutant:
    """`family` is what kind of part is missing, `part` which one."""

    family: str
    place: Place
    part: str = ""

    def __str__(self) -> str:
        return f"{self.family} {self.part} of {self.place}".replace("  ", " ")

    @property
    def at(self) -> object:
        return self.place.write

    def is_at(self, place: Place) -> bool:
        return self.place in (place, place.wherever())

    def break_(self, request: Request) -> Request | None:
        """The request without the part; None is no request at all."""
        return _BREAKS[self.family](request, self.part)


# What a request says


def _kind(request: Request) -> str:
    key = request.get("Key") or request["Item"]
    pk, sk = key["pk"]["S"], key["sk"]["S"]
    head = pk.partition("#")[0]
    words = re.findall(r"\b[A-Z][A-Z_]+\b", sk)
    if head in _ONE_A_NAME or not words or words[0] == head:
        return str(head)
    return f"{head}/{words[0]}"


def clauses(expression: str) -> list[tuple[str, str]]:
    """Verb and text of everything that an update changes."""
    parts = _CHANGES.split(expression)[1:]
    found = []
    for verb, text in zip(parts[::2], parts[1::2], strict=True):
        found += [(verb, one.strip()) for one in re.split(r",(?![^(]*\))", text)]
    return found


def _clause_name(verb: str, text: str) -> str:
    """Without placeholders and numbers, which vary between requests that say the same."""
    path = re.split(r"[\s=]", text)[0]
    if path.startswith("#"):  # whatever names there are
        return "ADD names" if verb == "ADD" else "SET or REMOVE names"
    return f"{verb} {re.sub(r'[0-9]+', 'N', path)}"


def operands(condition: str) -> list[str]:
    """What stands between its AND and OR, one level deep into parentheses."""
    return [one.strip() for one in re.split(r"\b(?:AND|OR)\b", condition)]


def _condition_name(condition: str) -> str:
    """Names in capitals are those of settings, any of which may be there."""

    def without_name(word: "re.Match[str]") -> str:
        return word[0] if word[0] in _WORDS else "NAME"

    named = re.sub(r"\b[A-Z][A-Z_]+\b", without_name, condition)
    return re.sub(r"(\S.*?)( AND \1)+(?= AND|$)", r"\1", named)


def _expressions(request: Request) -> tuple[str, str]:
    return request.get("UpdateExpression", ""), request.get("ConditionExpression", "")


def writes(operation: str, params: Mapping[str, Any]) -> list[tuple[str, Request]]:
    """Action and request of everything that a call writes."""
    if operation in SINGLE:
        return [(SINGLE[operation], dict(params))]
    if operation == "TransactWriteItems":
        return [next(iter(step.items())) for step in params["TransactItems"]]
    return []


def places(sender: str, operation: str, params: Mapping[str, Any]) -> list[Place]:
    """Where each write of a call stands."""
    names = []
    for action, request in writes(operation, params):
        condition = request.get("ConditionExpression", "")
        suffix = f" if {_condition_name(condition)}" if condition else ""
        names.append(f"{action} {_kind(request)}{suffix}")
    return [Place(name, sender, names[:n].count(name)) for n, name in enumerate(names)]


# What can be broken


def _without_condition(request: Request, _: str) -> Request:
    request.pop("ConditionExpression")
    request.pop("ReturnValuesOnConditionCheckFailure", None)
    return request


def _without_operand(request: Request, part: str) -> Request:
    """An operand that is dropped does not decide what it is joined with first: an AND or an OR."""
    condition = request["ConditionExpression"]
    neutral = {"AND": "attribute_not_exists(neverThere)", "OR": "attribute_exists(neverThere)"}
    number = int(part)
    words = re.split(r"\b(AND|OR)\b", condition)
    text = words[number * 2].strip()
    joined = words[number * 2 + 1 if text.startswith("(") or not number else number * 2 - 1]
    opened = len(text) - len(text.lstrip("("))
    closed = text.count(")") - text.count("(") + opened
    words[number * 2] = f" {'(' * opened}{neutral[joined]}{')' * closed} "
    request["ConditionExpression"] = "".join(words).strip()
    return request


def _without_clause(request: Request, part: str) -> Request:
    return _with_clauses(
        request, [one for one in _clauses_of(request) if _clause_name(*one) != part]
    )


def _version_stays(request: Request, _: str) -> Request:
    """A new player gets a version, and no change bumps it."""
    changed = [
        ("SET", f"version = if_not_exists(version, {text.split()[1]})")
        if _clause_name(verb, text) == "ADD version"
        else (verb, text)
        for verb, text in _clauses_of(request)
    ]
    return _with_clauses(request, changed)


def _clauses_of(request: Request) -> list[tuple[str, str]]:
    return clauses(request["UpdateExpression"])


def _with_clauses(request: Request, left: list[tuple[str, str]]) -> Request:
    verbs = dict.fromkeys(verb for verb, _ in left)
    texts = [f"{verb} " + ", ".join(one for of, one in left if of == verb) for verb in verbs]
    request.pop("UpdateExpression")
    if texts:
        request["UpdateExpression"] = " ".join(texts)
    return request


def _without_attribute(request: Request, part: str) -> Request:
    for name in [one for one in request["Item"] if _attribute_name(one) == part]:
        request["Item"].pop(name)
    return request


def _attribute_name(name: str) -> str:
    """Those in capitals are settings, any of which may be there."""
    return "NAME" if _SETTING.fullmatch(name) else name


def _with_another_value(request: Request, part: str) -> Request:
    values = request["ExpressionAttributeValues"]
    for name in [one for one in values if re.sub("[0-9]+", "N", one) == part]:
        ((kind, value),) = values[name].items()
        values[name] = {kind: _another(kind, value)}
    return request


def _another(kind: str, value: Any) -> Any:
    match kind:
        case "N":
            return str(int(value) + 1)
        case "S":
            return f"{value}x"
        case "SS":
            return [f"{one}x" for one in value]
        case "BOOL":
            return not value
    return value


def _not_sent(_: Request, __: str) -> None:
    return None


_BREAKS: Mapping[str, Callable[[Request, str], Request | None]] = {
    "condition": _without_condition,
    "operand": _without_operand,
    "step": _not_sent,
    "change": _without_clause,
    "version bump": _version_stays,
    "attribute": _without_attribute,
    "value": _with_another_value,
}


def mutants(sender: str, operation: str, params: Mapping[str, Any]) -> Iterator[Mutant]:
    """Every way to break a call: one write of those alike in it, or all."""
    sent = zip(writes(operation, params), places(sender, operation, params), strict=True)
    for (action, request), place in sent:
        if _KIND.match(_kind(request)):
            for family, part in _breakable(action, request):
                yield Mutant(family, place, part)
                yield Mutant(family, place.wherever(), part)


def _breakable(action: str, request: Request) -> Iterator[tuple[str, str]]:
    """Family and part of what a write consists of."""
    yield "step", ""
    update, condition = _expressions(request)
    if condition:
        yield "condition", ""
        count = len(operands(condition))
        if count > 1 and "NAME" not in _condition_name(condition):
            yield from (("operand", str(number)) for number in range(count))
    for name in {_clause_name(*clause) for clause in clauses(update)}:
        if name != "ADD version":
            yield "change", name
        elif "attribute_not_exists(version)" not in condition:  # its first is the same
            yield "version bump", ""
    for name in {
        re.sub("[0-9]+", "N", one) for one in request.get("ExpressionAttributeValues", ())
    }:
        yield "value", name
    if action == "Put":
        for name in {_attribute_name(one) for one in request["Item"].keys() - _KEY}:
            yield "attribute", name


Calls = dict[object, frozenset[Mutant]]


def mutants_of(
    known: Calls, sender: str, operation: str, params: Mapping[str, Any]
) -> frozenset[Mutant]:
    """The same, taken from what is known of calls that say the same."""
    parts = [
        (
            *_expressions(request),
            *request.get("ExpressionAttributeValues", ()),
            *request.get("Item", ()),
        )
        for _, request in writes(operation, params)
    ]
    call = (*places(sender, operation, params), *parts)
    if call not in known:
        known[call] = frozenset(mutants(sender, operation, params))
    return known[call]


def broken(
    sender: str, operation: str, params: Mapping[str, Any], mutant: Mutant
) -> dict[str, Any] | None:
    """The call as the mutant sends it; None if it sends nothing."""
    changed = copy.deepcopy(dict(params))
    left = [
        (action, mutant.break_(request) if mutant.is_at(place) else request)
        for (action, request), place in zip(
            writes(operation, changed), places(sender, operation, params), strict=True
        )
    ]
    steps = [{action: _tidy(request)} for action, request in left if request is not None]
    if not steps:
        return None
    if operation not in SINGLE:
        return {**changed, "TransactItems": steps}
    return next(iter(steps[0].values()))


def _tidy(request: Request) -> Request:
    """Takes names and values away that no expression uses, which DynamoDB refuses."""
    texts = (str(request.get(name, "")) for name in ("UpdateExpression", "ConditionExpression"))
    used = set(re.findall(r"[:#]\w+", " ".join(texts)))
    for part in ("ExpressionAttributeValues", "ExpressionAttributeNames"):
        defined = request.pop(part, {})
        if left := {name: defined[name] for name in defined if name in used}:
            request[part] = left
    return request


# On the way


@dataclass
class Watch:
    """Sees every call of the product, and which of its writes were refused."""

    sent: Callable[[str, str, Mapping[str, Any]], None] = lambda *_: None
    refused: Callable[[list[Place]], None] = lambda _: None
    mutant: Mutant | None = None


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Every client of this process is watched, and its requests are broken."""
    carry_out = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: BaseClient, operation: str, params: Mapping[str, Any]) -> Any:
        writing = operation in SINGLE or operation == "TransactWriteItems"
        sender = _sender() if writing else ""
        if not sender:
            return carry_out(client, operation, params)
        watch.sent(sender, operation, params)
        mutant = watch.mutant
        sent = params if mutant is None else broken(sender, operation, params, mutant)
        if sent is None:
            return {}
        try:
            return carry_out(client, operation, sent)
        except ClientError as error:
            watch.refused(_refused(error, places(sender, operation, params)))
            raise

    with patch.object(BaseClient, "_make_api_call", call):
        yield


def _refused(error: ClientError, found: list[Place]) -> list[Place]:
    response: Mapping[str, Any] = error.response
    if response["Error"]["Code"] == "ConditionalCheckFailedException":
        return found
    reasons = [reason["Code"] for reason in response.get("CancellationReasons", ())]
    return [
        place
        for place, reason in zip(found, reasons, strict=False)
        if reason == "ConditionalCheckFailed"
    ]


def _sender() -> str:
    """The function of the product that writes through the gateway, in the storage package a public
    one if there is one; empty for a test."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and any(one in frame.f_code.co_filename for one in _BETWEEN):
        frame = frame.f_back
    sender = ""
    while frame is not None and frame.f_code.co_filename.startswith(_PRODUCT):
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if file != _GATEWAY and name[0] != "<":
            if sender and not file.startswith(_STORAGE):
                break
            sender = name
            if name[0] != "_":
                break
        frame = frame.f_back
    return sender
