"""The only code that talks to DynamoDB.

Every method may raise:
- Contention: others won the race, or a transaction conflict or throttle cancelled it. Nothing was written.
- Unavailable: no definite answer (time-out, connection, 5xx). For writes the outcome is unknown.
Any other error of DynamoDB is a defect and passes through.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, wait
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from botocore.exceptions import (
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.parsers import ResponseParserError

from heist_core.domain.award import Award, EarnedPoints
from heist_core.domain.errors import Contention, Erased, Malformed, Misconfigured, Unavailable
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.inbox import Event, Fact, InboxItem, MailedEvent, MailRecord, Notice
from heist_core.domain.player import Player, Profile
from heist_core.domain.reversal import Reversal
from heist_core.domain.times import to_iso

from . import items, keys, transactions
from .transactions import Request, Transaction
from .wire import Item, from_wire, to_wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        KeysAndAttributesOutputTypeDef,
        KeysAndAttributesTypeDef,
        PutItemInputTypeDef,
        QueryInputTypeDef,
        QueryOutputTypeDef,
        TransactWriteItemTypeDef,
        UpdateItemInputTypeDef,
    )

    from heist_core.domain.action import Action

A = TypeVar("A")
B = TypeVar("B")

_NO_ANSWER = (HTTPClientError, BotocoreConnectionError, IncompleteReadError, ResponseParserError)
_CONTENDED = frozenset(
    {
        "TransactionConflictException",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    }
)
_DEFECTS = frozenset(
    {
        "ValidationException",
        "SerializationException",
        "IdempotentParameterMismatchException",
        "ItemCollectionSizeLimitExceededException",
    }
)
_MISCONFIGURED = frozenset(
    {
        "AccessDeniedException",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
        "ExpiredTokenException",
    }
)
_DEFECTIVE_REASONS = frozenset({"ValidationError", "ItemCollectionSizeLimitExceeded"})
_BATCH_ROUNDS = 5


class HeistSnapshot(NamedTuple):
    """What a heist is decided on. The read is not atomic and need not be: every write is conditional."""

    record: Heist | RefusedHeist | None
    attacker: Player
    victim: Player
    settings: Item | None


class Count(NamedTuple):
    """Whether an attempt is within the limit, and whether this request was the one that counted it."""

    allowed: bool
    added: bool


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


class _ConditionFailed(Exception):
    """The condition that decides failed; `item` is what stands there, if DynamoDB said."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


