"""The daily digest: when it may be sent, and its content."""

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from .mails import MailRecord, MailState
from .notices import InboxItem, Notice, NoticeType
from .times import day_of

SPREAD = timedelta(hours=1)
"""Digests do not all go at the digest hour, but within so long after it."""
ITEMS_SHOWN = 20

_NAMES_BY_ID = {"attackerId": "attackerName", "victimId": "victimName"}


class Digest(NamedTuple):
    """The state of a player's digests. Positions are those of the inbox; 0 is before the first.

    `awaited` is the newest notice that is for a digest, `sent_up_to` the
    newest in earlier digests, `up_to` the newest in the last that was begun, on `day`.
    `due_since` is None while nothing waits.
    """

    player_id: str
    version: int = 0
    awaited: int = 0
    sent_up_to: int = 0
    up_to: int = 0
    day: date | None = None
    mail: MailRecord = MailRecord(MailState.PENDING)
    due_since: datetime | None = None

    def next_slot(self, now: datetime) -> datetime:
        """When the next digest may be sent, less the digest hour: at most one per UTC day."""
        today = day_of(now)
        gone = self.day is not None and self.day >= today
        return slot(self.player_id, today + timedelta(days=gone))


class Unsent(NamedTuple):
    """A digest that waits for an operator: of the notices after `after`, up to `up_to`."""

    after: int
    up_to: int
    mail: MailRecord


class Totals(NamedTuple):
    robberies: int
    points_lost: int
    heists: int
    points_stolen: int
    reversals: int
    tokens: int


class Summary(NamedTuple):
    """The content of a digest: its inbox items, the newest first."""

    items: Sequence[InboxItem]

    @property
    def shown(self) -> Sequence[InboxItem]:
        return self.items[:ITEMS_SHOWN]

    @property
    def more(self) -> int:
        return len(self.items) - len(self.shown)

    @property
    def unread(self) -> int:
        return sum(not item.read for item in self.items)

    @property
    def totals(self) -> Totals:
        lost = list(self._points(NoticeType.HEIST_VICTIM, "pointsLost"))
        stolen = list(self._points(NoticeType.HEIST_SUCCESS, "pointsStolen"))
        types = [item.notice.type for item in self.items]
        return Totals(
            robberies=len(lost),
            points_lost=sum(lost),
            heists=len(stolen),
            points_stolen=sum(stolen),
            reversals=types.count(NoticeType.HEIST_REVERSED),
            tokens=types.count(NoticeType.TOKEN_EARNED),
        )

    def _points(self, kind: NoticeType, name: str) -> Iterable[int]:
        for item in self.items:
            if item.notice.type is kind:
                yield int(str(item.notice.metadata[name]))

    @property
    def others(self) -> frozenset[str]:
        """The players whose names are shown."""
        return frozenset(other for item in self.shown for other in _names(item.notice))

    def without_names_of(self, erased: Container[str]) -> "Summary":
        """Inbox items may still hold the names of players who are being erased."""
        return Summary([_without(item, erased) for item in self.items])


def slot(player_id: str, day: date) -> datetime:
    """The player's place in the hour over which a day's digests are spread, counted from midnight:
    the digest hour comes on top, so that it can be changed while digests wait."""
    drawn = int.from_bytes(hashlib.sha256(player_id.encode()).digest()[-4:])
    seconds = drawn * int(SPREAD.total_seconds()) // 2**32
    return datetime.combine(day, time(), UTC) + timedelta(seconds=seconds)


def _names(notice: Notice) -> Mapping[str, str]:
    """Under whose id which name stands in the metadata."""
    named = {str(notice.metadata.get(by_id)): name for by_id, name in _NAMES_BY_ID.items()}
    named.pop("None", None)
    if notice.referred_id is not None:
        named[notice.referred_id] = "referredUserName"
    return named


def _without(item: InboxItem, erased: Container[str]) -> InboxItem:
    hidden = {name: None for other, name in _names(item.notice).items() if other in erased}
    if not hidden:
        return item
    metadata = {**item.notice.metadata, **hidden}
    return item._replace(notice=item.notice._replace(metadata=metadata))
