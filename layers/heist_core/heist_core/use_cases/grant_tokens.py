"""Gives a player tokens, for an operator, on a record of their own."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from heist_core.domain.action import Action, Change, Remember, forget
from heist_core.domain.award import TokenGrant
from heist_core.domain.player import Player

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.storage.operator_store import OperatorStore


@dataclass(frozen=True)
class GrantTokens:
    store: "OperatorStore"
    clock: Clock

    def preview(self, player_id: str, tokens: int) -> Change:
        """What would change now. Raises NoSuchPlayer or Unavailable."""
        return _change(self.store.known(player_id), tokens)

    def __call__(
        self, player_id: str, tokens: int, action: Action, *, remember: Remember = forget
    ) -> Change:
        """Give 1 to 5 tokens, with their record and the entry in the log.

        Time, before and after of `action` are set here. Raises NoSuchPlayer; AnsweredAlready if
        what `remember` made stands already; Contention (nothing was given) or Unavailable (it may
        have been).
        """

        def attempt() -> Change:
            player = self.store.known(player_id)
            change = _change(player, tokens)
            now = self.clock.now()
            logged = replace(action, at=now, before=change.before, after=change.after)
            given = TokenGrant(action.id, player.id, tokens, now)
            self.store.grant(player, given, logged, remember(change))
            return change

        return until_uncontended(attempt, self.clock)


def _change(player: Player, tokens: int) -> Change:
    before = (player.tokens, player.tokens_earned, player.tokens_granted)
    names = ("tokens", "totalEarned", "tokensGranted")
    return Change(
        about={"userId": player.id, "delta": tokens},
        before=dict(zip(names, before, strict=True)),
        after={name: value + tokens for name, value in zip(names, before, strict=True)},
    )
