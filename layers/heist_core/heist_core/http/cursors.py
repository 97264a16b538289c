"""`nextCursor`: where the next page begins, valid for one caller and one list only.

The seal tells a cursor of another list apart. It is no secret: a cursor holds nothing that its
caller has not seen, and every read begins with the caller's own key.
"""

import base64
import hashlib

from heist_core.domain.errors import InvalidInput
from heist_core.parsing import invalid

_SEAL_BYTES = 8


def cursor_of(caller_id: str, route: str, *position: str) -> str:
    """A cursor for a caller and a route. No part of a position holds a line feed."""
    text = "\n".join(position).encode()
    return base64.urlsafe_b64encode(_seal(caller_id, route, text) + text).decode().rstrip("=")


def position_in(cursor: str, caller_id: str, route: str) -> list[str]:
    """The parts that the cursor was made of. Raises InvalidInput for any other text."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        text = raw[_SEAL_BYTES:].decode()
    except ValueError as error:
        raise refused() from error
    if cursor != cursor_of(caller_id, route, text):
        raise refused()
    return text.split("\n")


def refused() -> InvalidInput:
    """For a text that is no cursor, or that of another list."""
    message = "must be the nextCursor of an earlier answer to the same question"
    return invalid("invalid_cursor", "cursor", message)


def _seal(caller_id: str, route: str, text: bytes) -> bytes:
    about = f"{len(caller_id)}:{caller_id}{route}\n".encode()
    return hashlib.sha256(about + text).digest()[:_SEAL_BYTES]
