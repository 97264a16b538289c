"""Publishes the facts of the stream on the bus, and counts them in the statistics.

Neither waits for the other. What fails stays on the marker, for the sweeper, so that a bus that is
down does not hold up the stream.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from heist_core.domain.award import Award
from heist_core.domain.errors import Unavailable
from heist_core.domain.facts import Event, Fact, Uneventful
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.owed import Owed

if TYPE_CHECKING:
    from heist_core.messaging.bus import Bus
    from heist_core.storage.store import Store

    from .keep_statistics import KeepStatistics


@dataclass(slots=True)
class Relayed:
    """What a call did, in facts; `left` to the sweeper are those that still owe something.

    `defects` are the errors among the reasons that no repetition mends.
    """

    published: list[Event] = field(default_factory=list)
    counted: int = 0
    left: int = 0
    defects: list[Exception] = field(default_factory=list)


@dataclass(frozen=True)
class PublishAndCount:
    store: "Store"
    bus: "Bus"
    keep_statistics: "KeepStatistics"

    def __call__(self, facts: Sequence[Fact]) -> Relayed:
        """Publish each that has an event out, count all, and settle what is done.

        A heist that is counted is settled by that, in the same transaction.
        """
        relayed = Relayed()
        events = [fact for fact in facts if not isinstance(fact, Uneventful)]
        self._publish(events, relayed)
        settled = self._count(facts, relayed)
        done = {Owed.EVENT: relayed.published, Owed.STATISTICS: facts if relayed.counted else ()}
        undone = 0
        for fact in facts:
            owed = [one for one, such in done.items() if fact in such]
            by_count = isinstance(fact, RefusedHeist) or (
                isinstance(fact, Heist) and fact.heist_id in settled
            )
            undone += not (by_count or not owed or self._settled(fact, owed, relayed))
        unpublished = len(events) - len(relayed.published)
        relayed.left = max(unpublished, undone) if relayed.counted else len(facts)
        return relayed

    def _publish(self, events: Sequence[Event], relayed: Relayed) -> None:
        """Once the bus does not answer, the rest is not tried: there may not be time for it."""
        for event in events:
            try:
                self.bus.publish(event)
            except Unavailable:
                return
            except Exception as error:  # noqa: BLE001 - told to the caller
                relayed.defects.append(error)
            else:
                relayed.published.append(event)

    def _count(self, facts: Sequence[Fact], relayed: Relayed) -> Collection[str]:
        """The ids of heists that owe neither event nor statistics any more."""
        published = {fact.heist_id for fact in relayed.published if isinstance(fact, Heist)}
        try:
            counted = self.keep_statistics(facts, published=published)
        except Unavailable:
            return ()
        except Exception as error:  # noqa: BLE001 - told to the caller
            relayed.defects.append(error)
            return ()
        relayed.counted += len(facts)
        return counted & published

    def _settled(self, fact: Fact, owed: Sequence[Owed], relayed: Relayed) -> bool:
        try:
            last = not isinstance(fact, Award) or self.store.owes_only(fact, *owed)
            self.store.settle(fact, *owed, last=last)
        except Unavailable:
            return False
        except Exception as error:  # noqa: BLE001 - told to the caller
            relayed.defects.append(error)
            return False
        return True
