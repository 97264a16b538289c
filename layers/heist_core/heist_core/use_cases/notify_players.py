"""Inbox items and mails for an event: exactly one item, at most one doubtful mail.

The inbox comes first and never waits for mail. A mail's state lies on its notice record:
PENDING -> SENDING (owner, lease) -> SENT | FAILED | SUPPRESSED | PARKED.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from heist_core.domain.award import Award
from heist_core.domain.errors import MailDeferred, MailDoubtful, MailRefused, Unavailable
from heist_core.domain.facts import Event, MailedEvent, without_names_of
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import Notice, notices_of
from heist_core.domain.owed import Owed
from heist_core.domain.player import Player
from heist_core.domain.times import to_milliseconds

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.mail.mailer import Mailer
    from heist_core.messaging.dead_letters import DeadLetters
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import Store

LEASE = timedelta(minutes=5)
"""Longer than any function runs that sends mail, so that no lease ends under its owner."""
DOUBTFUL_ATTEMPTS = 2
"""A mail that may have gone out this often is parked, and sent again only when asked for."""


@dataclass(slots=True)
class Notified:
    """The result of a call: inbox items put, mails by their new state, whether all is done.

    `deferred` is what SES said last when a mail has to wait.
    """

    inbox: int = 0
    mails: Counter[MailState] = field(default_factory=Counter)
    deferred: str = ""
    settled: bool = False


@dataclass(frozen=True)
class NotifyPlayers:
    store: "Store"
    mailer: "Mailer"
    dead_letters: "DeadLetters"
    settings: "LiveSettings"
    clock: Clock

    def __call__(self, event: Event) -> Notified:
        """Bring every notice of an event as far as it will go now, and settle the marker if done.

        May be called any number of times, also at the same moment. Raises Contention or
        Unavailable when an inbox item could not be put; a mail that waits raises nothing.
        """
        notified = Notified()
        players = self._players(event)
        erased = {player.id for player in players.values() if player.erased}
        event = without_names_of(erased, event)
        notices = notices_of(event)
        delivered = [
            self.store.note_only(event, notice)
            if notice.recipient_id in erased
            else until_uncontended(
                partial(self.store.deliver_notice, event, notice, self.clock.now()), self.clock
            )
            for notice in notices
        ]
        notified.inbox = sum(
            fresh and notice.recipient_id not in erased
            for fresh, notice in zip(delivered, notices, strict=True)
        )
        notified.settled = isinstance(event, Award) or self._mails(
            event, notices, players, delivered, notified
        )
        if notified.settled:
            self.store.settle(event, Owed.NOTICES)
        return notified

    def _mails(
        self,
        event: MailedEvent,
        notices: Sequence[Notice],
        players: Mapping[str, Player],
        fresh: Sequence[bool],
        notified: Notified,
    ) -> bool:
        """Whether the mails of all notices are settled. Trouble with one leaves the other alone."""
        states = []
        for notice, is_fresh in zip(notices, fresh, strict=True):
            recipient = players[notice.recipient_id]
            try:
                states.append(self._mail(event, notice, recipient, notified, fresh=is_fresh))
            except Unavailable:
                states.append(MailState.SENDING)
        return all(state.settled for state in states)

    def _players(self, event: Event) -> Mapping[str, Player]:
        stale = self.settings.stale
        players, item = self.store.players_and_settings(event.parties, with_settings=stale)
        if stale:
            self.settings.refresh(item)
        return players

    def _mail(
        self,
        event: MailedEvent,
        notice: Notice,
        recipient: Player,
        notified: Notified,
        *,
        fresh: bool,
    ) -> MailState:
        """Take a mail one step further; its state afterwards, as far as this call knows.

        `fresh`: this call put the notice, so that its mail is known to be pending.
        """
        seen = (
            MailRecord(MailState.PENDING) if fresh else self.store.mail_record(event, recipient.id)
        )
        now = self.clock.now()
        if seen.state.settled or (seen.lease_until is not None and now < seen.lease_until):
            return seen.state
        if seen.attempts >= DOUBTFUL_ATTEMPTS:
            return self._give_up(event, notice, seen, MailState.PARKED, "MAIL_DOUBTFUL", notified)
        address = recipient.profile.email.value
        if address is None or not self._wanted(recipient):
            return self._move(event, notice, seen, MailRecord(MailState.SUPPRESSED), notified)
        claim = MailRecord(
            MailState.SENDING,
            attempts=seen.attempts + 1,
            owner=uuid.uuid4().hex,
            lease_until=to_milliseconds(now + LEASE),
        )
        claimed = self.store.move_mail(event, recipient.id, seen, claim)
        if not claimed and self.store.mail_record(event, recipient.id) != claim:
            return MailState.SENDING
        try:
            self.mailer.send(address, event, notice)
        except MailDeferred as error:
            notified.deferred = error.code
            back = MailRecord(MailState.PENDING, attempts=seen.attempts)
            return self._move(event, notice, claim, back, notified)
        except MailRefused as error:
            return self._give_up(event, notice, claim, MailState.FAILED, error.code, notified)
        except MailDoubtful:
            return MailState.SENDING
        sent = MailRecord(MailState.SENT, attempts=claim.attempts)
        return self._move(event, notice, claim, sent, notified)

    def _wanted(self, recipient: Player) -> bool:
        return (
            self.mailer.enabled
            and self.settings.current.email_enabled
            and not recipient.profile.email_opt_out.value
        )

    def _give_up(
        self,
        event: MailedEvent,
        notice: Notice,
        seen: MailRecord,
        state: MailState,
        reason: str,
        notified: Notified,
    ) -> MailState:
        """Keep the mail as a dead letter first, then end it: a crash between loses nothing."""
        self.dead_letters.put(
            {
                "kind": "mail",
                "heistId": notice.heist_id,
                "type": notice.type.value,
                "recipientId": notice.recipient_id,
                "state": state.value,
                "reason": reason,
            }
        )
        return self._move(event, notice, seen, MailRecord(state, attempts=seen.attempts), notified)

    def _move(
        self,
        event: MailedEvent,
        notice: Notice,
        seen: MailRecord,
        to: MailRecord,
        notified: Notified,
    ) -> MailState:
        if not self.store.move_mail(event, notice.recipient_id, seen, to):
            return MailState.SENDING
        notified.mails[to.state] += 1
        return to.state
