"""What the functions read from the table and write to it, in the game's own words.

Every method raises what `table` does: Contention, Misconfigured, Unavailable.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from heist_core.domain.award import Award, EarnedPoints
from heist_core.domain.errors import AnsweredAlready, Contention, Erased, Malformed
from heist_core.domain.facts import Event, Fact
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.mails import MailRecord
from heist_core.domain.notices import InboxItem, Notice
from heist_core.domain.player import Player, Preferences, Profile
from heist_core.domain.points import PointsChange
from heist_core.domain.reversal import Reversal
from heist_core.domain.times import day_of, to_iso

from . import inbox_items, items, keys, player_items, transactions
from .table import ConditionFailed, Table
from .wire import Item, to_wire
from .writes import Request, Step, Transaction

if TYPE_CHECKING:
    from heist_core.domain.action import Action, Receipt
    from heist_core.domain.mail_feedback import MailName

_POSITIONS_TRIED = 5

A = TypeVar("A")
B = TypeVar("B")


class HeistSnapshot(NamedTuple):
    """What a heist is decided on. The read need not be atomic: every write is conditional."""

    record: Heist | RefusedHeist | None
    attacker: Player
    victim: Player
    settings: Item | None


class Count(NamedTuple):
    """Whether an attempt is within the limit, and whether this request added it."""

    allowed: bool
    added: bool


class PointsSnapshot(NamedTuple):
    """Whether points of an event were `added`, and what they changed; the player who gets them."""

    added: bool
    change: PointsChange | None
    player: Player


class Delivered(NamedTuple):
    """Whether a call put the inbox item, and whether the mail's claim that stands is its own.

    `position` is the item's in the inbox, if it has one.
    """

    put: bool
    claimed: bool
    position: int | None = None


class Top(NamedTuple):
    """The newest position that an inbox ever had, and how many of its items were read, ever.

    `read` is None in an inbox that nothing came to, or from before there were counts.
    """

    newest: int = 0
    read: int | None = None


_NOTHING = Top()
_NOT_EXPIRED = "attribute_not_exists(expiresAt) OR expiresAt > :now"


class OwedRecord(NamedTuple):
    """An event's record whose marker is set."""

    key: keys.Key
    item: Item

    @property
    def correlation_id(self) -> str | None:
        """Whatever it is, so that a record that cannot be read is found in the logs."""
        found = self.item.get("correlationId", self.item.get("actionId"))
        return found if isinstance(found, str) else None

    def fact(self) -> Fact:
        """Raises Malformed."""
        return items.fact_from(self.item)

    def owed(self) -> frozenset[str]:
        """Raises Malformed."""
        return items.owed_of(self.item)


