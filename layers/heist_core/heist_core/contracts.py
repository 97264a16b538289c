"""What models of input share, and their errors in our words (SPEC section 2)."""

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
from .parsing import parse_json

PlayerId = Annotated[str, BeforeValidator(canonical_player_id)]


# Requests


class Wire(BaseModel):
    # Built when first used: a function uses one or two of these.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)


class ExecuteRequest(Wire):
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
    return parse(model, empty if empty is not None and not body else parse_json(body))
