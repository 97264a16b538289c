"""What can go wrong, as data. The HTTP status of each lives in `http.api`, nowhere else."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple


class HeistCoreError(Exception):
    """Base of every error that becomes an answer to the caller."""


class Issue(NamedTuple):
    """One thing wrong with a request: what, where, and what is allowed."""

    code: str
    path: tuple[str | int, ...]
    message: str


class InvalidInput(HeistCoreError):
    """The request or event has the wrong shape."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("; ".join(issue.message for issue in issues))
        self.issues = tuple(issues)


class CallerUnknown(HeistCoreError):
    """The verified token does not name a player."""


class NotFound(HeistCoreError):
    """There is nothing of that name, as far as the caller may know."""


class Conflict(HeistCoreError):
    """Not as things stand now; the code and the message say why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotAnOperator(HeistCoreError):
    """The caller's verified token does not say that they are an operator."""


class HeistRefused(HeistCoreError):
    """The rules say no. Stored with the attempt, so that every repeat says the same."""

    def __init__(self, code: str, message: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details or {})


class PassiveLocked(HeistCoreError):
    """Passive mode may not be switched yet."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class IdempotencyMismatch(HeistCoreError):
    """The Idempotency-Key was used before, with another target."""


class RateLimited(HeistCoreError):
    """Too much of something in this calendar minute; the message says of what."""

    def __init__(self, retry_after_seconds: int, message: str) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(HeistCoreError):
    """Storage did not answer, or stayed contended, until the deadline.

    The outcome may be unknown.
    """

    code = "DEPENDENCY"


class Contention(Unavailable):
    """Others kept winning the race for the same players. Nothing of this round was written."""

    code = "CONTENTION"


class Misconfigured(Unavailable):
    """Storage refuses this function, or is not there. Repeating the request does not help."""


class Erased(Exception):
    """The player's data was erased: nothing reaches them any more. Never shown to a client."""


class Malformed(Exception):
    """Stored or streamed data that cannot be read as what it should be. Never shown to a client."""


class NotReversible(Exception):
    """There is no such heist to reverse; the message tells the operator why."""


class NoSuchHeist(NotReversible):
    """Nor was there ever an attempt under this id."""


class NoSuchPlayer(Exception):
    """Nobody has heard of this player."""


class SettingsMoved(Exception):
    """Somebody else changed the settings meanwhile; nothing was written."""


class AnsweredAlready(Exception):
    """A request under the same key was answered meanwhile; nothing was written."""


class MailError(Exception):
    """Base of what can become of a mail other than being sent. `code` is SES's own."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class MailDeferred(MailError):
    """Certainly not sent; may be tried again."""


class MailRefused(MailError):
    """Certainly not sent, and never will be as it is."""


class MailDoubtful(MailError):
    """May have been sent: no answer, or an error of the server."""
