"""What operators look at: all about a player or a heist, their own log, and the last audit.

Everything is read by key or by the index `about`, so it takes as long as there is of one player,
however large the table is.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import date, datetime
from itertools import chain, islice
from typing import NamedTuple

from heist_core.domain.heist import Heist
from heist_core.domain.history import Entry
from heist_core.domain.notices import message_of
from heist_core.domain.player import Player
from heist_core.domain.times import to_iso
from heist_core.texts import texts_for

from . import items, keys
from .inbox_items import inbox_item_from, inbox_position_from, mail_record_from, position_of
from .keys import Key, Kind
from .player_items import player_from, points_from, suppression_attribute
from .table import Table
from .wire import Item, as_json, to_wire
from .writes import put

Document = dict[str, object]
Position = tuple[str, str]
"""When something happened, and what tells it from others of that moment; sorts by time."""

ACTIONS_SINCE = "2026-01"
"""No log of operator actions is older."""
MONTHS_OF_ACTIONS = 13
"""So far back the log is looked through for one player."""
_ENTRIES_AT_ONCE = 30
_MONTHS_AT_ONCE = 6


class Lookup(NamedTuple):
    """An entry of a timeline that is still to be read: its position, and the keys to read."""

    position: Position
    keys: tuple[Key, ...]
    document: Callable[[Mapping[str, Item]], Document | None]
    """From the items under those keys, by place; None if there is nothing to show."""


class Page(NamedTuple):
    """`last`: the position that the next page is before; None when nothing older follows."""

    entries: Sequence[Document]
    last: Position | None


class Timeline(NamedTuple):
    """A player, and a page of all that happened to them."""

    player: Document
    page: Page


class Timelines:
    """`executor` runs overlapping calls. Every method may raise Unavailable or Malformed."""

    def __init__(self, table: Table, executor: Executor) -> None:
        self._table = table
        self._executor = executor

    def player(
        self, player_id: str, now: datetime, *, before: Position | None, limit: int
    ) -> Timeline | None:
        """A page of a player's timeline, newest first; None for somebody nobody has heard of."""
        state, brought_by, ledger, inbox, grants, about, actions = self._executor.map(
            lambda read: read(),
            (
                lambda: self._table.by_place([keys.player(player_id), keys.old_seasons(player_id)]),
                lambda: self._table.by_place([keys.referral(player_id)]),
                lambda: list(self._table.partition(keys.ledger(player_id))),
                lambda: list(self._table.partition(keys.inbox(player_id))),
                lambda: list(self._table.partition(keys.grants(player_id))),
                lambda: list(self._table.by_place(self._table.about(player_id)).values()),
                lambda: self._actions_since(now),
            ),
        )
        inbox = [item for item in inbox if keys.kind_of(item) is Kind.INBOX]
        if not (state or brought_by or ledger or inbox or about):
            return None
        heists = {str(entry["heistId"]) for entry in ledger if "heistId" in entry}
        subjects = {f"player {player_id}", *(f"heist {heist_id}" for heist_id in heists)}
        lookups = [
            *(_ledger_entry(entry) for entry in ledger),
            *chain.from_iterable(_of_heist(player_id, entry) for entry in ledger),
            *(_inbox_entry(item) for item in inbox),
            *(_grant_entry(item) for item in grants),
            *(_about_entry(player_id, item) for item in (*about, *brought_by.values())),
            *chain.from_iterable(_of_award(player_id, item) for item in about),
            *(_action_entry(item) for item in actions if item["subject"] in subjects),
        ]
        player = player_document(player_id, state, brought_by)
        return Timeline(player, self._page(lookups, before, limit))

    def heist(self, heist_id: str) -> Document | None:
        """A heist or refused attempt, and everything that followed from it."""
        found = {
            keys.place_of(one): one for one in self._table.partition(keys.heist(heist_id)["pk"])
        }
        record = found.get(keys.place_of(keys.heist(heist_id)))
        if record is None:
            return None
        fact = items.heist_from(record)
        undone = found.get(keys.place_of(keys.reversal(heist_id)))
        notices = [one for one in found.values() if keys.kind_of(one) is Kind.NOTICE]
        wanted = [_inbox_key(one) for one in notices]
        if isinstance(fact, Heist):
            gain, loss = items.heist_ledger_items(fact)
            wanted += [keys.key_of(gain), keys.key_of(loss)]
        if undone is not None:
            reversal = items.reversal_from(undone)
            wanted += [keys.key_of(one) for one in items.reversal_ledger_items(reversal)]
            wanted.append(keys.action(reversal.at, reversal.action_id))
        beside = self._table.by_place([key for key in wanted if key is not None])
        return {
            "heist": _heist_document(record, undone),
            "reversal": None if undone is None else _without_keys(undone),
            "ledger": [
                {"userId": keys.id_of(one), **_ledger_document(one)}
                for one in beside.values()
                if keys.kind_of(one) is Kind.LEDGER
            ],
            "notifications": [_notice_document(one, beside) for one in notices],
            "actions": [
                action_document(one) for one in beside.values() if keys.kind_of(one) is Kind.ACTION
            ],
            "owed": sorted(
                {each for one in (record, undone) if one for each in items.owed_of(one)}
            ),
        }

    def actions(self, now: datetime, *, before: Position | None, limit: int) -> Page:
        """A page of the log of operator actions, newest first."""
        found: list[Item] = []
        month = f"{now:%Y-%m}"
        months = list(months_before(month if before is None else min(month, before[0][:7])))
        for start in range(0, len(months), _MONTHS_AT_ONCE):
            some = months[start : start + _MONTHS_AT_ONCE]
            pages = self._executor.map(lambda one: self._of_month(one, before, limit + 1), some)
            found += chain.from_iterable(pages)
            if len(found) > limit:
                break
        page = found[:limit]
        last = _position_of_action(page[-1]) if len(found) > limit else None
        return Page([action_document(item) for item in page], last)

    def audit(self) -> Document | None:
        """What the last nightly audit found; None before the first."""
        item = self._table.get(keys.AUDIT)
        return None if item is None else _without_keys(item)

    def keep_audit(self, found: Document) -> None:
        """What an audit found, in place of what the one before did."""
        self._table.put(put({**keys.AUDIT, **found}))

    def _page(self, lookups: Iterable[Lookup], before: Position | None, limit: int) -> Page:
        older = sorted(
            (one for one in lookups if before is None or one.position < before),
            key=lambda one: one.position,
            reverse=True,
        )
        found = list(islice(self._entries(older), limit + 1))
        last = found[limit - 1][0] if len(found) > limit else None
        return Page([document for _, document in found[:limit]], last)

    def _entries(self, lookups: Sequence[Lookup]) -> Iterator[tuple[Position, Document]]:
        for start in range(0, len(lookups), _ENTRIES_AT_ONCE):
            some = lookups[start : start + _ENTRIES_AT_ONCE]
            found = self._table.by_place([key for one in some for key in one.keys])
            for one in some:
                document = one.document(found)
                if document is not None:
                    yield one.position, document

    def _actions_since(self, now: datetime) -> list[Item]:
        months = islice(months_before(f"{now:%Y-%m}"), MONTHS_OF_ACTIONS)
        found = (self._table.partition(keys.actions(month)) for month in months)
        return list(chain.from_iterable(found))

    def _of_month(self, month: str, before: Position | None, limit: int) -> list[Item]:
        request: dict[str, object] = {
            "KeyConditionExpression": "pk = :pk" + (" AND sk < :before" if before else ""),
            "ExpressionAttributeValues": to_wire(
                {":pk": keys.actions(month), ":before": "#".join(before) if before else None}
            ),
            "ConsistentRead": True,
            "ScanIndexForward": False,
            "Limit": limit,
        }
        return list(islice(self._table.query(request), limit))


