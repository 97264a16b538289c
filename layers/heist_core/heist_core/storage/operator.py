"""Builds the writes of operators, for their commands and for the admin API."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from heist_core.domain.action import Action, Receipt
from heist_core.domain.award import TokenGrant
from heist_core.domain.player import Player
from heist_core.domain.reversal import Reversal
from heist_core.domain.times import to_iso

from . import items, keys, player_items
from .attributes import expiry, integer, moment, required
from .keys import Kind
from .transactions import change_player, change_points
from .wire import Item, to_wire
from .writes import Request, Step, Transaction, put, put_new, update

RECEIPT = "receipt"
"""The step that stores the final answer to a request."""
REFUSALS_REMEMBERED = timedelta(days=7)
HTTP_OK = 200


def action_item(action: Action) -> Item:
    return {
        **keys.action(action.at, action.id),
        "id": action.id,
        "at": to_iso(action.at),
        "who": action.who,
        "whoName": action.who_name,
        "what": action.what,
        "subject": action.subject,
        "why": action.why,
        "before": dict(action.before),
        "after": dict(action.after),
    }


def record_action(action: Action) -> Step:
    """The log's entry, to go into the transaction of the change itself. Nothing ever updates it."""
    return Step("action", {"Put": put_new(action_item(action))})


def receipt_item(receipt: Receipt) -> Item:
    """A success is remembered forever, a refusal for some days."""
    refused = receipt.status != HTTP_OK
    return {
        **keys.request(receipt.id),
        "content": receipt.content,
        "status": receipt.status,
        "body": receipt.body,
        "createdAt": to_iso(receipt.at),
        "expiresAt": expiry(receipt.at, REFUSALS_REMEMBERED) if refused else None,
    }


def receipt_from(request_id: str, item: Item) -> Receipt:
    return Receipt(
        id=request_id,
        content=required(item, "content", str),
        status=integer(item, "status"),
        body=required(item, "body", str),
        at=moment(item, "createdAt"),
    )


def put_receipt(receipt: Receipt) -> Request:
    """Once it stands, no late write of this request can commit."""
    return put_new(receipt_item(receipt))


def remember(receipt: Receipt | None) -> Transaction:
    """The step of the change that it answers, if anybody may ask again."""
    return () if receipt is None else (Step(RECEIPT, {"Put": put_receipt(receipt)}),)


def grant(player: Player, given: TokenGrant, action: Action) -> Transaction:
    """Tokens for a player that is still at the version seen, with their own record."""
    attributes = {
        "tokens": player.tokens + given.tokens,
        "tokensEarned": player.tokens_earned + given.tokens,
        "tokensGranted": player.tokens_granted + given.tokens,
        "lastEarnedAt": to_iso(given.at),
    }
    return (
        Step("grant", {"Put": put_new(items.grant_item(given))}),
        Step("player", {"Update": change_player(player, attributes, None)}),
        record_action(action),
    )


def heists_between(since: datetime, until: datetime) -> Request:
    """What a scan keeps: heists and refused attempts of a span that does not include `until`."""
    return {
        "FilterExpression": "sk = :heist AND createdAt >= :since AND createdAt < :until",
        "ExpressionAttributeValues": to_wire(
            {":heist": "HEIST", ":since": to_iso(since), ":until": to_iso(until)}
        ),
    }


def players_with_address(address: str) -> Request:
    """What a scan keeps: states of players whose profile has this e-mail address."""
    return {
        "FilterExpression": "sk = :state AND email = :address",
        "ExpressionAttributeValues": to_wire({":state": "STATE", ":address": address}),
    }


def commit_reversal(
    reversal: Reversal, attacker: Player, victim: Player, action: Action
) -> Transaction:
    """The reversal, both players, both ledger entries and the operator's action, or nothing."""
    season, at, back = reversal.season, reversal.at, reversal.points_returned
    taken = change_points(attacker, "attacker", season, -back, at)
    returned = change_points(victim, "victim", season, back, at)
    attackers = dict(taken.attributes)
    if reversal.token_refunded:
        attackers |= {"tokens": attacker.tokens + 1, "tokensSpent": attacker.tokens_spent - 1}
    if reversal.cooldown_lifted:
        attackers["lastHeistAt"] = None
    losses = player_items.losses_attribute(victim.losses_after_reversal(season, back))
    victims = {**returned.attributes, "losses": losses}
    gave, got = items.reversal_ledger_items(reversal)
    return (
        Step("reversal", {"Put": put_new(items.reversal_item(reversal))}),
        *taken.moved,
        Step("attacker", {"Update": change_player(attacker, attackers, at)}),
        *returned.moved,
        Step("victim", {"Update": change_player(victim, victims, at)}),
        Step("given", {"Put": put(gave)}),
        Step("returned", {"Put": put(got)}),
        record_action(action),
    )


def change_settings(
    seen: Item | None,
    watched: Iterable[str],
    overrides: Item,
    version: int,
    action: Action,
) -> Transaction:
    """The settings item, the same as a version of its own, and the log entry, or nothing.

    `seen` is the item it was decided on: all that is `watched`, and its version, must still be so,
    also if somebody edits the item by hand.
    """
    content = {
        **overrides,
        "version": version,
        "author": action.who,
        "reason": action.why,
        "at": to_iso(action.at),
    }
    request = put_new({**keys.SETTINGS, **content})
    if seen is not None:
        there = {name: seen[name] for name in (*watched, "version") if name in seen}
        conditions = ["attribute_exists(pk)"]
        conditions += [f"{name} = :{name}" for name in there]
        conditions += [
            f"attribute_not_exists({name})" for name in (*watched, "version") if name not in there
        ]
        request["ConditionExpression"] = " AND ".join(conditions)
        if there:
            request["ExpressionAttributeValues"] = to_wire(
                {f":{name}": value for name, value in there.items()}
            )
    return (
        Step("settings", {"Put": request}),
        Step("version", {"Put": put_new({**keys.settings_version(version), **content})}),
        record_action(action),
    )


