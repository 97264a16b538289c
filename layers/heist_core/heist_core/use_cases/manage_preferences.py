"""Shows and changes a player's preferences: passive mode, hidden, and which mails."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.errors import PassiveLocked
from heist_core.domain.heist import plural
from heist_core.domain.player import Player, Preferences
from heist_core.domain.preferences import email_choices, passive_locked_until
from heist_core.domain.times import hours_left

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.player_contracts import PreferencesRequest
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import Store


class Shown(NamedTuple):
    """Preferences as their player sees them; None: passive mode may be switched now."""

    preferences: Preferences
    passive_locked_until: datetime | None
    email: Mapping[str, str]
    """The delivery of each kind, the default where nothing was chosen."""


@dataclass(frozen=True)
class ManagePreferences:
    store: "Store"
    settings: "LiveSettings"
    clock: Clock

    def show(self, player_id: str) -> Shown:
        """Defaults for a player never seen. Raises Unavailable."""
        return self._shown(self._read(player_id))

    def change(self, player_id: str, changes: "PreferencesRequest") -> Shown:
        """All changes or none. Nothing is stored of a player who was erased.

        Raises PassiveLocked, Contention or Unavailable.
        """
        return until_uncontended(lambda: self._attempt(player_id, changes), self.clock)

    def _attempt(self, player_id: str, changes: "PreferencesRequest") -> Shown:
        seen, now = self._read(player_id), self.clock.now()
        if seen.erased:
            return self._shown(seen)
        preferences = changes.applied_to(seen.preferences)
        if preferences.passive != seen.preferences.passive:
            locked_until = passive_locked_until(seen, self.settings.current, now)
            if locked_until is not None:
                hours = plural(hours_left(locked_until, now), "hour")
                raise PassiveLocked(f"You can switch passive mode in {hours}", locked_until)
            preferences = replace(preferences, passive_switched_at=now)
        if preferences != seen.preferences or (changes.names_any and not seen.exists):
            self.store.save_preferences(seen, preferences, now)
        return self._shown(replace(seen, preferences=preferences))

    def _read(self, player_id: str) -> Player:
        stale = self.settings.stale
        players, item = self.store.players_and_settings([player_id], with_settings=stale)
        if stale:
            self.settings.refresh(item)
        return players[player_id]

    def _shown(self, player: Player) -> Shown:
        if player.erased:
            player = Player(player.id)
        settings = self.settings.current
        return Shown(
            player.preferences,
            passive_locked_until(player, settings, self.clock.now()),
            email_choices(player.preferences.email, settings),
        )
