"""Carries out an operator's request once, however often its Idempotency-Key is sent."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.action import Change, Receipt, Remember
from heist_core.domain.errors import AnsweredAlready, Contention, IdempotencyMismatch

from .clock import Clock

if TYPE_CHECKING:
    from heist_core.storage.operator_store import OperatorStore


class Outcome(NamedTuple):
    """The answer to a request; `kept` if its receipt was written together with the change."""

    status: int
    body: str
    kept: bool


class Answered(NamedTuple):
    status: int
    body: str
    replayed: bool


@dataclass(frozen=True)
class AnswerOnce:
    """The first outcome under a key, success or refusal, is the outcome of every repeat: also of a
    concurrent one, and of one whose first answer was lost after the commit."""

    store: "OperatorStore"
    clock: Clock

    def __call__(
        self,
        operator_id: str,
        key: str,
        content: str,
        act: Callable[[Remember], Outcome],
        success_body: Callable[[Change], str],
    ) -> Answered:
        """`content` is the whole request as text; `act` carries it out.

        `act` gets a function that makes the receipt to store with the change. Raises
        IdempotencyMismatch when the key was used with other content; other exceptions of `act`
        pass, and are not stored.
        """
        request_id = digest(f"{len(operator_id)}:{operator_id}{key}")
        content_digest = digest(content)

        def receipt(status: int, body: str) -> Receipt:
            return Receipt(request_id, content_digest, status, body, self.clock.now())

        stored = self.store.receipt(request_id)
        if stored is None:
            try:
                answer = act(lambda change: receipt(200, success_body(change)))
            except AnsweredAlready:
                stored = self.store.receipt(request_id)
                if stored is None:
                    raise Contention from None
            else:
                if not answer.kept:
                    stored = self.store.remember(receipt(answer.status, answer.body))
                if stored is None:
                    return Answered(answer.status, answer.body, replayed=False)
        if stored.content != content_digest:
            raise IdempotencyMismatch("This Idempotency-Key was used with another request")
        return Answered(stored.status, stored.body, replayed=True)


def digest(text: str) -> str:
    """The digest that a receipt stores in place of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
