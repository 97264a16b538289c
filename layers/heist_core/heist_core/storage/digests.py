"""The items of daily digests: which are due, what they hold, and how far they are."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime

from heist_core.domain.digests import Digest, Unsent, slot
from heist_core.domain.errors import Malformed
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import InboxItem, NoticeType
from heist_core.domain.times import to_iso

from . import inbox_items, keys, transactions
from .attributes import count, expiry, optional_moment
from .table import ConditionFailed, Table
from .wire import Item, to_wire
from .writes import Request, Step, put_new, update


class DigestStore:
    """Every method may raise what `table` does.

    Whoever moves a digest on does so from the version that they read. A notice that is to come with
    one does not change the version, and only moves `awaited`: whatever ends a digest looks at that.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def due(self, moment: datetime) -> Iterator[str]:
        """Players for whom something waits since that moment or longer, the first due first."""
        return map(keys.id_of, self._table.marked(keys.DIGEST_BUCKETS, to_iso(moment)))

    def state(self, player_id: str) -> Digest:
        item = self._table.get(keys.digest(player_id))
        return Digest(player_id) if item is None else digest_from(player_id, item)

    def notices(
        self, player_id: str, after: int, up_to: int | None = None
    ) -> tuple[list[InboxItem], int]:
        """Inbox items behind a position that are to come with a digest, newest first.

        And the position that the inbox was read up to. Positions become visible in their order, and
        each notice says what becomes of its mail before its item is there: so of what was read
        nothing can change any more.
        """
        request: Request = {
            "KeyConditionExpression": "pk = :pk AND sk > :after",
            "ExpressionAttributeValues": to_wire(
                {":pk": keys.inbox(player_id), ":after": inbox_items.position_of(after)}
            ),
            "ScanIndexForward": False,
            "ConsistentRead": True,
        }
        behind = [
            inbox_items.inbox_item_from(item)
            for item in self._table.query(request)
            if keys.kind_of(item) is keys.Kind.INBOX
        ]
        found = [item for item in behind if up_to is None or inbox_items.sequence_of(item) <= up_to]
        read_up_to = inbox_items.sequence_of(found[0]) if found else after
        placed = {keys.place_of(key): item for item in found if (key := _notice_key(item))}
        daily = self._daily([key for item in found if (key := _notice_key(item))])
        return [item for place, item in placed.items() if place in daily], read_up_to

    def _daily(self, notices: Sequence[keys.Key]) -> set[str]:
        """Where those lie whose mail is a line of a digest."""
        found = self._table.by_place(notices)
        return {place for place in found if found[place].get("mailState") == MailState.DAILY}

    def postpone(self, seen: Digest, to: datetime) -> bool:
        """Look at it again from then on. False: somebody moved it on."""
        return self._table.update_if(_move(seen, {"owedSince": to_iso(to)}))

    def claim(self, seen: Digest, claim: MailRecord, up_to: int, day: date) -> Digest | None:
        """The digest as it is once this caller may send it; None: somebody moved it on."""
        claimed = seen._replace(version=seen.version + 1, mail=claim, up_to=up_to, day=day)
        attributes = {
            **inbox_items.mail_attributes(claim),
            "upTo": up_to,
            "day": day.isoformat(),
        }
        if self._table.update_if(_move(seen, attributes)):
            return claimed
        return claimed if self.state(seen.player_id).mail == claim else None

    def give_back(self, claimed: Digest) -> bool:
        """It certainly was not sent, so the day still has none. False: somebody moved it on."""
        back = MailRecord(MailState.PENDING, attempts=claimed.mail.attempts - 1)
        return self._table.update_if(
            _move(claimed, {**inbox_items.mail_attributes(back), "day": None})
        )

    def end(self, seen: Digest, state: MailState, up_to: int, now: datetime) -> bool:
        """All up to a position is dealt with. False: somebody moved it on."""
        request, or_else = _ends(seen, state, up_to, now)
        return self._table.update_if(request) or self._table.update_if(or_else)

    def keep(self, seen: Digest, state: MailState, now: datetime) -> bool:
        """As `end`, for one that was not sent: it is kept, for an operator to send it again."""
        kept = MailRecord(state, attempts=seen.mail.attempts)
        unsent = put_new(
            {
                **keys.unsent_digest(seen.player_id, inbox_items.position_of(seen.up_to)),
                "told": seen.sent_up_to,
                "upTo": seen.up_to,
                **inbox_items.mail_attributes(kept),
                "expiresAt": expiry(now, inbox_items.NOTICES_KEPT),
            }
        )
        for request in _ends(seen, state, seen.up_to, now):
            with suppress(ConditionFailed):
                steps = Step("digest", {"Update": request}), Step("unsent", {"Put": unsent})
                self._table.transact(steps)
                return True
        return False

    def unsent(self, player_id: str, up_to: int) -> Unsent | None:
        item = self._table.get(_unsent_key(player_id, up_to))
        return None if item is None else _unsent_from(item)

    def move_unsent(self, player_id: str, seen: Unsent, to: MailRecord) -> bool:
        """False: somebody moved it on."""
        key = _unsent_key(player_id, seen.up_to)
        return self._table.update_if(transactions.move_mail(key, seen.mail, to))


