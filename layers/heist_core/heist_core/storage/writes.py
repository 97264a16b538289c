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
    sets, gone = [], []
    names: dict[str, str] = {}
    given: dict[str, object] = {":one": 1, **values}
    for name, value in attributes.items():
        word = _word(name, names)
        if value is None:
            gone.append(word)
        else:
            placeholder = f":{word.lstrip('#')}"
            sets.append(f"{word} = {placeholder}")
            given[placeholder] = value
    changes = (f"SET {', '.join(sets)} " if sets else "") + (
        f"REMOVE {', '.join(gone)} " if gone else ""
    )
    return update(key, f"{changes}ADD version :one", given, condition=condition, names=names)


def add(key: Key, attributes: Item) -> Request:
    """Add to numbers; what is not there is zero."""
    names: dict[str, str] = {}
    words = {name: _word(name, names) for name in attributes}
    values = {f":{word.lstrip('#')}": attributes[name] for name, word in words.items()}
    sums = ", ".join(f"{word} :{word.lstrip('#')}" for word in words.values())
    return update(key, f"ADD {sums}", values, names=names)


def _word(name: str, names: dict[str, str]) -> str:
    """What an attribute is called in an expression; `names` learns what is called otherwise."""
    if name.isalnum() and name not in _RESERVED:
        return name
    word = "#" + "".join(filter(str.isalnum, name))
    names[word] = name
    return word


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
