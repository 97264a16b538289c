"""Parses input that needs no model, without pydantic."""

import json
import re

from .domain.errors import InvalidInput, Issue

BODY_LIMIT = 8 * 1024
NESTING_LIMIT = 16

# Texts, compiled when first used: a function uses one or two of these.
NOTIFICATION_ID = r"[0-9]{10}-[0-9a-f]{8}"
_IDEMPOTENCY_KEY = r"[ -~]{1,128}"
_REPEATED = r"(.{1,128}?)(?:, ?\1)+"
_PLAIN = r"\"?[A-Za-z0-9._~:+/=-]+\"?"
_DIFFERENT = f"{_PLAIN}(?:, ?{_PLAIN})+"


def parse_json(body: bytes) -> dict[str, object]:
    """The members of a JSON object of at most 8 KiB; raises InvalidInput."""
    if len(body) > BODY_LIMIT:
        raise _invalid("too_long", f"the body must not be longer than {BODY_LIMIT} bytes")
    try:
        value: object = _JSON.decode(body.decode("utf-8"))
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as error:
        raise _invalid("invalid_json", "the body must be JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise _invalid("invalid_type", "the body must be a JSON object")
    if _deeper_than(NESTING_LIMIT, value):
        raise _invalid("too_deep", f"the body must not be nested deeper than {NESTING_LIMIT}")
    return value


def parse_idempotency_key(value: str | None) -> str | None:
    """The Idempotency-Key header; raises InvalidInput unless it is 1-128 printable ASCII.

    A repeated header arrives as one, joined by commas: equal parts are one key, different ones are
    no key. A comma in a text that no client makes keys of is part of the key.
    """
    if value is None:
        return None
    key = value
    if "," in value:
        repeated = re.fullmatch(_REPEATED, value)
        key = value if repeated is None else repeated[1]
        if re.fullmatch(_DIFFERENT, key):
            raise invalid("repeated_header", "Idempotency-Key", "must be given once")
    if not re.fullmatch(_IDEMPOTENCY_KEY, key):
        allowed = "must be 1 to 128 printable ASCII characters"
        raise invalid("invalid_header", "Idempotency-Key", allowed)
    return key


def parse_notification_id(value: str) -> tuple[str, str] | None:
    """Position and tag of a notification id; None for a text that no notification has as id."""
    if not re.fullmatch(NOTIFICATION_ID, value):
        return None
    position, _, tag = value.partition("-")
    return position, tag


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _invalid("duplicate_name", "the body must not hold the same name twice")
    return members


def _deeper_than(limit: int, value: object) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_deeper_than(limit - 1, child) for child in children)


def _no_constant(name: str) -> object:
    raise ValueError(name)


def invalid(code: str, field: str, message: str) -> InvalidInput:
    """One thing wrong with one field."""
    return InvalidInput([Issue(code, (field,), f"{field}: {message}")])


def _invalid(code: str, message: str) -> InvalidInput:
    return InvalidInput([Issue(code, (), message)])


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
