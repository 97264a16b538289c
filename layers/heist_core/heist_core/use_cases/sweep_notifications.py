"""Settles what marked records still owe: notices, mails, events out and statistics."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

from heist_core.domain.award import Award
from heist_core.domain.errors import Erased, Malformed, Unavailable
from heist_core.domain.facts import Event, Fact, Uneventful
from heist_core.domain.heist import Heist
from heist_core.domain.mails import MailState
from heist_core.domain.notices import NoticeType
from heist_core.domain.owed import MAIL_AGAIN, Owed

from .clock import Clock
from .retry import until_uncontended

if TYPE_CHECKING:
    from heist_core.messaging.dead_letters import DeadLetters
    from heist_core.settings import LiveSettings
    from heist_core.storage.store import OwedRecord, Store

    from .keep_statistics import KeepStatistics
    from .notify_players import Notified, NotifyPlayers
    from .publish_event import PublishEvent

GRACE = timedelta(minutes=1)
"""How long the stream has before the sweeper does its work."""

Report = Callable[[str, str | None, str], None]

_CONSUMERS = ("notify_players", "publish_and_count")


@dataclass(slots=True)
class Swept:
    """The result of a sweep, in records.

    `waiting` still owe something; `awarded` are held awards that became tokens.
    """

    settled: int = 0
    waiting: int = 0
    set_aside: int = 0
    awarded: int = 0
    mails: Counter[MailState] = field(default_factory=Counter)
    deferred: str = ""


_Act = Callable[["OwedRecord", Swept], str]
"""Does what a record waits for; the outcome in a word."""


@dataclass(frozen=True)
class SweepNotifications:
    store: "Store"
    notify_players: "NotifyPlayers"
    publish_event: "PublishEvent"
    keep_statistics: "KeepStatistics"
    dead_letters: "DeadLetters"
    clock: Clock
    settings: "LiveSettings"

    def __call__(
        self,
        out_of_time: Callable[[], bool],
        grace: timedelta = GRACE,
        report: Report = lambda *_: None,
    ) -> Swept:
        """Release held awards and settle what has been owed for longer than `grace`, in time.

        A record that fails stops no other. One that still waits goes to the end of the queue, so
        that waiting records never keep the sweeper from the rest. A defect is raised when the
        others are done.
        `report` is called with each record's partition, correlation id and outcome.
        """
        swept = Swept()
        defect: Exception | None = None
        for record, act in self._work(self.clock.now(), grace):
            if out_of_time():
                break
            try:
                outcome = act(record, swept)
            except Unavailable:
                outcome = "waiting"
            except Exception as error:  # noqa: BLE001 - raised below
                defect, outcome = error, "failed"
            if outcome in ("waiting", "failed"):
                self._put_back(record)
            report(record.key["pk"], record.correlation_id, outcome)
        if defect is not None:
            raise defect
        return swept

    def _work(self, now: datetime, grace: timedelta) -> "Iterator[tuple[OwedRecord, _Act]]":
        """What is owed and, if awards are on again, what is held, alternating: neither a day of
        waiting mails nor a million held awards keeps the sweeper from the other."""
        if self.settings.stale:
            self.settings.refresh(self.store.settings_item())
        awards_on = self.settings.current.awards_enabled
        held = self.store.held_before(now) if awards_on else ()
        for owing, waiting in zip_longest(self.store.owed_before(now - grace), held):
            if owing is not None:
                yield owing, self._outcome
            if waiting is not None:
                yield waiting, self._release

    def _release(self, record: "OwedRecord", swept: Swept) -> str:
        """Give the token of a held award, and notify. An erased referrer never gets one."""
        held = record.fact()
        if not isinstance(held, Award):
            raise Malformed("only an award can be held")
        award = replace(held, at=self.clock.now())
        try:
            released = until_uncontended(partial(self.store.release_award, award), self.clock)
        except Erased:
            self.store.set_aside(record.key)
            return "erased"
        if not released:
            return "known"
        swept.awarded += 1
        self._tell(award)
        return "awarded"

    def _tell(self, award: Award) -> None:
        """What fails here stays owed for the next sweep."""
        self._published(award)
        with suppress(Unavailable):
            self.notify_players(award)
        self._counted(award)

    def _outcome(self, record: "OwedRecord", swept: Swept) -> str:
        """`settled`, `waiting` or `parked`; counts it."""
        try:
            if self._settle(record, swept):
                swept.settled += 1
                return "settled"
        except Malformed as malformed:
            if self._set_aside(record, str(malformed)):
                swept.set_aside += 1
                return "parked"
        except Unavailable:
            pass
        swept.waiting += 1
        return "waiting"

    def _settle(self, record: "OwedRecord", swept: Swept) -> bool:
        """Whether nothing is owed any more."""
        fact, owed = record.fact(), record.owed()
        notified = isinstance(fact, Uneventful) or self._notified(fact, owed, swept)
        return (Owed.STATISTICS not in owed or self._counted(fact)) and notified

    def _notified(self, event: Event, owed: frozenset[str], swept: Swept) -> bool:
        published = Owed.EVENT not in owed or self._published(event)
        mails_again = owed - set(Owed)
        if Owed.NOTICES in owed or mails_again:
            notified = self.notify_players(event)
            swept.mails.update(notified.mails)
            swept.deferred = notified.deferred or swept.deferred
            if notified.settled and mails_again:
                self.store.settle(event, *mails_again)
            return notified.settled and published
        if not owed:
            self.store.settle(event, Owed.NOTICES)
        return published

    def _counted(self, fact: Fact) -> bool:
        try:
            if not self.keep_statistics([fact]):
                self.store.settle(fact, Owed.STATISTICS, last=True)
        except Unavailable:
            return False
        return True

    def _published(self, event: Event) -> bool:
        """A bus that is down keeps no player from being notified."""
        try:
            self.publish_event(event)
        except Unavailable:
            return False
        return True

    def _put_back(self, record: "OwedRecord") -> None:
        try:
            self.store.put_back(record.key, self.clock.now())
        except Unavailable:
            return

    def _set_aside(self, record: "OwedRecord", reason: str) -> bool:
        try:
            for consumer in _CONSUMERS:
                self.dead_letters.put(
                    {"kind": "record", "consumer": consumer, "key": record.key, "reason": reason}
                )
            self.store.set_aside(record.key)
        except Unavailable:
            return False
        return True

    def resend_mail(
        self, subject_id: str, recipient_id: str, notice_type: str
    ) -> "Notified | None":
        """Send a mail that had failed or was parked, because an operator asked for it.

        `subject_id` is the heist's id, or of a token the referred player's. None: there is no such
        heist, reversal or award. Raises Malformed or Unavailable.
        """
        event = self._event(subject_id, notice_type)
        if event is None:
            return None
        seen = self.store.mail_record(event, recipient_id)
        if seen.state not in (MailState.FAILED, MailState.PARKED):
            return self.notify_players(event)
        owed = f"{MAIL_AGAIN}{uuid.uuid4().hex}"
        until_uncontended(
            lambda: self.store.ask_mail_again(event, recipient_id, seen, owed, self.clock.now()),
            self.clock,
        )
        notified = self.notify_players(event)
        if notified.settled:
            self.store.settle(event, owed)
        return notified

    def _event(self, subject_id: str, notice_type: str) -> Event | None:
        if notice_type == NoticeType.HEIST_REVERSED:
            return self.store.reversal(subject_id)
        if notice_type == NoticeType.TOKEN_EARNED:
            return self.store.award(subject_id)
        heist = self.store.heist(subject_id)
        return heist if isinstance(heist, Heist) else None
