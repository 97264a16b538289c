"""Notices, their mails and inbox items as DynamoDB items and back."""

from datetime import timedelta
from decimal import Decimal

from heist_core.domain.errors import Malformed
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import InboxItem, Metadata, Notice, NoticeType
from heist_core.domain.times import to_iso

from . import keys
from .attributes import count, expiry, integer, iso, moment, optional, optional_moment, required
from .wire import Item

INBOX_KEPT = timedelta(days=180)
NOTICES_KEPT = timedelta(days=400)
_SEQUENCE_DIGITS = 10


def notice_item(
    subject: keys.Key, notice: Notice, mail: MailRecord | None, position: int | None
) -> Item:
    """`position`: where its inbox item goes; None for a recipient who has no inbox any more."""
    return {
        **keys.notice(subject, notice.recipient_id),
        "recipientId": notice.recipient_id,
        "type": notice.type.value,
        "createdAt": to_iso(notice.created_at),
        "inboxPosition": position,
        **(mail_attributes(mail) if mail is not None else {}),
        "expiresAt": expiry(notice.created_at, NOTICES_KEPT),
    }


def mail_attributes(mail: MailRecord) -> Item:
    return {
        "mailState": mail.state.value,
        "mailAttempts": mail.attempts or None,
        "mailOwner": mail.owner,
        "mailLeaseUntil": iso(mail.lease_until),
    }


def is_claimed_by(notice: Item, mail: MailRecord | None) -> bool:
    """Whether it was this claim that the notice was put with: its answer got lost."""
    return mail is not None and mail.owner is not None and notice.get("mailOwner") == mail.owner


def inbox_position_from(item: Item) -> int | None:
    """None: the notice was put together with its inbox item, or goes to nobody's inbox."""
    return None if item.get("inboxPosition") is None else integer(item, "inboxPosition")


def mail_record_from(item: Item) -> MailRecord:
    """Notices of awards from before tokens had mails say nothing of any."""
    if item.get("type") == NoticeType.TOKEN_EARNED and "mailState" not in item:
        return MailRecord(MailState.SUPPRESSED)
    try:
        state = MailState(required(item, "mailState", str))
    except ValueError as error:
        raise Malformed("mailState is unknown") from error
    return MailRecord(
        state=state,
        attempts=count(item, "mailAttempts"),
        owner=optional(item, "mailOwner", str),
        lease_until=optional_moment(item, "mailLeaseUntil"),
    )


def position_of(sequence: int) -> str:
    """The sort key of an inbox item."""
    return f"{sequence:0{_SEQUENCE_DIGITS}d}"


def inbox_item(sequence: int, tag: str, notice: Notice) -> Item:
    """`tag` makes the public id unguessable from, and different to, other players' ids.

    It expires once it has been read: what expired unread would still be counted.
    """
    position = position_of(sequence)
    return {
        **keys.inbox_item(notice.recipient_id, position),
        "unread": position,
        "tag": tag,
        "recipientId": notice.recipient_id,
        "type": notice.type.value,
        "heistId": notice.heist_id,
        "referredId": notice.referred_id,
        "metadata": notice.metadata,
        "locale": notice.locale,
        "createdAt": to_iso(notice.created_at),
    }


def read_count_from(item: Item) -> tuple[int, int]:
    """How many items were read, and the newest position when the last was."""
    return integer(item, "readItems"), integer(item, "newest")


def is_inbox_item_of(item: Item, tag: str, notice: Notice) -> bool:
    return (item.get("tag"), item.get("createdAt")) == (tag, to_iso(notice.created_at))


def sequence_of(item: InboxItem) -> int:
    return int(item.id.partition("-")[0])


def inbox_item_from(item: Item) -> InboxItem:
    metadata: Metadata = {
        str(name): int(value) if isinstance(value, Decimal) else value
        for name, value in required(item, "metadata", dict).items()
    }
    return InboxItem(
        id=f"{required(item, 'sk', str)}-{required(item, 'tag', str)}",
        notice=Notice(
            recipient_id=required(item, "recipientId", str),
            type=NoticeType(required(item, "type", str)),
            heist_id=optional(item, "heistId", str),
            referred_id=optional(item, "referredId", str),
            metadata=metadata,
            created_at=moment(item, "createdAt"),
            locale=optional(item, "locale", str),
        ),
        read_at=optional_moment(item, "readAt"),
    )
