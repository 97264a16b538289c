"""Records bounces and complaints: such an address gets no more mail."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from heist_core.domain.mail_feedback import Feedback, state_after, suppression_after
from heist_core.domain.mails import MailRecord

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.storage.store import Store


class Recorded(NamedTuple):
    """Whether the mail is ours, and whether its state or its player's address changed."""

    ours: bool
    moved: bool = False
    suppressed: bool = False


@dataclass(frozen=True)
class RecordMailFeedback:
    store: "Store"
    clock: Clock

    def __call__(self, feedback: Feedback) -> Recorded:
        """May be called any number of times, in any order: a repeat changes nothing.

        Raises Contention or Unavailable.
        """
        return until_uncontended(lambda: self._attempt(feedback), self.clock)

    def _attempt(self, feedback: Feedback) -> Recorded:
        name = feedback.name
        seen = None
        if name.about != "digest":
            seen = self.store.named_mail(name)
            if seen is None:
                return Recorded(ours=False)
        player = self.store.player(name.recipient_id)
        if not player.exists:
            return Recorded(ours=False)
        state = None if seen is None else state_after(seen.state, feedback.state)
        if seen is not None and state is None and seen.state is feedback.state:
            return Recorded(ours=True)
        suppression = suppression_after(player, feedback)
        profile = None
        if suppression is not None:
            profile = replace(player.profile, suppressed=suppression)
        moved = None
        if seen is not None and state is not None:
            moved = seen, MailRecord(state, attempts=seen.attempts)
        if moved is not None or profile is not None:
            self.store.record_feedback(name, moved, player, profile, self.clock.now())
        return Recorded(ours=True, moved=moved is not None, suppressed=profile is not None)
