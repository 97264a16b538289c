"""Switches off a kind of mail by the signed link in such a mail."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.errors import NotFound
from heist_core.domain.player import Player
from heist_core.domain.preferences import email_choices
from heist_core.domain.unsubscribing import DIGEST, NOWHERE, address_hint

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.mail.links import UnsubscribeLinks
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import Store


class Subscription(NamedTuple):
    """What a link is about. `address` is a hint at where mails go, None if they go nowhere."""

    kind: str
    address: str | None
    locale: str | None


@dataclass(frozen=True)
class Unsubscribe:
    store: "Store"
    links: "UnsubscribeLinks"
    settings: "LiveSettings"
    clock: Clock

    def show(self, token: str) -> Subscription:
        """Changes nothing. Raises NotFound or Unavailable."""
        _, subscription = self._find(token)
        return subscription

    def __call__(self, token: str, *, every_kind: bool) -> Subscription:
        """Switch the link's kind of mail off, or every kind. Raises NotFound or Unavailable."""
        return until_uncontended(lambda: self._attempt(token, every_kind=every_kind), self.clock)

    def _attempt(self, token: str, *, every_kind: bool) -> Subscription:
        player, subscription = self._find(token)
        chosen = player.preferences.email
        choices = email_choices(chosen, self.settings.current)
        off = _ended(choices, subscription.kind, every_kind=every_kind)
        if off.items() - chosen.items():
            preferences = replace(player.preferences, email={**chosen, **off})
            self.store.save_preferences(player, preferences, self.clock.now())
        return subscription

    def _find(self, token: str) -> tuple[Player, Subscription]:
        """Reads a player for a wrong token, too, so that it takes as long."""
        link = self.links.link_in(token) or NOWHERE
        stale = self.settings.stale
        players, item = self.store.players_and_settings([link.player_id], with_settings=stale)
        if stale:
            self.settings.refresh(item)
        player = players[link.player_id]
        if not player.exists or player.erased:
            raise NotFound("This link is not valid")
        address = player.profile.email.value
        hint = None if address is None else address_hint(address)
        return player, Subscription(link.kind, hint, player.profile.locale.value)


def _ended(choices: Mapping[str, str], kind: str, *, every_kind: bool) -> Mapping[str, str]:
    """A digest is ended by ending every kind that comes in it."""
    if every_kind:
        return dict.fromkeys(choices, "off")
    if kind == DIGEST:
        return {each: "off" for each, how in choices.items() if how == "daily"}
    return {kind: "off"}
