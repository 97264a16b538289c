"""Delivers an event's inbox items and mails: exactly one item, at most one doubtful mail.

The inbox comes first and never waits for mail. A mail's state lies on its notice record:
PENDING -> SENDING (owner, lease) -> SENT | FAILED | SUPPRESSED | PARKED; or DAILY, a line of a
digest, which `send_digests` sends.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from heist_core.domain.award import Award
from heist_core.domain.errors import MailDeferred, MailDoubtful, MailRefused, Unavailable
from heist_core.domain.facts import Event, without_names_of
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import Notice, notices_of
from heist_core.domain.owed import Owed
from heist_core.domain.player import Player
from heist_core.domain.preferences import email_choice
from heist_core.domain.times import to_milliseconds

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.mail.mailer import Mailer
    from heist_core.messaging.dead_letters import DeadLetters
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import Delivered, Store

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
        notices = [
            notice._replace(locale=players[notice.recipient_id].profile.locale.value)
            for notice in notices_of(event)
        ]
        first_steps = [self._first_step(players[one.recipient_id], one) for one in notices]
        try:
            delivered = [
                self._deliver(event, notice, players[notice.recipient_id], step, notified)
                for notice, step in zip(notices, first_steps, strict=True)
            ]
        except Unavailable:
            self._give_back(event, notices, first_steps)
            raise
        notified.settled = self._mails(event, notices, players, first_steps, delivered, notified)
        if notified.settled:
            # Mails take longer than what else is owed; but few want one for a token.
            sends = not isinstance(event, Award)
            last = sends or self.store.owes_only(event, Owed.NOTICES)
            self.store.settle(event, Owed.NOTICES, last=last)
        return notified

    def _deliver(
        self,
        event: Event,
        notice: Notice,
        recipient: Player,
        step: MailRecord,
        notified: Notified,
    ) -> "Delivered":
        """Put the notice, with the first step of its mail, and the inbox item."""
        if recipient.erased:
            return self.store.note_only(event, notice, step)
        put = partial(self.store.deliver_notice, event, notice, self.clock.now(), step)
        delivered = until_uncontended(put, self.clock)
        notified.inbox += delivered.put
        return delivered

    def _give_back(
        self, event: Event, notices: Sequence[Notice], steps: Sequence[MailRecord]
    ) -> None:
        """The claims of mails that this call will not try: else they would wait for their lease."""
        for notice, step in zip(notices, steps, strict=True):
            if step.owner is not None:
                with suppress(Unavailable):
                    back = MailRecord(MailState.PENDING, attempts=step.attempts - 1)
                    self.store.move_mail(event, notice.recipient_id, step, back)

    def _mails(
        self,
        event: Event,
        notices: Sequence[Notice],
        players: Mapping[str, Player],
        first_steps: Sequence[MailRecord],
        deliveries: "Sequence[Delivered]",
        notified: Notified,
    ) -> bool:
        """Whether the mails of all notices are settled. Trouble with one leaves the other alone."""
        settled = True
        for notice, step, delivered in zip(notices, first_steps, deliveries, strict=True):
            recipient = players[notice.recipient_id]
            try:
                if not delivered.claimed:
                    state = self._resume(event, notice, recipient, notified)
                elif step.state.settled:
                    notified.mails[step.state] += 1
                    state = step.state
                else:
                    state = self._send(event, notice, recipient, step, notified)
                if state is MailState.DAILY and delivered.position is not None:
                    self.store.await_digest(recipient.id, delivered.position, self.clock.now())
                settled &= state.settled
            except Unavailable:
                settled = False
        return settled

    def _players(self, event: Event) -> Mapping[str, Player]:
        stale = self.settings.stale
        players, item = self.store.players_and_settings(event.parties, with_settings=stale)
        if stale:
            self.settings.refresh(item)
        return players

    def _first_step(self, recipient: Player, notice: Notice) -> MailRecord:
        """A claim, or that there will be no mail, or a line of a digest.

        That is final: a digest shows a notice as it was when its inbox item came.
        """
        daily = email_choice(recipient, notice.type, self.settings.current) == "daily"
        if daily and self._address(recipient, notice) is not None:
            return MailRecord(MailState.DAILY)
        return self._claim(recipient, notice)

    def _claim(self, recipient: Player, notice: Notice, attempts: int = 0) -> MailRecord:
        """A claim, or that there will be no mail."""
        if self._address(recipient, notice) is None:
            return MailRecord(MailState.SUPPRESSED)
        return MailRecord(
            MailState.SENDING,
            attempts=attempts + 1,
            owner=uuid.uuid4().hex,
            lease_until=to_milliseconds(self.clock.now() + LEASE),
        )

    def _resume(
        self, event: Event, notice: Notice, recipient: Player, notified: Notified
    ) -> MailState:
        """Take a mail one step further; its state afterwards, as far as this call knows."""
        seen = self.store.mail_record(event, recipient.id)
        now = self.clock.now()
        if seen.state.settled or (seen.lease_until is not None and now < seen.lease_until):
            return seen.state
        if seen.attempts >= DOUBTFUL_ATTEMPTS:
            return self._give_up(event, notice, seen, MailState.PARKED, "MAIL_DOUBTFUL", notified)
        claim = self._claim(recipient, notice, seen.attempts)
        if claim.state.settled:
            return self._move(event, notice, seen, claim, notified)
        claimed = self.store.move_mail(event, recipient.id, seen, claim)
        if not claimed and self.store.mail_record(event, recipient.id) != claim:
            return MailState.SENDING
        return self._send(event, notice, recipient, claim, notified)

    def _send(
        self,
        event: Event,
        notice: Notice,
        recipient: Player,
        claim: MailRecord,
        notified: Notified,
    ) -> MailState:
        """Send a mail that this call has claimed."""
        try:
            self.mailer.send(str(self._address(recipient, notice)), event, notice)
        except MailDeferred as error:
            notified.deferred = error.code
            back = MailRecord(MailState.PENDING, attempts=claim.attempts - 1)
            return self._move(event, notice, claim, back, notified)
        except MailRefused as error:
            return self._give_up(event, notice, claim, MailState.FAILED, error.code, notified)
        except MailDoubtful:
            return MailState.SENDING
        sent = MailRecord(MailState.SENT, attempts=claim.attempts)
        return self._move(event, notice, claim, sent, notified)

    def _address(self, recipient: Player, notice: Notice) -> str | None:
        """Where the mail of a notice goes, if it is wanted now."""
        settings = self.settings.current
        wanted = (
            self.mailer.enabled
            and settings.email_enabled
            and email_choice(recipient, notice.type, settings) != "off"
        )
        return recipient.profile.mail_address if wanted else None

    def _give_up(
        self,
        event: Event,
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
                **({"referredId": notice.referred_id} if notice.referred_id else {}),
                "type": notice.type.value,
                "recipientId": notice.recipient_id,
                "state": state.value,
                "reason": reason,
            }
        )
        return self._move(event, notice, seen, MailRecord(state, attempts=seen.attempts), notified)

    def _move(
        self,
        event: Event,
        notice: Notice,
        seen: MailRecord,
        to: MailRecord,
        notified: Notified,
    ) -> MailState:
        if not self.store.move_mail(event, notice.recipient_id, seen, to):
            return MailState.SENDING
        notified.mails[to.state] += 1
        return to.state
