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


def put(item: Item) -> Request:
    return {"Item": to_wire(item)}


def put_new(item: Item) -> Request:
    """Put an item that must not exist yet; the one that does comes back with the refusal."""
    return {
        **put(item),
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def and_set(attributes: Item) -> str:
    """What sets attributes more, behind others in an expression."""
    return "".join(f", {name} = :{name}" for name in attributes)


def as_values(attributes: Item) -> dict[str, object]:
    """The values for `and_set`."""
    return {f":{name}": value for name, value in attributes.items()}


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
    if names is not None:
        request["ExpressionAttributeNames"] = dict(names)
    return request
