"""Models of the query parameters of lists (SPEC section 2)."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from .contracts import Wire
from .parsing import NOTIFICATION_ID

DEFAULT_PAGE = 50
DEFAULT_SPAN = 5
MOST_SPAN = 25
DEFAULT_TARGETS = 20
MOST_TARGETS = 50

_SEASON = r"[0-9]{4}-(0[1-9]|1[0-2])"
_WHOLE_NUMBER = r"[0-9]{1,3}"


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
    if not isinstance(value, str) or not re.fullmatch(NOTIFICATION_ID, value):
        raise ValueError("must be the nextCursor of an earlier answer")
    return value.partition("-")[0]


PageLimit = Annotated[int, BeforeValidator(_limit)]


class NotificationsQuery(Wire):
    unreadOnly: Annotated[bool, BeforeValidator(_flag)] = False
    limit: PageLimit = DEFAULT_PAGE
    cursor: Annotated[str, BeforeValidator(_cursor)] = Field(default="")


class HeistsQuery(Wire):
    """Absent: `season` is that of the cursor, else the current one."""

    role: Annotated[str, BeforeValidator(_role)] = "all"
    season: Annotated[str | None, BeforeValidator(_season)] = None
    limit: PageLimit = DEFAULT_PAGE
    cursor: str | None = None


class LeaderboardQuery(Wire):
    """Absent: `season` is that of the cursor, else the current one."""

    season: Annotated[str | None, BeforeValidator(_season)] = None
    limit: PageLimit = DEFAULT_PAGE
    cursor: str | None = None


class AroundQuery(Wire):
    span: Annotated[int, BeforeValidator(_span)] = DEFAULT_SPAN


class TargetsQuery(Wire):
    limit: Annotated[int, BeforeValidator(_targets)] = DEFAULT_TARGETS


class PageQuery(Wire):
    """A page of an operator's list."""

    limit: PageLimit = DEFAULT_PAGE
    cursor: str | None = None