def months_before(month: str) -> Iterator[str]:
    """That month and every one before it, newest first."""
    at = date.fromisoformat(f"{month}-01")
    while f"{at:%Y-%m}" >= ACTIONS_SINCE:
        yield f"{at:%Y-%m}"
        at = at.replace(year=at.year - (at.month == 1), month=at.month - 1 or 12)


def player_document(
    player_id: str, state: Mapping[str, Item], brought_by: Mapping[str, Item]
) -> Document:
    """A player as the table has them, in the words of the API."""
    player = player_from(player_id, state.get(keys.place_of(keys.player(player_id))))
    old_points = points_from(state.get(keys.place_of(keys.old_seasons(player_id)), {}))
    seasons = sorted({*player.points, *old_points}, reverse=True)
    player = replace(player, old_points=old_points)
    referral = next(iter(brought_by.values()), None)
    return {
        "userId": player.id,
        "name": player.name,
        "email": player.profile.email.value,
        "locale": player.profile.locale.value,
        "emailOptOut": player.profile.email_opt_out.value or False,
        "suppressed": suppression_attribute(player.profile.suppressed),
        "blocked": player.blocked,
        "blockedAt": _iso(player.blocked_at),
        "erasedAt": _iso(player.erased_at),
        "firstSeenAt": _iso(player.first_seen_at),
        **_tokens(player),
        "points": {season: player.points_in(season) for season in seasons},
        "losses": {
            season: {"robberies": each.robberies, "points": each.points}
            for season, each in sorted(player.losses.items(), reverse=True)
        },
        "lastHeistAt": _iso(player.last_heist_at),
        "lastRobbedAt": _iso(player.last_robbed_at),
        "passive": player.preferences.passive,
        "hidden": player.preferences.hidden,
        "emailChoices": dict(player.preferences.email),
        "version": player.version,
        "broughtBy": None if referral is None else referral["referrerId"],
    }


