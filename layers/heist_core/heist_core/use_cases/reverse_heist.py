"""Reverses a heist for an operator: once, however often it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from heist_core.domain.action import Action, Change, Remember, forget
from heist_core.domain.errors import NoSuchHeist, NotReversible
from heist_core.domain.heist import Heist
from heist_core.domain.player import Player
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

    @property
    def change(self) -> Change:
        """As it is logged, and told by command and API."""
        undone = self.reversal
        return Change(
            about={
                "heistId": undone.heist_id,
                "attackerId": undone.attacker_id,
                "victimId": undone.victim_id,
                "season": undone.season,
                "pointsStolen": undone.points_stolen,
                "pointsReturned": undone.points_returned,
                "shortfall": undone.shortfall,
                "tokenRefunded": undone.token_refunded,
                "cooldownLifted": undone.cooldown_lifted,
            },
            before={
                "attackerPoints": undone.attacker_points_before,
                "victimPoints": undone.victim_points_before,
            },
            after={
                "attackerPoints": undone.attacker_points_after,
                "victimPoints": undone.victim_points_after,
                "shortfall": undone.shortfall,
                "tokenRefunded": undone.token_refunded,
            },
            changed=not self.already,
        )


@dataclass(frozen=True)
class ReverseHeist:
    store: "Store"
    clock: Clock

    repeat: Callable[[Callable[[], Reversed], Clock], Reversed] = until_answered
    """What to do until others, or a table that does not answer, are out of the way."""

    def preview(self, heist_id: str, *, refund_token: bool) -> Reversed:
        """What a reversal would do now. Raises NotReversible or Unavailable."""
        heist, attacker, victim = self._read(heist_id)
        standing = self.store.reversal(heist_id)
        if standing is not None:
            return Reversed(standing, already=True)
        now = self.clock.now()
        planned = plan_reversal(heist, attacker, victim, now, "", refund_token=refund_token)
        return Reversed(planned, already=False)

    def __call__(
        self, heist_id: str, action: Action, *, refund_token: bool, remember: Remember = forget
    ) -> Reversed:
        """Reverse a heist, with the entry in the log of operator actions in the same transaction.

        Time, before and after of `action` are set here. Its id must be new: an outcome that is
        unknown is read again, and this id tells it from what others did. Raises NotReversible;
        Contention or Unavailable when it stays so for some seconds: the same call again is safe.
        Raises AnsweredAlready if what `remember` made stands already.
        """

        def attempt() -> Reversed:
            return self._attempt(heist_id, action, remember, refund_token=refund_token)

        return self.repeat(attempt, self.clock)

    def _read(self, heist_id: str) -> tuple[Heist, Player, Player]:
        heist = self.store.heist(heist_id)
        if heist is None:
            raise NoSuchHeist("there is no such heist")
        if not isinstance(heist, Heist):
            raise NotReversible(f"it was refused ({heist.refusal.code}) and moved nothing")
        players, _ = self.store.players_and_settings(heist.parties, with_settings=False)
        attacker, victim = self.store.with_old_seasons(
            players[heist.attacker_id], players[heist.victim_id]
        )
        return heist, attacker, victim

    def _attempt(
        self, heist_id: str, action: Action, remember: Remember, *, refund_token: bool
    ) -> Reversed:
        heist, attacker, victim = self._read(heist_id)
        standing = self.store.reversal(heist_id)
        if standing is None:
            reversal = plan_reversal(
                heist, attacker, victim, self.clock.now(), action.id, refund_token=refund_token
            )
            done = Reversed(reversal, already=False)
            change = done.change
            logged = replace(action, at=reversal.at, before=change.before, after=change.after)
            standing = self.store.commit_reversal(
                reversal, attacker, victim, logged, remember(change)
            )
            if standing is None:
                return done
        return Reversed(standing, already=standing.action_id != action.id)
