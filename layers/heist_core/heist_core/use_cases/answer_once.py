"""Answers an operator's request, once, however often it is sent under its Idempotency-Key."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.action import Change, Receipt, Remember
from heist_core.domain.errors import AnsweredAlready, Contention, IdempotencyMismatch

from .clock import Clock

if TYPE_CHECKING:
    from heist_core.storage.operator_store import OperatorStore


class Told(NamedTuple):
    """An answer as it is sent; `kept` if its receipt was written together with the change."""

    status: int
    body: str
    kept: bool


class Answered(NamedTuple):
    status: int
    body: str
    replayed: bool


@dataclass(frozen=True)
class AnswerOnce:
    """As with heists: the first outcome under a key, success or refusal, is the outcome of every
    repeat, also at the same moment, also when the first answer was lost after the commit."""

    store: "OperatorStore"
    clock: Clock

    def __call__(
        self,
        who: str,
        key: str,
        content: str,
        act: Callable[[Remember], Told],
        told: Callable[[Change], str],
    ) -> Answered:
        """`content` is all that was asked for, as text; `told` makes the body of a success.

        `act` does it, and gives what it does `remember`. Raises IdempotencyMismatch when the key
        was used with other content; what else `act` raises is not remembered.
        """
        request_id = digest(f"{len(who)}:{who}{key}")
        asked = digest(content)

        def receipt(status: int, body: str) -> Receipt:
            return Receipt(request_id, asked, status, body, self.clock.now())

        standing = self.store.receipt(request_id)
        if standing is None:
            try:
                answer = act(lambda change: receipt(200, told(change)))
            except AnsweredAlready:
                standing = self.store.receipt(request_id)
                if standing is None:
                    raise Contention from None
            else:
                if not answer.kept:
                    standing = self.store.remember(receipt(answer.status, answer.body))
                if standing is None:
                    return Answered(answer.status, answer.body, replayed=False)
        if standing.content != asked:
            raise IdempotencyMismatch("This Idempotency-Key was used with another request")
        return Answered(standing.status, standing.body, replayed=True)


def digest(text: str) -> str:
    """What a receipt keeps of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