class Store:
    """`executor` runs overlapping calls."""

    def __init__(self, table: Table, executor: Executor) -> None:
        self._table = table
        self._executor = executor

    # Heists

    def read_for_heist(
        self, heist_id: str | None, attacker_id: str, victim_id: str, *, with_settings: bool
    ) -> HeistSnapshot:
        """Record, both players and, when asked for, the settings item, in one consistent batch."""
        wanted = [keys.player(attacker_id)]
        if victim_id != attacker_id:
            wanted.append(keys.player(victim_id))
        if heist_id is not None:
            wanted.append(keys.heist(heist_id))
        if with_settings:
            wanted.append(keys.SETTINGS)
        found = self._table.by_partition(wanted)
        record = None
        if heist_id is not None:
            record_item = found.get(keys.heist(heist_id)["pk"])
            record = None if record_item is None else items.heist_from(record_item)
        return HeistSnapshot(
            record=record,
            attacker=_player(found, attacker_id),
            victim=_player(found, victim_id),
            settings=found.get(keys.SETTINGS["pk"]),
        )

    def commit_heist(
        self, heist: Heist, attacker: Player, victim: Player, pair_cooldown: timedelta
    ) -> Heist | RefusedHeist | None:
        """Commit, or return the outcome that already stands under this id.

        `pair_cooldown` is how long the attacker's victims are remembered. None: committed. Raises
        Contention when a player is no longer at the version seen.
        """
        try:
            self._table.transact(transactions.commit_heist(heist, attacker, victim, pair_cooldown))
        except ConditionFailed as refusal:
            standing = refusal.failed.get("heist")
            if standing is None:
                raise
            return items.heist_from(standing)
        return None

    def record_refusal(self, refused: RefusedHeist) -> bool:
        """True: the refusal stands. False: another outcome stood already."""
        return self._table.put_if(transactions.record_refusal(refused))

    # Reversals

    def reversal(self, heist_id: str) -> Reversal | None:
        """The reversal of a heist, if it was reversed."""
        item = self._table.get(keys.reversal(heist_id))
        return None if item is None else items.reversal_from(item)

    def commit_reversal(
        self,
        reversal: Reversal,
        attacker: Player,
        victim: Player,
        action: "Action",
        receipt: "Receipt | None" = None,
    ) -> Reversal | None:
        """Commit, or return the reversal that already stands.

        None: committed. Raises Contention when a player is no longer at the version seen, and
        AnsweredAlready.
        """
        from . import operator  # one function alone reverses heists

        change = operator.commit_reversal(reversal, attacker, victim, action)
        try:
            self._table.transact((*change, *operator.remember(receipt)))
        except ConditionFailed as refusal:
            if operator.RECEIPT in refusal.failed:
                raise AnsweredAlready from refusal
            standing = refusal.failed.get("reversal")
            if standing is None:
                raise
            return items.reversal_from(standing)
        return None

    # Rate limits

    def count_attempt(self, player_id: str, heist_id: str, minute: datetime, limit: int) -> Count:
        """Count a distinct attempt in the calendar minute that starts at `minute`."""
        request = transactions.count_attempt(player_id, heist_id, minute, limit)
        try:
            before = self._table.update(request)
        except ConditionFailed:
            return Count(allowed=False, added=False)
        counted = before.get("attempts")
        return Count(allowed=True, added=not (isinstance(counted, set) and heist_id in counted))

    def uncount_attempt(self, player_id: str, heist_id: str, minute: datetime) -> None:
        """Take back what `count_attempt` added."""
        self._table.update(transactions.uncount_attempt(player_id, heist_id, minute))

    def count_check(self, player_id: str, minute: datetime, limit: int) -> bool:
        """Whether one more eligibility check is within the minute's limit; counted if so."""
        return self._table.update_if(transactions.count_check(player_id, minute, limit))

    # Players

    def heist(self, heist_id: str) -> Heist | RefusedHeist | None:
        """The outcome that stands under an id."""
        item = self._table.get(keys.heist(heist_id))
        return None if item is None else items.heist_from(item)

    def player(self, player_id: str) -> Player:
        """The player's state, read consistently."""
        return player_items.player_from(player_id, self._table.get(keys.player(player_id)))

    def players_and_settings(
        self, player_ids: Iterable[str], *, with_settings: bool
    ) -> tuple[dict[str, Player], Item | None]:
        wanted = [keys.player(player_id) for player_id in sorted(set(player_ids))]
        found = self._table.by_partition([*wanted, keys.SETTINGS] if with_settings else wanted)
        players = {player_id: _player(found, player_id) for player_id in player_ids}
        return players, found.get(keys.SETTINGS["pk"])

    def with_old_seasons(self, *players: Player) -> tuple[Player, ...]:
        """The same with all of their seasons, read after them.

        Whoever changes old seasons changes the player, too: what is no longer as it was read here
        makes a commit of what was read before fail.
        """
        known = [keys.old_seasons(player.id) for player in players if player.exists]
        found = self._table.by_partition(known) if known else {}
        return tuple(
            replace(player, old_points=player_items.points_from(found.get(key["pk"], {})))
            for player in players
            for key in [keys.old_seasons(player.id)]
        )

    def save_profile(self, seen: Player, profile: Profile, now: datetime) -> None:
        """Raises Contention when the player is no longer at the version seen."""
        self._table.update(transactions.save_profile(seen, profile, now))

    def save_preferences(self, seen: Player, preferences: Preferences, now: datetime) -> None:
        """Raises Contention when the player is no longer at the version seen."""
        self._table.update(transactions.save_preferences(seen, preferences, now))

    def commit_award(self, award: Award) -> bool:
        """False: this referred player has earned somebody a token already. Raises Erased."""
        to_known, to_new = (transactions.commit_award(award, to_new=new) for new in (False, True))
        return self._credit_once(to_known, to_new, "referral", "referrer")

    def award(self, referred_id: str) -> Award | None:
        """The award for a referred player, once somebody has its token."""
        item = self._table.get(keys.referral(referred_id))
        return None if item is None or items.is_held(item) else items.award_from(item)

    def hold_award(self, award: Award) -> bool:
        """False: this referred player has earned somebody a token already, or one is held."""
        return self._table.put_if(transactions.hold_award(award))

    def release_award(self, award: Award) -> bool:
        """Give the token of a held award. False: it is not held any more. Raises Erased."""
        to_known, to_new = (transactions.release_award(award, to_new=new) for new in (False, True))
        return self._credit_once(to_known, to_new, "referral", "referrer")

    def settings_item(self) -> Item | None:
        """What operators set over the variables."""
        return self._table.get(keys.SETTINGS)

    def read_for_points(
        self, event_id: str, player_id: str, *, with_old_seasons: bool
    ) -> PointsSnapshot:
        """Whether points of this event were added, and the player."""
        event = keys.points_event(event_id)
        found = self._table.by_partition([event, keys.player(player_id)])
        standing = found.get(event["pk"])
        change = None if standing is None else items.points_change_from(standing)
        player = _player(found, player_id)
        if with_old_seasons and standing is None:
            (player,) = self.with_old_seasons(player)
        return PointsSnapshot(standing is not None, change, player)

    def commit_points(self, earned: EarnedPoints, seen: Player, change: PointsChange) -> None:
        """Raises Contention when the event was counted, or the player is no longer as seen."""
        self._table.transact(transactions.commit_points(earned, seen, change))

    def seed_point_type(self, name: str, description: str) -> None:
        self._table.update(transactions.seed_point_type(name, description))

    # Notices and mail

    def deliver_notice(
        self, event: Event, notice: Notice, arrived_at: datetime, mail: MailRecord | None = None
    ) -> Delivered:
        """Put the notice, with the first step of its mail, and then its inbox item, each once.

        The notice names the position of its item, and another one only
        once somebody else's item stands there. Positions are consecutive: n + 1 is only named by a
        writer that saw n as the newest, so what becomes visible later always sorts above what was
        visible before. Raises Contention when others take one position after another.
        """
        top = self._top(notice.recipient_id)
        if top == _NOTHING:
            self._table.put_if(transactions.begin_read_count(notice.recipient_id, 0, 0))
        position = top.newest + 1
        standing = self._put_notice(event, notice, mail, position)
        if standing is not None:
            named = inbox_items.inbox_position_from(standing)
            if named is None or notice.created_at + inbox_items.INBOX_KEPT < arrived_at:
                # By now its item may be gone.
                return Delivered(put=False, claimed=False, position=named)
            position = named
        put, position = self._put_in_inbox(event, notice, position)
        claimed = standing is None or inbox_items.is_claimed_by(standing, mail)
        return Delivered(put, claimed, position)

    def _put_notice(
        self, event: Event, notice: Notice, mail: MailRecord | None, position: int | None
    ) -> Item | None:
        """The notice that stands there already, if one does."""
        request = transactions.put_notice(items.subject_key(event), notice, mail, position)
        return self._table.put_unless(request)

    def _put_in_inbox(self, event: Event, notice: Notice, position: int) -> tuple[bool, int]:
        """Whether this call put it, and at which position it is."""
        key = keys.notice(items.subject_key(event), notice.recipient_id)
        tag = keys.inbox_tag(key)
        for _ in range(_POSITIONS_TRIED):
            request = transactions.put_in_inbox(position, tag, notice)
            standing = self._table.put_unless(request)
            if standing is None:
                return True, position
            if inbox_items.is_inbox_item_of(standing, tag, notice):
                return False, position
            other = self._top(notice.recipient_id).newest + 1
            if not self._table.update_if(transactions.move_notice(key, position, other)):
                break  # another delivery of this notice moved it
            position = other
        raise Contention

    def note_only(self, event: Event, notice: Notice, mail: MailRecord | None) -> Delivered:
        """Put the notice of a recipient who has no inbox any more."""
        standing = self._put_notice(event, notice, mail, None)
        return Delivered(put=False, claimed=standing is None)

    def mail_record(self, event: Event, recipient_id: str) -> MailRecord:
        """How far the mail of a delivered notice is. Raises Malformed without a notice."""
        item = self._table.get(keys.notice(items.subject_key(event), recipient_id))
        if item is None:
            raise Malformed("there is no notice")
        return inbox_items.mail_record_from(item)

    def move_mail(self, event: Event, recipient_id: str, seen: MailRecord, to: MailRecord) -> bool:
        """False: somebody moved the mail since it was read."""
        key = keys.notice(items.subject_key(event), recipient_id)
        return self._table.update_if(transactions.move_mail(key, seen, to))

    def await_digest(self, player_id: str, position: int, now: datetime) -> None:
        """The notice at a position of the inbox is to come with the next digest. May be repeated.

        That is today's, if it did not go yet, however late it is; else tomorrow's.
        """
        from .digests import await_digest  # few functions notify

        today = day_of(now)
        if not self._table.update_if(await_digest(player_id, position, today, unless_gone=True)):
            tomorrow = today + timedelta(days=1)
            self._table.update_if(await_digest(player_id, position, tomorrow, unless_gone=False))

    def named_mail(self, name: "MailName") -> MailRecord | None:
        """How far a mail about an event is; None if there is none. Raises Malformed."""
        item = self._table.get(_notice_of(name))
        return inbox_items.mail_record_from(item) if item and "mailState" in item else None

    def record_feedback(
        self,
        name: "MailName",
        moved: tuple[MailRecord, MailRecord] | None,
        seen: Player,
        profile: Profile | None,
        now: datetime,
    ) -> None:
        """Move a mail and replace its player's profile, both or nothing; None leaves one as it is.

        Raises Contention when mail or player are no longer as seen.
        """
        steps = []
        if moved is not None:
            steps.append(Step("mail", {"Update": transactions.move_mail(_notice_of(name), *moved)}))
        if profile is not None:
            steps.append(Step("player", {"Update": transactions.save_profile(seen, profile, now)}))
        self._table.transact(steps)

    # What is owed

    def ask_mail_again(
        self, event: Event, recipient_id: str, seen: MailRecord, owed: str, since: datetime
    ) -> bool:
        """Make a mail pending that had ended, and owe it under `owed`. False: somebody moved it.

        Raises Contention.
        """
        request = transactions.ask_mail_again(
            items.subject_key(event), recipient_id, seen, owed, since
        )
        return self._once(request, "mail")

    def settle(self, event: Fact, *owed: str, last: bool = False) -> None:
        """Take `owed` off the marker, and the marker away when nothing is left on it.

        `last`: probably nothing else is owed. Guessing right saves a write unit, wrong costs one.
        """
        subject = items.subject_key(event)
        if last and self._table.update_if(transactions.settle_last(subject, owed)):
            return
        try:
            left = self._table.update(transactions.settle(subject, owed))
        except ConditionFailed:
            return
        if not items.owed_of(left):
            self._table.update_if(transactions.clear_marker(subject))

    def owes_only(self, event: Fact, *owed: str) -> bool:
        """Whether nothing else is owed, by one read: a fifth of what a wrong guess costs."""
        record = self._table.get(items.subject_key(event))
        return record is not None and items.owed_of(record) <= set(owed)

    def put_back(self, subject: keys.Key, now: datetime) -> None:
        """Move a record that still waits to the end of the sweeper's queue."""
        self._table.update_if(transactions.put_back(subject, now))

    def set_aside(self, subject: keys.Key) -> None:
        """Park a record that cannot be read, so that the sweeper does not try it again."""
        self._table.update_if(transactions.set_aside(subject))

    def owed_before(self, moment: datetime) -> Iterator[OwedRecord]:
        """Everything owed since before a moment, oldest first; refused heists after all others."""
        for buckets in (keys.OWED_BUCKETS, keys.REFUSED_BUCKETS):
            yield from self._marked(buckets, moment)

    def held_before(self, moment: datetime) -> Iterator[OwedRecord]:
        """Every award that has been held since before a moment, oldest first."""
        return self._marked([keys.HELD_BUCKET], moment)

    def _marked(self, buckets: Sequence[str], moment: datetime) -> Iterator[OwedRecord]:
        for entry in self._table.marked(buckets, to_iso(moment - timedelta(milliseconds=1))):
            key = keys.key_of(entry)
            item = self._table.get(key)
            if item is not None and item.get("owedBucket") == entry["owedBucket"]:
                yield OwedRecord(key, item)

    # Inbox

    def inbox_page(
        self, player_id: str, *, unread_only: bool, before: str | None, limit: int, now: datetime
    ) -> tuple[list[InboxItem], int, bool]:
        """Newest items before a position, the count of all unread, and whether more follow."""
        position = "unread" if unread_only else "sk"
        request: Request = {
            "KeyConditionExpression": f"pk = :pk AND {position} < :before",
            "FilterExpression": _NOT_EXPIRED,
            "ExpressionAttributeValues": to_wire(
                {
                    ":pk": keys.inbox(player_id),
                    ":before": before or keys.Kind.READ_COUNT.sort,
                    ":now": int(now.timestamp()),
                }
            ),
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": limit + 1,
        }
        if unread_only:
            request["IndexName"] = "unread"

        def page() -> list[InboxItem]:
            return [
                inbox_items.inbox_item_from(item)
                for item in islice(self._table.query(request), limit + 1)
            ]

        found, unread = self.together(page, lambda: self.unread_count(player_id, now))
        return found[:limit], unread, len(found) > limit

    def unread_count(self, player_id: str, now: datetime) -> int:
        """How many items are unread, all of them: as many as came, less those that were read.

        By one read of two items, whatever lies in the inbox. Only in one from before there were
        counts, in which nothing was marked since, all that is unread is read.
        """
        top = self._top(player_id)
        if top.read is None:
            return self._table.count_items(self._unread(player_id, now, None)) if top.newest else 0
        return top.newest - top.read

    def unread_positions(
        self, player_id: str, now: datetime, *, up_to: str | None = None
    ) -> Iterator[tuple[str, str]]:
        """Position and tag of every unread item, up to and including a position."""
        request = {**self._unread(player_id, now, up_to), "ProjectionExpression": "sk, tag"}
        for item in self._table.query(request):
            yield str(item["sk"]), str(item["tag"])

    def _unread(self, player_id: str, now: datetime, up_to: str | None) -> Request:
        return {
            "IndexName": "unread",
            "KeyConditionExpression": "pk = :pk"
            if up_to is None
            else "pk = :pk AND unread <= :upTo",
            "FilterExpression": _NOT_EXPIRED,
            "ExpressionAttributeValues": to_wire(
                {
                    ":pk": keys.inbox(player_id),
                    ":upTo": up_to,
                    ":now": int(now.timestamp()),
                }
            ),
            "ConsistentRead": True,
        }

    def in_inbox(
        self, player_id: str, ids: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], bool]:
        """Of at most 100 positions and tags those in the inbox, and whether each is unread."""
        positions = sorted({position for position, _ in ids})
        if not positions:
            return {}
        found = self._table.get_all([keys.inbox_item(player_id, one) for one in positions])
        unread = {(str(item["sk"]), str(item["tag"])): "unread" in item for item in found}
        return {one: unread[one] for one in ids if one in unread}

    def mark_read(self, player_id: str, positions: Sequence[tuple[str, str]], at: datetime) -> int:
        """Mark at most 99 items as read; the number that were unread until now.

        All in one transaction with their count, so that it is never another. Raises Contention.
        """
        left = list(positions)
        while left:
            top = self._top(player_id)
            if top.read is None:
                self._begin_read_count(player_id, top.newest, at)
                continue
            try:
                self._table.transact(transactions.mark_read(player_id, left, top.newest, at))
            except ConditionFailed as refusal:
                left = [one for one in left if one[0] not in refusal.failed]
            else:
                return len(left)
        return 0

    def _begin_read_count(self, player_id: str, newest: int, now: datetime) -> None:
        """Of an inbox from before there were counts. Nobody marks anything until there is one."""
        unread = [
            position
            for position, _ in self.unread_positions(
                player_id, now, up_to=inbox_items.position_of(newest)
            )
        ]
        for position in unread:
            self._table.update_if(transactions.keep_until_read(player_id, position))
        self._table.put_if(transactions.begin_read_count(player_id, newest - len(unread), newest))

    # Calls

    def together(self, aside: Callable[[], A], here: Callable[[], B]) -> tuple[A, B]:
        """Run two calls at the same time; an error of either surfaces when both have ended."""
        future = self._executor.submit(aside)
        try:
            there = here()
        finally:
            wait((future,))
        return future.result(), there

    def _top(self, player_id: str) -> Top:
        """By one query: the count sorts behind the newest item."""
        request: Request = {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": to_wire({":pk": keys.inbox(player_id)}),
            "ProjectionExpression": "pk, sk, readItems, newest",
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": 2,
        }
        newest, read = 0, None
        for item in islice(self._table.query(request), 2):
            if keys.kind_of(item) is keys.Kind.READ_COUNT:
                read, newest = inbox_items.read_count_from(item)
            else:
                return Top(max(newest, int(str(item["sk"]))), read)
        return Top(newest, read)

    def _once(self, transaction: Transaction, arbiter: str) -> bool:
        """False: the arbiter's condition failed."""
        try:
            self._table.transact(transaction)
        except ConditionFailed as refusal:
            if arbiter in refusal.failed:
                return False
            raise
        return True

    def _credit_once(
        self, to_known: Transaction, to_new: Transaction, arbiter: str, player: str
    ) -> bool:
        """As `_once`, with a step on a `player` who may be new.

        Nobody is read first, since hardly anybody is new. Raises Erased.
        """
        try:
            return self._once(to_known, arbiter)
        except ConditionFailed as refusal:
            if player not in refusal.failed:
                raise
            if refusal.failed[player] is not None:
                raise Erased from refusal
        return self._once(to_new, arbiter)


def _notice_of(name: "MailName") -> keys.Key:
    return keys.notice(keys.SUBJECTS[name.about](name.subject_id), name.recipient_id)


def _player(found: Mapping[str, Item], player_id: str) -> Player:
    return player_items.player_from(player_id, found.get(keys.player(player_id)["pk"]))
