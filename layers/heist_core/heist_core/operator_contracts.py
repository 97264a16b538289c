"""Models of operators' requests (SPEC section 2); players' functions do not load them."""

from typing import Annotated

from pydantic import BeforeValidator

from .contracts import PlayerId, Wire
from .domain.action import MOST_TOKENS_GRANTED, reason_from


class PlayerPath(Wire):
    userId: PlayerId


def _reason(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return reason_from(value)


Reason = Annotated[str, BeforeValidator(_reason)]


def _tokens(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MOST_TOKENS_GRANTED:
        raise ValueError(f"must be an integer from 1 to {MOST_TOKENS_GRANTED}")
    return value


def _version(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("must be an integer, 0 or more")
    return value


def _changes(value: object) -> dict[str, object]:
    if not isinstance(value, dict) or not value:
        raise ValueError("must be a JSON object with at least one setting")
    wrong = [name for name, each in value.items() if not isinstance(each, bool | int | str)]
    if wrong:
        raise ValueError(f"{wrong[0]} must be a number, true, false or a string")
    return value


class Asked(Wire):
    """What an operator asks for. A dry run changes nothing, and says what would change."""

    reason: Reason
    dryRun: bool = False


class ReverseRequest(Asked):
    refundToken: bool = False


class GrantRequest(Asked):
    delta: Annotated[int, BeforeValidator(_tokens)]


class SettingsRequest(Asked):
    """`variable` in place of a value takes back what was set, so that the variable counts."""

    changes: Annotated[dict[str, object], BeforeValidator(_changes)]
    expectedVersion: Annotated[int, BeforeValidator(_version)]
