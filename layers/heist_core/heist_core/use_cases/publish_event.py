"""Tells the bus of a heist or an award, at least once."""

from typing import TYPE_CHECKING

from heist_core.domain.award import Award
from heist_core.domain.heist import Heist
from heist_core.domain.inbox import Owed

if TYPE_CHECKING:
    from heist_core.messaging.bus import Bus
    from heist_core.storage.store import Store


def publish_event(store: "Store", bus: "Bus", event: Heist | Award) -> None:
    """Publish, then take the debt off the marker. Raises Unavailable when the bus did not take it."""
    bus.publish(event)
    store.settle(event, Owed.EVENT)