def _tokens(player: Player) -> Document:
    return {
        "tokens": player.tokens,
        "totalEarned": player.tokens_earned,
        "totalSpent": player.tokens_spent,
        "tokensGranted": player.tokens_granted,
        "lastEarnedAt": _iso(player.last_earned_at),
        "lastSpentAt": _iso(player.last_spent_at),
    }


def action_document(item: Item) -> Document:
    """An entry of the log of operator actions."""
    names = ("id", "at", "who", "whoName", "what", "subject", "why", "before", "after")
    return {name: as_json(item.get(name)) for name in names}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else to_iso(moment)


def _position(at: object, kind: str, key: Key) -> Position:
    """Nothing that somebody else chose is part of it."""
    return str(at), hashlib.sha256(f"{kind} {keys.place_of(key)}".encode()).hexdigest()[:16]


def _position_of_action(item: Item) -> Position:
    at, _, action_id = str(item["sk"]).partition("#")
    return at, action_id


def _is(kind: str, at: object, facts: Mapping[str, object]) -> Document:
    return {"kind": kind, "at": at, **facts}


def _known(kind: str, item: Item, at: object, facts: Mapping[str, object]) -> Lookup:
    """An entry whose item was read already."""
    return Lookup(_position(at, kind, keys.key_of(item)), (), lambda _: _is(kind, at, facts))


def _ledger_document(entry: Item) -> Document:
    return {
        "season": str(entry["sk"]).partition("#")[0],
        "points": as_json(entry["points"]),
        "pointEventType": entry["pointEventType"],
        "heistId": entry.get("heistId"),
        "eventId": entry.get("eventId"),
        "occurredAt": entry.get("occurredAt"),
    }


def _ledger_entry(entry: Item) -> Lookup:
    facts = _ledger_document(entry)
    return _known("ledger", entry, facts.pop("occurredAt") or "", facts)


def _of_heist(player_id: str, entry: Item) -> Iterator[Lookup]:
    """What a ledger entry says of a heist: itself, and the mails about it and its reversal."""
    if "heistId" not in entry:
        return
    heist_id, at = str(entry["heistId"]), entry["occurredAt"]
    heist, undone = keys.heist(heist_id), keys.reversal(heist_id)
    _, source, _ = keys.ledger_entry_of(entry)
    about = undone if source is keys.Source.REVERSAL else heist

    def entry_of(found: Mapping[str, Item]) -> Document | None:
        record = found.get(keys.place_of(heist))
        if record is None:
            return None
        fact, reversal = items.heist_from(record), found.get(keys.place_of(undone))
        if not isinstance(fact, Heist):
            return _is("heist", at, _refused_document(record))
        then = None if reversal is None else items.reversal_from(reversal)
        return _is("heist", at, Entry(player_id, fact, then).document)

    if about is heist:
        yield Lookup(_position(at, "heist", heist), (heist, undone), entry_of)
    yield _mail_entry(keys.notice(about, player_id), at, heist_id)


