"""Reverses a heist for an operator: once, however often it is asked for."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from heist_core.domain.action import Action
from heist_core.domain.errors import NotReversible
from heist_core.domain.heist import Heist
from heist_core.domain.reversal import Reversal, plan_reversal

from .clock import Clock
from .retry import until_answered

if TYPE_CHECKING:
    from heist_core.storage.store import Store


@dataclass(frozen=True, slots=True)
class Reversed:
    """A heist's reversal; `already` when another action made it, earlier."""

    reversal: Reversal
    already: bool


@dataclass(frozen=True)
class ReverseHeist:
    store: "Store"
    clock: Clock

    def __call__(self, heist_id: str, action: Action, *, refund_token: bool) -> Reversed:
        """Reverse a heist, with the entry in the log of operator actions in the same transaction.

        Time, before and after of `action` are set here. Its id must be new: an outcome that is
        unknown is read again, and this id tells it from what others did. Raises NotReversible;
        Contention or Unavailable when it stays so for some seconds: the same call again is safe.
        """

        def attempt() -> Reversed:
            return self._attempt(heist_id, action, refund_token=refund_token)

        return until_answered(attempt, self.clock)

    def _attempt(self, heist_id: str, action: Action, *, refund_token: bool) -> Reversed:
        heist = self.store.heist(heist_id)
        if heist is None:
            raise NotReversible("there is no such heist")
        if not isinstance(heist, Heist):
            raise NotReversible(f"it was refused ({heist.refusal.code}) and moved nothing")
        players, _ = self.store.players_and_settings(heist.parties, with_settings=False)
        attacker, victim = self.store.with_old_seasons(
            players[heist.attacker_id], players[heist.victim_id]
        )
        standing = self.store.reversal(heist_id)
        if standing is None:
            reversal = plan_reversal(
                heist, attacker, victim, self.clock.now(), action.id, refund_token=refund_token
            )
            logged = _logged(action, reversal)
            standing = self.store.commit_reversal(reversal, attacker, victim, logged)
            if standing is None:
                return Reversed(reversal, already=False)
        return Reversed(standing, already=standing.action_id != action.id)


def _logged(action: Action, reversal: Reversal) -> Action:
    return replace(
        action,
        at=reversal.at,
        before={
            "attackerPoints": reversal.attacker_points_before,
            "victimPoints": reversal.victim_points_before,
        },
        after={
            "attackerPoints": reversal.attacker_points_after,
            "victimPoints": reversal.victim_points_after,
            "shortfall": reversal.shortfall,
            "tokenRefunded": reversal.token_refunded,
        },
    )