class Store:
    """The table. `client` may be shared between threads; `executor` runs overlapping calls."""

    def __init__(self, client: "DynamoDBClient", table: str, executor: Executor) -> None:
        self._client = client
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
        found = self._read_batch(wanted)
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
        self, heist: Heist, attacker: Player, victim: Player
    ) -> Heist | RefusedHeist | None:
        """Commit, or return the outcome that already stands under this id.

        None: committed. Raises Contention when a player is no longer at the version seen.
        """
        request = transactions.commit_heist(self._table, heist, attacker, victim)
        try:
            self._transact(request, arbiter="heist")
        except _ConditionFailed as failed:
            if failed.item is None:
                raise Contention from failed
            return items.heist_from(failed.item)
        return None

    def record_refusal(self, refused: RefusedHeist) -> bool:
        """True: the refusal stands. False: another outcome stood already."""
        request = transactions.record_refusal(self._table, refused)
        try:
            self._put(request)
        except _ConditionFailed:
            return False
        return True

    # Reversals

    def reversal(self, heist_id: str) -> Reversal | None:
        """The reversal of a heist, if it was reversed."""
        item = self._get(keys.reversal(heist_id))
        return None if item is None else items.reversal_from(item)

    def commit_reversal(
        self, reversal: Reversal, attacker: Player, victim: Player, action: "Action"
    ) -> Reversal | None:
        """Commit, or return the reversal that already stands.

        None: committed. Raises Contention when a player is no longer at the version seen.
        """
        from . import operator  # no function reverses heists

        request = operator.commit_reversal(self._table, reversal, attacker, victim, action)
        try:
            self._transact(request, arbiter="reversal")
        except _ConditionFailed as failed:
            if failed.item is None:
                raise Contention from failed
            return items.reversal_from(failed.item)
        return None

    # Rate limits

    def count_attempt(self, player_id: str, heist_id: str, minute: datetime, limit: int) -> Count:
        """Count a distinct attempt in the calendar minute that starts at `minute`."""
        attempt = _attempt(heist_id)
        request = transactions.count_attempt(self._table, player_id, attempt, minute, limit)
        try:
            before = self._update(request)
        except _ConditionFailed:
            return Count(allowed=False, added=False)
        counted = before.get("attempts")
        return Count(allowed=True, added=not (isinstance(counted, set) and attempt in counted))

    def uncount_attempt(self, player_id: str, heist_id: str, minute: datetime) -> None:
        """Take back what `count_attempt` added."""
        attempt = _attempt(heist_id)
        self._update(transactions.uncount_attempt(self._table, player_id, attempt, minute))

    def count_check(self, player_id: str, minute: datetime, limit: int) -> bool:
        """Whether one more eligibility check is within the minute's limit; counted if so."""
        try:
            self._update(transactions.count_check(self._table, player_id, minute, limit))
        except _ConditionFailed:
            return False
        return True

    # Players

    def heist(self, heist_id: str) -> Heist | RefusedHeist | None:
        """The outcome that stands under an id."""
        item = self._get(keys.heist(heist_id))
        return None if item is None else items.heist_from(item)

    def player(self, player_id: str) -> Player:
        """The player's state, read consistently."""
        return items.player_from(player_id, self._get(keys.player(player_id)))

    def players_and_settings(
        self, player_ids: Iterable[str], *, with_settings: bool
    ) -> tuple[dict[str, Player], Item | None]:
        wanted = [keys.player(player_id) for player_id in sorted(set(player_ids))]
        found = self._read_batch([*wanted, keys.SETTINGS] if with_settings else wanted)
        players = {player_id: _player(found, player_id) for player_id in player_ids}
        return players, found.get(keys.SETTINGS["pk"])

    def save_profile(self, seen: Player, profile: Profile) -> None:
        """Raises Contention when the player is no longer at the version seen."""
        try:
            self._update(transactions.save_profile(self._table, seen, profile))
        except _ConditionFailed as failed:
            raise Contention from failed

    def commit_award(self, award: Award) -> bool:
        """False: this referred player has earned somebody a token already. Raises Erased."""
        request = transactions.commit_award(self._table, award)
        return self._transact_once(request, "referral", player="referrer")

    def hold_award(self, award: Award) -> bool:
        """False: this referred player has earned somebody a token already, or one is held."""
        try:
            self._put(transactions.hold_award(self._table, award))
        except _ConditionFailed:
            return False
        return True

    def release_award(self, award: Award) -> bool:
        """Give the token of a held award. False: it is not held any more. Raises Erased."""
        request = transactions.release_award(self._table, award)
        return self._transact_once(request, "referral", player="referrer")

    def settings_item(self) -> Item | None:
        """What operators set over the variables."""
        return self._get(keys.SETTINGS)

    def commit_points(self, earned: EarnedPoints) -> bool:
        """False: this event was counted already. Raises Erased."""
        request = transactions.commit_points(self._table, earned)
        return self._transact_once(request, "event", player="player")

    def seed_point_type(self, name: str, description: str) -> None:
        self._update(transactions.seed_point_type(self._table, name, description))

    # Notices and mail

    def deliver_notice(self, event: Event, notice: Notice, arrived_at: datetime) -> bool:
        """Put the notice and its inbox item, once. False: they were there already.

        Inbox positions are consecutive: position n + 1 is only taken by a writer that saw n as the
        newest, so an item that becomes visible later always sorts above those visible before.
        Raises Contention when another notice took the position.
        """
        subject = items.subject_key(event)
        sequence = self._newest_position(notice.recipient_id) + 1
        tag = keys.inbox_tag(keys.notice(subject, notice.recipient_id))
        request = transactions.deliver_notice(
            self._table, subject, notice, sequence, tag, arrived_at
        )
        return self._transact_once(request, "notice")

    def note_only(self, event: Event, notice: Notice) -> bool:
        """Put the notice of a recipient who has no inbox any more. False: it was there already."""
        try:
            self._put(transactions.note_only(self._table, items.subject_key(event), notice))
        except _ConditionFailed:
            return False
        return True

    def mail_record(self, event: MailedEvent, recipient_id: str) -> MailRecord:
        """How far the mail of a delivered notice is. Raises Malformed without a notice."""
        item = self._get(keys.notice(items.subject_key(event), recipient_id))
        if item is None:
            raise Malformed("there is no notice")
        return items.mail_record_from(item)

    def move_mail(
        self, event: MailedEvent, recipient_id: str, seen: MailRecord, to: MailRecord
    ) -> bool:
        """False: somebody moved the mail since it was read."""
        key = keys.notice(items.subject_key(event), recipient_id)
        try:
            self._update(transactions.move_mail(self._table, key, seen, to))
        except _ConditionFailed:
            return False
        return True

    # What is owed

    def ask_mail_again(
        self, event: MailedEvent, recipient_id: str, seen: MailRecord, owed: str, since: datetime
    ) -> bool:
        """Make a mail pending that had ended, and owe it under `owed`. False: somebody moved it.

        Raises Contention.
        """
        request = transactions.ask_mail_again(
            self._table, items.subject_key(event), recipient_id, seen, owed, since
        )
        return self._transact_once(request, "mail")

    def settle(self, event: Fact, *owed: str) -> None:
        """Take `owed` off the marker, and the marker away when nothing is left on it."""
        subject = items.subject_key(event)
        try:
            left = self._update(transactions.settle(self._table, subject, owed))
            if not items.owed_of(left):
                self._update(transactions.clear_marker(self._table, subject))
        except _ConditionFailed:
            return

    def put_back(self, subject: keys.Key, now: datetime) -> None:
        """Let the sweeper come to everything else first."""
        try:
            self._update(transactions.put_back(self._table, subject, now))
        except _ConditionFailed:
            return

    def set_aside(self, subject: keys.Key) -> None:
        """Keep the sweeper from trying again what cannot be processed."""
        try:
            self._update(transactions.set_aside(self._table, subject))
        except _ConditionFailed:
            return

    def owed_before(self, moment: datetime) -> Iterator[OwedRecord]:
        """Everything owed since before a moment, oldest first; refused heists after all others."""
        for buckets in (keys.OWED_BUCKETS, keys.REFUSED_BUCKETS):
            yield from self._marked(buckets, moment)

    def held_before(self, moment: datetime) -> Iterator[OwedRecord]:
        """Every award that has been held since before a moment, oldest first."""
        return self._marked([keys.HELD_BUCKET], moment)

    def _marked(self, buckets: Sequence[str], moment: datetime) -> Iterator[OwedRecord]:
        queues = [
            self._query(
                {
                    "IndexName": "owed",
                    "KeyConditionExpression": "owedBucket = :bucket AND owedSince < :before",
                    "ExpressionAttributeValues": to_wire(
                        {":bucket": bucket, ":before": to_iso(moment)}
                    ),
                }
            )
            for bucket in buckets
        ]
        for entry in heapq.merge(*queues, key=lambda entry: str(entry["owedSince"])):
            key = {"pk": str(entry["pk"]), "sk": str(entry["sk"])}
            item = self._get(key)
            if item is not None and item.get("owedBucket") == entry["owedBucket"]:
                yield OwedRecord(key, item)

    # Inbox

    def inbox_page(
        self, player_id: str, *, unread_only: bool, before: str | None, limit: int, now: datetime
    ) -> tuple[list[InboxItem], int, bool]:
        """Newest items before a position, the count of all unread, and whether more follow."""
        position = "unread" if unread_only else "sk"
        condition = "pk = :pk" if before is None else f"pk = :pk AND {position} < :before"
        request: Request = {
            "KeyConditionExpression": condition,
            "FilterExpression": "expiresAt > :now",
            "ExpressionAttributeValues": to_wire(
                {
                    ":pk": keys.inbox(player_id),
                    ":before": before,
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
            return [items.inbox_item_from(item) for item in islice(self._query(request), limit + 1)]

        found, unread = self.together(page, lambda: self.unread_count(player_id, now))
        return found[:limit], unread, len(found) > limit

    def unread_count(self, player_id: str, now: datetime) -> int:
        """How many items are unread, all of them, read consistently."""
        request = {**self._unread(player_id, now, None), "Select": "COUNT"}
        return sum(page["Count"] for page in self._query_pages(request))

    def unread_positions(
        self, player_id: str, now: datetime, *, up_to: str | None = None
    ) -> Iterator[tuple[str, str]]:
        """Position and tag of every unread item, up to and including a position."""
        request = {**self._unread(player_id, now, up_to), "ProjectionExpression": "sk, tag"}
        for item in self._query(request):
            yield str(item["sk"]), str(item["tag"])

    def _unread(self, player_id: str, now: datetime, up_to: str | None) -> Request:
        return {
            "IndexName": "unread",
            "KeyConditionExpression": "pk = :pk"
            if up_to is None
            else "pk = :pk AND unread <= :upTo",
            "FilterExpression": "expiresAt > :now",
            "ExpressionAttributeValues": to_wire(
                {
                    ":pk": keys.inbox(player_id),
                    ":upTo": up_to,
                    ":now": int(now.timestamp()),
                }
            ),
            "ConsistentRead": True,
        }

    def in_inbox(self, player_id: str, position: str, tag: str) -> bool:
        item = self._get({"pk": keys.inbox(player_id), "sk": position})
        return item is not None and item.get("tag") == tag

    def mark_read(self, player_id: str, positions: Sequence[tuple[str, str]], at: datetime) -> int:
        """Mark items as read, several at a time; the number that were unread until now."""

        def mark(position_and_tag: tuple[str, str]) -> bool:
            position, tag = position_and_tag
            request = transactions.mark_read(self._table, player_id, position, tag, at)
            try:
                self._update(request)
            except _ConditionFailed:
                return False
            return True

        return sum(self._executor.map(mark, positions))

    # Operators

    def items_at(self, wanted: Sequence[keys.Key]) -> list[Item]:
        """Those of at most 100 items that are there, in any order, read consistently."""
        found: list[Item] = []
        pending: Mapping[str, KeysAndAttributesTypeDef | KeysAndAttributesOutputTypeDef] = {
            self._table: {"Keys": [to_wire(key) for key in wanted], "ConsistentRead": True}
        }
        for _ in range(_BATCH_ROUNDS):
            with _translated():
                answer = self._client.batch_get_item(RequestItems=pending)
            found += map(from_wire, answer["Responses"].get(self._table, []))
            pending = answer.get("UnprocessedKeys", {})
            if not pending:
                return found
        raise Contention

    def commit(self, transaction: Transaction) -> None:
        """An operator's change and its log entry. Raises Contention when what it was decided on has
        changed; nothing was written then."""
        self._transact(transaction, arbiter="")

    # Calls

    def together(self, aside: Callable[[], A], here: Callable[[], B]) -> tuple[A, B]:
        """Run two calls at the same time; an error of either surfaces when both have ended."""
        future = self._executor.submit(aside)
        try:
            there = here()
        finally:
            wait((future,))
        return future.result(), there

    def _newest_position(self, player_id: str) -> int:
        request: Request = {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": to_wire({":pk": keys.inbox(player_id)}),
            "ProjectionExpression": "sk",
            "ScanIndexForward": False,
            "ConsistentRead": True,
            "Limit": 1,
        }
        newest = next(self._query(request), None)
        return 0 if newest is None else int(str(newest["sk"]))

    def _get(self, key: keys.Key) -> Item | None:
        with _translated():
            answer = self._client.get_item(
                TableName=self._table, Key=to_wire(key), ConsistentRead=True
            )
        return from_wire(answer["Item"]) if "Item" in answer else None

    def _read_batch(self, wanted: Sequence[keys.Key]) -> dict[str, Item]:
        """Found items by partition key, which is different for each of `wanted`."""
        return {str(item["pk"]): item for item in self.items_at(wanted)}

    def _query_pages(self, request: Request) -> Iterator["QueryOutputTypeDef"]:
        start: Request = {}
        while True:
            with _translated():
                page = self._client.query(
                    **cast("QueryInputTypeDef", {"TableName": self._table, **request, **start})
                )
            yield page
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _query(self, request: Request) -> Iterator[Item]:
        for page in self._query_pages(request):
            yield from map(from_wire, page["Items"])

    def _put(self, request: Request) -> None:
        with _translated():
            self._client.put_item(**cast("PutItemInputTypeDef", request))

    def _update(self, request: Request) -> Item:
        """The attributes that `ReturnValues` asked for."""
        with _translated():
            answer = self._client.update_item(**cast("UpdateItemInputTypeDef", request))
        return from_wire(answer.get("Attributes", {}))

    def _transact(self, transaction: Transaction, arbiter: str, player: str = "") -> None:
        """All steps or none. Raises _ConditionFailed when the arbiter's condition did not hold."""
        actions = [cast("TransactWriteItemTypeDef", step.action) for step in transaction]
        with _translated(tuple(step.name for step in transaction), arbiter, player):
            self._client.transact_write_items(TransactItems=actions)

    def _transact_once(self, transaction: Transaction, arbiter: str, player: str = "") -> bool:
        """False: the arbiter's item was there already. Raises Erased when the step `player` says so."""
        try:
            self._transact(transaction, arbiter, player)
        except _ConditionFailed:
            return False
        return True


def _player(found: Mapping[str, Item], player_id: str) -> Player:
    return items.player_from(player_id, found.get(keys.player(player_id)["pk"]))


def _attempt(heist_id: str) -> str:
    """Short, since a minute's set is rewritten with every attempt; 48 bits tell attempts apart."""
    return heist_id[:12]


@contextmanager
def _translated(steps: Sequence[str] = (), arbiter: str = "", player: str = "") -> Iterator[None]:
    """botocore's errors as ours. `steps` are those of a transaction, `arbiter` and `player` two of them."""
    try:
        yield
    except _NO_ANSWER as error:
        raise Unavailable from error
    except ClientError as error:
        translation = _translation(error, steps, arbiter, player)
        if translation is None:
            raise
        raise translation from error


def _translation(
    error: ClientError, steps: Sequence[str], arbiter: str, player: str
) -> Exception | None:
    """None for a defect."""
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return _ConditionFailed(_old_item(cast("Mapping[str, object]", error.response)))
    if code == "TransactionCanceledException":
        listed = cast("Mapping[str, Sequence[Mapping[str, object]]]", error.response)
        reasons = dict(zip(steps, listed.get("CancellationReasons", ()), strict=False))
        if reasons.get(arbiter, {}).get("Code") == "ConditionalCheckFailed":
            return _ConditionFailed(_old_item(reasons[arbiter]))
        if reasons.get(player, {}).get("Code") == "ConditionalCheckFailed":
            return Erased()
        if any(reason.get("Code") in _DEFECTIVE_REASONS for reason in reasons.values()):
            return None
        return Contention()
    if code in _CONTENDED:
        return Contention()
    if code in _MISCONFIGURED:
        return Misconfigured()
    return None if code in _DEFECTS else Unavailable()


def _old_item(source: Mapping[str, object]) -> Item | None:
    wire = source.get("Item")
    return from_wire(wire) if isinstance(wire, Mapping) and wire else None
