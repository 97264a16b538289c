"""Shapes of requests (SPEC section 2), and the parsing of everything that comes in."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from .domain.errors import InvalidInput, Issue
from .domain.player import Preferences, canonical_player_id
from .domain.preferences import EMAIL_CHOICES

BODY_LIMIT = 8 * 1024
NESTING_LIMIT = 16
DEFAULT_PAGE = 50
DEFAULT_SPAN = 5
MOST_SPAN = 25
DEFAULT_TARGETS = 20
MOST_TARGETS = 50

# Texts, compiled when first used: a function uses one or two of these.
_POSITION = r"[0-9]{10}-[0-9a-f]{8}"
_SEASON = r"[0-9]{4}-(0[1-9]|1[0-2])"
_WHOLE_NUMBER = r"[0-9]{1,3}"
_IDEMPOTENCY_KEY = r"[ -~]{1,128}"
_REPEATED = r"(.{1,128}?)(?:, ?\1)+"
_PLAIN = r"\"?[A-Za-z0-9._~:+/=-]+\"?"
_DIFFERENT = f"{_PLAIN}(?:, ?{_PLAIN})+"


def _integer(value: object, lowest: int, highest: int) -> int:
    text = str(value)
    if not re.fullmatch(_WHOLE_NUMBER, text) or not lowest <= int(text) <= highest:
        raise ValueError(f"must be an integer from {lowest} to {highest}")
    return int(text)


def _limit(value: object) -> int:
    return _integer(value, 1, 100)


def _span(value: object) -> int:
    return _integer(value, 0, MOST_SPAN)


def _targets(value: object) -> int:
    return _integer(value, 1, MOST_TARGETS)


def _season(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_SEASON, value):
        raise ValueError("must be a month as YYYY-MM")
    return value


def _role(value: object) -> str:
    if value not in ("all", "attacker", "victim"):
        raise ValueError("must be all, attacker or victim")
    return str(value)


def _flag(value: object) -> bool:
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


def _cursor(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_POSITION, value):
        raise ValueError("must be the nextCursor of an earlier answer")
    return value.partition("-")[0]


def _email_choice(value: object) -> str:
    if value not in EMAIL_CHOICES:
        raise ValueError("must be instant, daily or off")
    return str(value)


PlayerId = Annotated[str, BeforeValidator(canonical_player_id)]
EmailChoice = Annotated[str, BeforeValidator(_email_choice)]

# Requests


class Wire(BaseModel):
    # Built when first used: a function uses one or two of these.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, defer_build=True)


class ExecuteRequest(Wire):
    targetUserId: PlayerId


class TargetPath(Wire):
    targetUserId: PlayerId


class NotificationsQuery(Wire):
    unreadOnly: Annotated[bool, BeforeValidator(_flag)] = False
    limit: Annotated[int, BeforeValidator(_limit)] = DEFAULT_PAGE
    cursor: Annotated[str, BeforeValidator(_cursor)] = Field(default="")


class HeistsQuery(Wire):
    """Absent: `season` is that of the cursor, else the current one."""

    role: Annotated[str, BeforeValidator(_role)] = "all"
    season: Annotated[str | None, BeforeValidator(_season)] = None
    limit: Annotated[int, BeforeValidator(_limit)] = DEFAULT_PAGE
    cursor: str | None = None


class LeaderboardQuery(Wire):
    """Absent: `season` is that of the cursor, else the current one."""

    season: Annotated[str | None, BeforeValidator(_season)] = None
    limit: Annotated[int, BeforeValidator(_limit)] = DEFAULT_PAGE
    cursor: str | None = None


class AroundQuery(Wire):
    span: Annotated[int, BeforeValidator(_span)] = DEFAULT_SPAN


class TargetsQuery(Wire):
    limit: Annotated[int, BeforeValidator(_targets)] = DEFAULT_TARGETS


class PlayerPath(Wire):
    userId: PlayerId


class PageQuery(Wire):
    """A page of an operator's list."""

    limit: Annotated[int, BeforeValidator(_limit)] = DEFAULT_PAGE
    cursor: str | None = None


class MarkReadRequest(Wire):
    """Absent members are told from given ones by `model_fields_set`; null is not absent."""

    notificationIds: Annotated[list[str], Field(max_length=100)] = Field(default=[])
    upTo: str = Field(default="")

    @model_validator(mode="after")
    def _one_selection(self) -> "MarkReadRequest":
        if {"notificationIds", "upTo"} <= self.model_fields_set:
            raise ValueError("notificationIds and upTo must not be given together")
        return self

    @property
    def names_items(self) -> bool:
        return "notificationIds" in self.model_fields_set

    @property
    def items(self) -> Sequence[tuple[str, str]]:
        """Positions and tags of what the ids may name."""
        parsed = {parse_notification_id(each) for each in self.notificationIds}
        return sorted(each for each in parsed if each is not None)

    @property
    def names_last(self) -> bool:
        return "upTo" in self.model_fields_set

    @property
    def last(self) -> tuple[str, str] | None:
        """Position and tag; None for a text that no notification has as id."""
        return parse_notification_id(self.upTo)


class EmailRequest(Wire):
    """A kind of mail that is misspelt would stay as it is, unnoticed: so it is refused."""

    model_config = ConfigDict(extra="forbid")

    robbed: EmailChoice = ""
    success: EmailChoice = ""
    reversed: EmailChoice = ""
    token: EmailChoice = ""


class PreferencesRequest(Wire):
    """What is absent stays as it is; null is not absent."""

    passive: bool = False
    hidden: bool = False
    email: EmailRequest = Field(default=EmailRequest.model_construct())

    @property
    def names_any(self) -> bool:
        """Whether it sets anything at all."""
        return bool(self.model_fields_set - {"email"} or self.email.model_fields_set)

    def applied_to(self, preferences: Preferences) -> Preferences:
        named = self.model_fields_set
        return replace(
            preferences,
            passive=self.passive if "passive" in named else preferences.passive,
            hidden=self.hidden if "hidden" in named else preferences.hidden,
            email={**preferences.email, **self.email.model_dump(exclude_unset=True)},
        )


def _reason(value: object) -> str:
    from .domain.action import reason_from  # of operators' requests alone

    if not isinstance(value, str):
        raise ValueError("must be a string")
    return reason_from(value)


Reason = Annotated[str, BeforeValidator(_reason)]


def _tokens(value: object) -> int:
    from .domain.action import MOST_TOKENS_GRANTED

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
    if not re.fullmatch(_POSITION, value):
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