def _of_award(player_id: str, item: Item) -> Iterator[Lookup]:
    """The mail about a referral that a player made."""
    if keys.kind_of(item) is Kind.REFERRAL:
        notice = keys.notice(keys.key_of(item), player_id)
        yield _mail_entry(notice, item["createdAt"], None)


def _mail_entry(notice: Key, at: object, heist_id: str | None) -> Lookup:
    def mail_of(found: Mapping[str, Item]) -> Document | None:
        item = found.get(keys.place_of(notice))
        if item is None or "mailState" not in item:
            return None
        return _is("mail", at, {"heistId": heist_id, **_mail_document(item)})

    return Lookup(_position(at, "mail", notice), (notice,), mail_of)


def _refused_document(record: Item) -> Document:
    return {
        "heistId": record["heistId"],
        "role": "attacker",
        "status": "FAILED",
        "code": record["code"],
        "message": record["message"],
        "otherUserId": record["victimId"],
        "otherName": None,
        "points": 0,
    }


def _inbox_entry(item: Item) -> Lookup:
    return _known("inbox", item, item["createdAt"], _inbox_document(item))


def _inbox_document(item: Item) -> Document:
    found = inbox_item_from(item)
    return {
        "id": found.id,
        "type": found.notice.type.value,
        "heistId": found.notice.heist_id,
        "message": texts_for(None).message(message_of(found.notice)),
        "read": found.read,
        "readAt": _iso(found.read_at),
    }


def _about_entry(player_id: str, item: Item) -> Lookup:
    """A refused attempt, an award, or how the player was brought here."""
    at = item["createdAt"]
    if keys.kind_of(item) is Kind.HEIST:
        return _known("heist", item, at, _refused_document(item))
    facts: Document = {
        "role": "referred" if keys.id_of(item) == player_id else "referrer",
        "referrerUserId": item["referrerId"],
        "referredUserId": item["referredId"],
        "referredUserName": item.get("referredName"),
        "referralId": item.get("referralId"),
        "held": items.is_held(item),
    }
    return _known("award", item, at, facts)


def _grant_entry(item: Item) -> Lookup:
    facts = {"tokens": as_json(item["tokens"]), "actionId": item["actionId"]}
    return _known("grant", item, item["createdAt"], facts)


def _action_entry(item: Item) -> Lookup:
    facts = action_document(item)
    return _known("action", item, facts.pop("at"), facts)


def _mail_document(notice: Item) -> Document:
    mail = mail_record_from(notice)
    return {"type": notice["type"], "state": mail.state.value, "attempts": mail.attempts}


def _heist_document(record: Item, undone: Item | None) -> Document:
    """Without from where the attacker struck."""
    document = _without_keys(record)
    for name in ("owed", "owedBucket", "owedSince", "aboutPlayer", "expiresAt", "sourceNetwork"):
        document.pop(name, None)
    if undone is not None:
        document["status"] = "REVERSED"
    return document


def _notice_document(notice: Item, beside: Mapping[str, Item]) -> Document:
    key = _inbox_key(notice)
    lying = None if key is None else beside.get(keys.place_of(key))
    ours = lying is not None and lying.get("tag") == keys.inbox_tag(keys.key_of(notice))
    return {
        "recipientId": notice["recipientId"],
        "type": notice["type"],
        "createdAt": notice["createdAt"],
        "mail": _mail_document(notice) if "mailState" in notice else None,
        "inbox": _inbox_document(lying) if lying is not None and ours else None,
    }


def _inbox_key(notice: Item) -> Key | None:
    position = inbox_position_from(notice)
    if position is None:
        return None
    return keys.inbox_item(str(notice["recipientId"]), position_of(position))


def _without_keys(item: Item) -> Document:
    hidden = ("pk", "sk", "owed", "owedBucket", "owedSince")
    return {name: as_json(value) for name, value in item.items() if name not in hidden}
