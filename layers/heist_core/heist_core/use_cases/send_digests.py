"""Sends daily digests: one mail a day with all notices that a player wants `daily`.

At most one per player and UTC day: a digest is claimed under the version that was read, with the
day in the same write, and no other is claimed while it stands. Only one that certainly was not sent
takes the day away again. One of doubtful fate is sent once more, with what came since, on another
day; then it is parked.
"""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from heist_core.domain.digests import Digest, Summary, Unsent
from heist_core.domain.errors import MailDeferred, MailDoubtful, MailRefused, Unavailable
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.player import Player
from heist_core.domain.preferences import email_choice
from heist_core.domain.times import day_of, to_milliseconds

from .clock import Clock
from .notify_players import DOUBTFUL_ATTEMPTS, LEASE

if TYPE_CHECKING:
    from heist_core.mail.mailer import Mailer
    from heist_core.messaging.dead_letters import DeadLetters
    from heist_core.settings import LiveSettings
    from heist_core.storage.digests import DigestStore
    from heist_core.storage.store import Store

DEFERRED_IN_A_ROW = 3
"""So many, and SES takes none for now: the run ends, and the next tries again."""
DIGEST = "DIGEST"
"""The type that its dead letters name."""


@dataclass(slots=True)
class Sent:
    """The result of a run: digests by their new state; those that wait, as far as it looked.

    `unfinished`: others are due that it did not get to. `deferred` is what SES said last when a
    digest has to wait.
    """

    digests: Counter[MailState] = field(default_factory=Counter)
    waiting: int = 0
    unfinished: bool = False
    deferred: str = ""


