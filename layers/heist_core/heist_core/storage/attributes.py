"""Attributes of items, read with the type that they must have.

Every reader raises Malformed, naming the attribute, when it is not what it should be.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from heist_core.domain.errors import Malformed
from heist_core.domain.times import from_iso, to_iso

from .wire import Item

T = TypeVar("T")


def required(item: Item, name: str, kind: type[T]) -> T:
    value = item.get(name)
    if not isinstance(value, kind):
        raise Malformed(f"{name} is missing or not of type {kind.__name__}")
    return value


def optional(item: Item, name: str, kind: type[T]) -> T | None:
    return None if item.get(name) is None else required(item, name, kind)


def integer(item: Item, name: str) -> int:
    value = required(item, name, Decimal)
    if value != value.to_integral_value():
        raise Malformed(f"{name} is not an integer")
    return int(value)


def count(item: Item, name: str) -> int:
    return 0 if item.get(name) is None else integer(item, name)


def optional_integer(item: Item, name: str) -> int | None:
    return None if item.get(name) is None else integer(item, name)


def moment(item: Item, name: str) -> datetime:
    try:
        return from_iso(required(item, name, str))
    except ValueError as error:
        raise Malformed(f"{name} is not a time") from error


def optional_moment(item: Item, name: str) -> datetime | None:
    return None if item.get(name) is None else moment(item, name)


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else to_iso(moment)


def expiry(moment: datetime, kept: timedelta) -> int:
    """`expiresAt`, from which on DynamoDB may delete an item: seconds since 1970."""
    return int((moment + kept).timestamp())
