"""Request models (SPEC section 2), and the parsing of all input."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
)

from .domain.errors import InvalidInput, Issue
from .domain.player import canonical_player_id

BODY_LIMIT = 8 * 1024
NESTING_LIMIT = 16


# Texts, compiled when first used: a function uses one or two of these.


NOTIFICATION_ID = r"[0-9]{10}-[0-9a-f]{8}"
_IDEMPOTENCY_KEY = r"[ -~]{1,128}"
_REPEATED = r"(.{1,128}?)(?:, ?\1)+"
_PLAIN = r"\"?[A-Za-z0-9._~:+/=-]+\"?"
_DIFFERENT = f"{_PLAIN}(?:, ?{_PLAIN})+"


PlayerId = Annotated[str, BeforeValidator(canonical_player_id)]


# Requests


class Wire(BaseModel):
    # Built when first used: a function uses one or two of these.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)


class ExecuteRequest(Wire):
    targetUserId: PlayerId


class TargetPath(Wire):
    targetUserId: PlayerId


# Parsing

_IN_OUR_WORDS = {
    "missing": "is required",
    "model_type": "must be a JSON object",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "list_type": "must be a list",
    "extra_forbidden": "is not known here",
}
M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], values: object) -> M:
    """Validate a value against a model; raises InvalidInput naming every field that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(
            [
                _issue(problem["type"], problem["loc"], problem["msg"])
                for problem in error.errors(include_url=False, include_input=False)
            ]
        ) from error


def _issue(code: str, path: Sequence[str | int], message: str) -> Issue:
    text = _IN_OUR_WORDS.get(code, message.removeprefix("Value error, "))
    field = ".".join(str(part) for part in path)
    return Issue(code, tuple(path), f"{field}: {text}" if field else text)


def parse_body(model: type[M], body: bytes, *, empty: Mapping[str, object] | None = None) -> M:
    """Validate a JSON body of at most 8 KiB.

    `empty` stands for a body of no bytes, where that is allowed. Raises InvalidInput.
    """
    if not body and empty is not None:
        return parse(model, empty)
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
    return parse(model, value)


def parse_idempotency_key(value: str | None) -> str | None:
    """The Idempotency-Key header; raises InvalidInput unless it is 1-128 printable ASCII.

    A repeated header arrives as one, joined by commas: equal parts are one key, different ones are
    no key. A comma in a text that no client makes keys of is part of the key.
    """
    if value is None:
        return None
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
    return InvalidInput([_issue(code, (field,), message)])


def _invalid(code: str, message: str) -> InvalidInput:
    return InvalidInput([Issue(code, (), message)])


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