def block(player: Player, at: datetime, action: Action) -> Transaction:
    """Keep a player that is still at the version seen out of heists, on either side."""
    return _change(player, replace(player, blocked_at=at), {"blockedAt": to_iso(at)}, action)


def unblock(player: Player, action: Action) -> Transaction:
    """Let a player that is still at the version seen take part again."""
    return _change(player, replace(player, blocked_at=None), {"blockedAt": None}, action)


def unsuppress(player: Player, action: Action) -> Transaction:
    """Let the address of a player that is still at the version seen get mail again."""
    return _change(player, player, {"suppressed": None}, action)


def freeze(player: Player, at: datetime, action: Action) -> Transaction:
    """The beginning of an erasure: from here on nobody robs, tells or credits this player.

    A player never heard of gets a state that says so, against events that come late.
    """
    personal = player_items.profile_attributes(player.profile)
    personal |= player_items.preferences_attributes(player.preferences)
    gone = dict.fromkeys((*personal, "victims", "blockedAt"))
    attributes = {"erasedAt": to_iso(at), **gone}
    return _change(player, replace(player, erased_at=at), attributes, action)


def _change(seen: Player, after: Player, attributes: Item, action: Action) -> Transaction:
    """`after` decides on the places on the boards."""
    changed = {**attributes, **player_items.board_places(after)}
    request = change_player(seen, changed, None)
    return (Step("player", {"Update": request}), record_action(action))


def certify(player_id: str, receipt: str, action: Action) -> Transaction:
    """The end of an erasure: its receipt, once."""
    request = update(
        keys.player(player_id),
        "SET erasureReceipt = :receipt ADD version :one",
        {":receipt": receipt, ":one": 1},
        condition="attribute_exists(erasedAt) AND attribute_not_exists(erasureReceipt)",
    )
    return (Step("player", {"Update": request}), record_action(action))


@dataclass(frozen=True, slots=True)
class Redaction:
    """Takes what tells who a person is out of an item that others need."""

    kind: str
    key: keys.Key
    request: Request


@dataclass(frozen=True, slots=True)
class Removal:
    """Deletes an item that is this person's alone."""

    kind: str
    key: keys.Key


Forgetting = Redaction | Removal
READ_COUNTS = "read counts"


def forget(item: Item, player_id: str) -> Forgetting | None:
    """What takes a person out of an item; None where there is nothing of them but the id.

    Ledger, points and tokens stay: they are the sums of others, too.
    """
    key, which = keys.key_of(item), keys.id_of(item)
    match keys.kind_of(item):
        case Kind.INBOX:
            own = which == player_id
            return Removal("inbox items", key) if own else _nameless(key, item, player_id)
        case Kind.READ_COUNT:
            return Removal(READ_COUNTS, key) if which == player_id else None
        case Kind.HEIST | Kind.REVERSAL:
            named = (
                {"attackerName", "sourceNetwork"} if item.get("attackerId") == player_id else set()
            )
            named |= {"victimName"} if item.get("victimId") == player_id else set()
            return _without(key, sorted(named & item.keys()), "heists")
        case Kind.REFERRAL:
            named = {"referredName", "referralId"} if which == player_id else set()
            named |= {"referralId"} if item.get("referrerId") == player_id else set()
            return _without(key, sorted(named & item.keys()), "referrals")
        case Kind.BOARD:
            from . import board  # no function erases anybody

            request = board.without_player(item, player_id)
            return None if request is None else Redaction("closed leaderboards", key, request)
        case (
            Kind.PLAYER
            | Kind.OLD_SEASONS
            | Kind.NOTICE
            | Kind.DIGEST
            | Kind.LEDGER
            | Kind.POINTS_EVENT
            | Kind.RATE
            | Kind.POINT_TYPE
            | Kind.SETTINGS
            | Kind.SETTINGS_VERSION
            | Kind.ACTION
            | Kind.DAY
            | Kind.BALANCES
            | Kind.HOLDING
            | Kind.ROBBER
            | Kind.GENERATION
            | Kind.IMPORT
            | Kind.GRANT
            | Kind.REQUEST
            | Kind.AUDIT
            | None
        ):
            return None
        case unknown:
            assert_never(unknown)


def _without(key: keys.Key, names: list[str], kind: str) -> Redaction | None:
    if not names:
        return None
    changes = "REMOVE " + ", ".join(names)
    request = update(key, changes, {}, condition="attribute_exists(pk)")
    return Redaction(kind, key, request)


def _nameless(key: keys.Key, item: Item, player_id: str) -> Redaction | None:
    """The notice in somebody else's inbox, which goes on to tell of `a player`."""
    metadata = item.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    of_referral = keys.notice(keys.referral(player_id), keys.id_of(key))
    named = {
        "attackerName": metadata.get("attackerId") == player_id,
        "victimName": metadata.get("victimId") == player_id,
        "referredUserName": item.get("tag") == keys.inbox_tag(of_referral),
    }
    names = [name for name, here in named.items() if here and metadata.get(name) is not None]
    if not names:
        return None
    changes = ", ".join(f"metadata.{name} = :none" for name in names)
    request = update(key, f"SET {changes}", {}, condition="tag = :tag")
    request["ExpressionAttributeValues"] = {
        **to_wire({":tag": item["tag"]}),
        ":none": {"NULL": True},
    }
    return Redaction("notices of others", key, request)
