"""Blocks a player from heists, or unblocks them, for an operator."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from heist_core.domain.action import Action, Change, Remember, forget
from heist_core.domain.player import Player

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.storage.operator_store import OperatorStore


@dataclass(frozen=True)
class BlockPlayer:
    store: "OperatorStore"
    clock: Clock

    def preview(self, player_id: str, *, blocked: bool) -> Change:
        """What would change now. Raises NoSuchPlayer or Unavailable."""
        return _change(self.store.known(player_id), blocked=blocked)

    def __call__(
        self, player_id: str, action: Action, *, blocked: bool, remember: Remember = forget
    ) -> Change:
        """Block or unblock, with the entry in the log; what is so already is left as it is.

        Time, before and after of `action` are set here. Raises NoSuchPlayer; AnsweredAlready if
        what `remember` made stands already; Contention or Unavailable.
        """

        def attempt() -> Change:
            player = self.store.known(player_id)
            change = _change(player, blocked=blocked)
            if not change.changed:
                return change
            now = self.clock.now()
            logged = replace(action, at=now, before=change.before, after=change.after)
            if blocked:
                self.store.block(player, now, logged, remember(change))
            else:
                self.store.unblock(player, logged, remember(change))
            return change

        return until_uncontended(attempt, self.clock)


def _change(player: Player, *, blocked: bool) -> Change:
    return Change(
        about={"userId": player.id, "blocked": blocked},
        before={"blocked": player.blocked},
        after={"blocked": blocked},
        changed=player.blocked != blocked,
    )
