"""Marks inbox items as read: some, all up to one of them, or all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.player_contracts import MarkReadRequest
    from heist_core.storage.store import Store


AT_ONCE = 99
"""As many items go into one transaction with their count."""


class Marked(NamedTuple):
    """How many were unread until now, and how many still are."""

    updated: int
    unread: int


@dataclass(frozen=True)
class MarkNotificationsRead:
    store: "Store"
    clock: Clock

    def __call__(self, player_id: str, selection: "MarkReadRequest") -> Marked:
        """Only what lies there unread is marked. Raises Unavailable."""
        now = self.clock.now()
        updated = 0
        selected = iter(self._selected(player_id, selection, now))
        while some := list(islice(selected, AT_ONCE)):
            mark = partial(self.store.mark_read, player_id, some, now)
            updated += until_uncontended(mark, self.clock)
        return Marked(updated, self.store.unread_count(player_id, now))

    def _selected(
        self, player_id: str, selection: "MarkReadRequest", now: datetime
    ) -> Sequence[tuple[str, str]]:
        """Positions and tags of what is to be marked, as far as it lies there unread."""
        if selection.names_items:
            found = self.store.in_inbox(player_id, selection.items)
            return [one for one, unread in found.items() if unread]
        if not selection.names_last:
            return list(self.store.unread_positions(player_id, now))
        last = selection.last
        if last is None or last not in self.store.in_inbox(player_id, [last]):
            return []
        return list(self.store.unread_positions(player_id, now, up_to=last[0]))