def digest_from(player_id: str, item: Item) -> Digest:
    """Raises Malformed."""
    try:
        day = None if "day" not in item else date.fromisoformat(str(item["day"]))
    except ValueError as error:
        raise Malformed("day is not a date") from error
    return Digest(
        player_id=player_id,
        version=count(item, "version"),
        awaited=count(item, "awaited"),
        sent_up_to=count(item, "told"),
        up_to=count(item, "upTo"),
        day=day,
        mail=inbox_items.mail_record_from({"mailState": MailState.PENDING.value, **item}),
        due_since=optional_moment(item, "owedSince"),
    )


def await_digest(player_id: str, position: int, day: date, *, unless_gone: bool) -> Request:
    """A notice is to come with the digest of a day, unless it was told, or a newer one waits.

    `unless_gone`: nor if that of the day has been begun, and nothing waits for the next.
    """
    conditions = [
        f"(attribute_not_exists({name}) OR {name} < :position)" for name in ("awaited", "told")
    ]
    if unless_gone:
        conditions.append(
            "(attribute_not_exists(#day) OR #day < :day OR attribute_exists(owedBucket))"
        )
    return update(
        keys.digest(player_id),
        "SET awaited = :position, owedBucket = :bucket, "
        "owedSince = if_not_exists(owedSince, :since)",
        {
            ":position": position,
            ":bucket": keys.digest_bucket(player_id),
            ":since": to_iso(slot(player_id, day)),
            ":day": day.isoformat() if unless_gone else None,
        },
        condition=" AND ".join(conditions),
        names={"#day": "day"} if unless_gone else None,
    )


def _move(seen: Digest, attributes: Item, condition: str = "") -> Request:
    """Set attributes, or remove those that are None, if the digest is still as seen."""
    names = {f"#{name}": name for name in attributes}
    sets = [f"#{name} = :{name}" for name, value in attributes.items() if value is not None]
    removed = [f"#{name}" for name, value in attributes.items() if value is None]
    as_seen = "version = :seen" if seen.version else "attribute_not_exists(version)"
    return update(
        keys.digest(seen.player_id),
        "ADD version :one"
        + (f" SET {', '.join(sets)}" if sets else "")
        + (f" REMOVE {', '.join(removed)}" if removed else ""),
        {
            **{f":{name}": value for name, value in attributes.items()},
            ":one": 1,
            ":seen": seen.version or None,
        },
        condition=as_seen + condition,
        names=names,
    )


def _ends(seen: Digest, state: MailState, up_to: int, now: datetime) -> tuple[Request, Request]:
    """Off the index if nothing newer waits; else due again when the next may go.

    The second is for when the first was refused.
    """
    ended = inbox_items.mail_attributes(MailRecord(state, attempts=seen.mail.attempts))
    attributes = {**ended, "told": up_to}
    gone = {**attributes, "owedBucket": None, "owedSince": None}
    due_again = {**attributes, "owedSince": to_iso(seen.next_slot(now))}
    return _move(seen, gone, " AND awaited <= :told"), _move(seen, due_again)


def _notice_key(item: InboxItem) -> keys.Key | None:
    """Where its notice lies. Items of tokens from before digests do not tell."""
    notice = item.notice
    subject = None
    if notice.referred_id is not None:
        subject = keys.referral(notice.referred_id)
    elif notice.heist_id is not None:
        reversed_ = notice.type is NoticeType.HEIST_REVERSED
        subject = (keys.reversal if reversed_ else keys.heist)(notice.heist_id)
    return subject and keys.notice(subject, notice.recipient_id)


def _unsent_key(player_id: str, up_to: int) -> keys.Key:
    return keys.unsent_digest(player_id, inbox_items.position_of(up_to))


def _unsent_from(item: Item) -> Unsent:
    return Unsent(count(item, "told"), count(item, "upTo"), inbox_items.mail_record_from(item))
