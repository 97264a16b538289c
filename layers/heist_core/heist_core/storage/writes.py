"""The forms of a write to the table, and the named steps of a transaction. `table` sends them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .keys import Key
from .wire import Item, to_wire

Request = dict[str, object]
"""What a call takes beside the table's name, in DynamoDB's own words."""


class Step(NamedTuple):
    """One action of a transaction, under the name its cancellation reason is read by."""

    name: str
    action: Mapping[str, Request]


Transaction = Sequence[Step]
"""All steps or none."""

_RESERVED = frozenset({"hidden", "name"})
"""Of our attributes, those that are words of DynamoDB's own."""


def put(item: Item) -> Request:
    return {"Item": to_wire(item)}


def put_new(item: Item) -> Request:
    """Put an item that must not exist yet; the one that does comes back with the refusal."""
    return {
        **put(item),
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def change(key: Key, attributes: Item, values: Item, *, condition: str) -> Request:
    """Set attributes, remove those that are None, and bump the version.

    `values` are those of the condition.
    """
    there = {name: value for name, value in attributes.items() if value is not None}
    sets = ", ".join(f"{_word(name)} = :{_letters(name)}" for name in there)
    gone = ", ".join(_word(name) for name in attributes if name not in there)
    return update(
        key,
        (f"SET {sets} " if sets else "") + (f"REMOVE {gone} " if gone else "") + "ADD version :one",
        {**{f":{_letters(name)}": value for name, value in there.items()}, ":one": 1, **values},
        condition=condition,
        names=_names(attributes),
    )


def add(key: Key, attributes: Item) -> Request:
    """Add to numbers; what is not there is zero."""
    sums = ", ".join(f"{_word(name)} :{_letters(name)}" for name in attributes)
    values = {f":{_letters(name)}": value for name, value in attributes.items()}
    return update(key, f"ADD {sums}", values, names=_names(attributes))


def _word(name: str) -> str:
    """What an attribute is called in an expression."""
    plain = name.isalnum() and name not in _RESERVED
    return name if plain else f"#{_letters(name)}"


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name))


def _names(attributes: Item) -> dict[str, str]:
    words = {_word(name): name for name in attributes}
    return {word: name for word, name in words.items() if word != name}


def update(
    key: Key,
    changes: str,
    values: Item,
    *,
    condition: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Request:
    request: Request = {"Key": to_wire(key), "UpdateExpression": changes}
    if values:
        request["ExpressionAttributeValues"] = to_wire(values)
    if condition is not None:
        request["ConditionExpression"] = condition
    if names:
        request["ExpressionAttributeNames"] = dict(names)
    return request
