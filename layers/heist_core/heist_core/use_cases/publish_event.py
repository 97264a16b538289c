"""Tells the bus of an event, at least once."""

from typing import TYPE_CHECKING

from heist_core.domain.inbox import Event, Owed

if TYPE_CHECKING:
    from heist_core.messaging.bus import Bus
    from heist_core.storage.store import Store


def publish_event(store: "Store", bus: "Bus", event: Event, *done: Owed) -> None:
    """Publish, then take the debt (and others already `done`) off the marker.

    Raises Unavailable when the bus did not take it.
    """
    bus.publish(event)
    store.settle(event, Owed.EVENT, *done)