@dataclass(frozen=True)
class SendDigests:
    store: "Store"
    digests: "DigestStore"
    mailer: "Mailer"
    dead_letters: "DeadLetters"
    settings: "LiveSettings"
    clock: Clock

    def __call__(self, out_of_time: Callable[[], bool]) -> Sent:
        """Send what is due, as far as there is time. One that fails stops no other.

        A defect is raised when the others are done.
        """
        sent = Sent()
        defect: Exception | None = None
        deferred_in_a_row = 0
        if self.settings.stale:
            self.settings.refresh(self.store.settings_item())
        for player_id in self.digests.due(self.clock.now() - self._hour):
            if out_of_time() or deferred_in_a_row == DEFERRED_IN_A_ROW:
                sent.unfinished = True
                break
            try:
                state = self._digest(player_id, sent)
            except Unavailable:
                state = MailState.SENDING
            except Exception as error:  # noqa: BLE001 - raised below
                defect, state = error, MailState.SENDING
            deferred_in_a_row = deferred_in_a_row + 1 if state is MailState.PENDING else 0
            if state is not None:
                sent.digests[state] += 1
                sent.waiting += not state.settled
        if defect is not None:
            raise defect
        return sent

    @property
    def _hour(self) -> timedelta:
        return timedelta(hours=self.settings.current.digest_hour_utc)

    def _digest(self, player_id: str, sent: Sent) -> MailState | None:
        """Take a player's digest one step further; None: there is none to be sent now."""
        seen, now = self.digests.state(player_id), self.clock.now()
        under_way = seen.mail.lease_until is not None and now < seen.mail.lease_until
        if seen.due_since is None or under_way:
            return None  # the index is a moment behind, or another run is at it
        if now < seen.next_slot(now) + self._hour:
            self.digests.postpone(seen, seen.next_slot(now))
            return None
        if seen.mail.state is MailState.SENDING and seen.mail.attempts >= DOUBTFUL_ATTEMPTS:
            return self._keep(seen, MailState.PARKED, "MAIL_DOUBTFUL")
        summary, recipient, up_to = self._summary(player_id, seen.sent_up_to, None)
        up_to = max(up_to, seen.awaited)  # an erasure deletes what there was
        address = self._address(recipient)
        if address is None or not summary.items:
            ended = self.digests.end(seen, MailState.SUPPRESSED, up_to, now)
            return MailState.SUPPRESSED if ended else None
        attempts = seen.mail.attempts * (not seen.mail.state.settled)
        claimed = self.digests.claim(seen, self._claim(attempts), up_to, day_of(now))
        if claimed is None:
            return None
        try:
            self.mailer.send_digest(address, summary, recipient)
        except MailDeferred as error:
            sent.deferred = error.code
            self.digests.give_back(claimed)
            return MailState.PENDING
        except MailRefused as error:
            return self._keep(claimed, MailState.FAILED, error.code)
        except MailDoubtful:
            return MailState.SENDING
        ended = self.digests.end(claimed, MailState.SENT, up_to, self.clock.now())
        return MailState.SENT if ended else MailState.SENDING

    def _claim(self, attempts: int) -> MailRecord:
        lease_until = to_milliseconds(self.clock.now() + LEASE)
        return MailRecord(MailState.SENDING, attempts + 1, uuid.uuid4().hex, lease_until)

    def _summary(
        self, player_id: str, after: int, up_to: int | None
    ) -> tuple[Summary, Player, int]:
        """The digest of an inbox by the player's present preferences, and its newest position."""
        waiting, up_to = self.digests.notices(player_id, after, up_to)
        stale = self.settings.stale
        players, item = self.store.players_and_settings([player_id], with_settings=stale)
        if stale:
            self.settings.refresh(item)
        recipient, settings = players[player_id], self.settings.current
        summary = Summary(
            [
                item
                for item in waiting
                if email_choice(recipient, item.notice.type, settings) != "off"
            ]
        )
        if summary.others:
            others, _ = self.store.players_and_settings(summary.others, with_settings=False)
            erased = {other.id for other in others.values() if other.erased}
            summary = summary.without_names_of(erased)
        return summary, recipient, up_to

    def _address(self, recipient: Player) -> str | None:
        """Where a digest goes, if mails go out at all."""
        wanted = self.mailer.enabled and self.settings.current.email_enabled
        return recipient.profile.mail_address if wanted and not recipient.erased else None

    def _keep(self, seen: Digest, state: MailState, reason: str) -> MailState:
        """Keep a digest as a dead letter first, then end it: a crash between loses nothing."""
        self.dead_letters.put(
            {
                "kind": "mail",
                "type": DIGEST,
                "recipientId": seen.player_id,
                "upTo": seen.up_to,
                "state": state.value,
                "reason": reason,
            }
        )
        return state if self.digests.keep(seen, state, self.clock.now()) else MailState.SENDING

    # For operators

    def resend(self, player_id: str, up_to: int) -> bool:
        """Send a digest that was kept, because an operator asked for it: whether it needs no more.

        False also when there is none. What comes of it, its letter stays until this is true.
        """
        seen = self.digests.unsent(player_id, up_to)
        if seen is None or _is_under_way(seen, self.clock.now()):
            return False
        if seen.mail.state in (MailState.SENT, MailState.SUPPRESSED):
            return True
        summary, recipient, _ = self._summary(player_id, seen.after, seen.up_to)
        address = self._address(recipient)
        if address is None or not summary.items:
            return self.digests.move_unsent(player_id, seen, MailRecord(MailState.SUPPRESSED))
        claim = self._claim(seen.mail.attempts)
        if not self.digests.move_unsent(player_id, seen, claim):
            return False
        claimed = seen._replace(mail=claim)
        try:
            self.mailer.send_digest(address, summary, recipient)
        except (MailDeferred, MailRefused):
            back = MailRecord(MailState.FAILED, attempts=seen.mail.attempts)
            self.digests.move_unsent(player_id, claimed, back)
            return False
        except MailDoubtful:
            return False
        sent = MailRecord(MailState.SENT, attempts=claim.attempts)
        return self.digests.move_unsent(player_id, claimed, sent)


def _is_under_way(unsent: Unsent, now: datetime) -> bool:
    return unsent.mail.lease_until is not None and now < unsent.mail.lease_until
