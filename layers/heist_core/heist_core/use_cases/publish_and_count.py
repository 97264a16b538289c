"""What follows from facts of the stream beside notices: an event on the bus, and statistics.

Neither waits for the other. What fails stays on the marker, for the sweeper, so that a bus that is
down does not hold up the stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from heist_core.domain.errors import Unavailable
from heist_core.domain.facts import Event, Fact
from heist_core.domain.heist import RefusedHeist
from heist_core.domain.owed import Owed

if TYPE_CHECKING:
    from .keep_statistics import KeepStatistics
    from .publish_event import PublishEvent


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
    publish_event: "PublishEvent"
    keep_statistics: "KeepStatistics"

    def __call__(self, facts: Sequence[Fact]) -> Relayed:
        """Count all, publish each that other systems are told of, and settle what is done."""
        relayed = Relayed()
        counted = self._count(facts, relayed)
        events = [fact for fact in facts if not isinstance(fact, RefusedHeist)]
        self._publish(events, (Owed.STATISTICS,) if counted else (), relayed)
        relayed.left = (len(events) - len(relayed.published)) if counted else len(facts)
        return relayed

    def _count(self, facts: Sequence[Fact], relayed: Relayed) -> bool:
        try:
            self.keep_statistics(facts)
        except Unavailable:
            return False
        except Exception as error:  # noqa: BLE001 - told to the caller
            relayed.defects.append(error)
            return False
        relayed.counted += len(facts)
        return True

    def _publish(self, events: Sequence[Event], done: Sequence[Owed], relayed: Relayed) -> None:
        """Once the bus does not answer, the rest is not tried: there may not be time for it."""
        for event in events:
            try:
                self.publish_event(event, *done)
            except Unavailable:
                return
            except Exception as error:  # noqa: BLE001 - told to the caller
                relayed.defects.append(error)
            else:
                relayed.published.append(event)
