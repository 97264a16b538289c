"""Publishes a fact on the bus, at least once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heist_core.domain.facts import Event
from heist_core.domain.owed import Owed

if TYPE_CHECKING:
    from heist_core.messaging.bus import Bus
    from heist_core.storage.store import Store


@dataclass(frozen=True)
class PublishEvent:
    store: "Store"
    bus: "Bus"

    def __call__(self, event: Event) -> None:
        """Publish, then remove the owed entry from the marker.

        Raises Unavailable when the bus did not take it.
        """
        self.bus.publish(event)
        self.store.settle(event, Owed.EVENT)
