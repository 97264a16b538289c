"""DynamoDB's typed form of an item (`{"S": "text"}`) and back.

What boto3.dynamodb.types does, without importing boto3, of which nothing else is needed.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias, cast

from heist_core.domain.errors import Malformed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Item: TypeAlias = Mapping[str, object]
Wire: TypeAlias = "dict[str, AttributeValueTypeDef]"


def to_wire(item: Item) -> Wire:
    """The typed form; attributes that are None are left out. Raises TypeError for what has none."""
    return {name: _typed(value) for name, value in item.items() if value is not None}


def _typed(value: object) -> "AttributeValueTypeDef":
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case set() | frozenset() if value and all(isinstance(one, str) for one in value):
            return {"SS": sorted(value)}
        case Mapping():
            return {"M": {name: _typed(inner) for name, inner in value.items()}}
        case list():
            return {"L": [_typed(inner) for inner in value]}
        case bytes():
            return {"B": value}
        case None:
            return {"NULL": True}
    raise TypeError(f"no item holds a {type(value).__name__}")


def from_wire(wire: Mapping[str, object]) -> dict[str, object]:
    """Plain values, numbers as Decimal; raises Malformed when it is not the typed form."""
    try:
        return {name: _plain(value) for name, value in wire.items()}
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Malformed("the image is not DynamoDB's typed form") from error


def _plain(typed: object) -> object:
    ((kind, value),) = cast("Mapping[str, object]", typed).items()
    return _READERS[kind](value)


def _same(value: object) -> object:
    return value


_READERS: Mapping[str, Callable[..., object]] = {
    "S": _same,
    "N": Decimal,
    "BOOL": _same,
    "NULL": lambda _: None,
    "M": lambda value: {name: _plain(inner) for name, inner in value.items()},
    "L": lambda value: [_plain(inner) for inner in value],
    "SS": set,
    "NS": lambda value: set(map(Decimal, value)),
    "B": _same,
    "BS": set,
}


def as_json(value: object) -> object:
    """A plain value as JSON has it: numbers as they are, sets as sorted lists."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case set() | frozenset():
            return sorted(map(as_json, value), key=str)
        case Mapping():
            return {str(name): as_json(inner) for name, inner in value.items()}
        case list():
            return [as_json(inner) for inner in value]
    return value
