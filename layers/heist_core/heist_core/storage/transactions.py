"""What functions write, built by pure functions; `store` sends it.

A player has one condition in every transaction: the version that was read. Every writer of
anything that the rules look at bumps it, so what the rules saw still holds at the commit.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from heist_core.domain.award import Award, EarnedPoints
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import Notice
from heist_core.domain.player import Player, Preferences, Profile
from heist_core.domain.points import PointsChange
from heist_core.domain.times import to_iso

from . import attributes, inbox_items, items, keys, player_items
from .wire import Item
from .writes import Request, Step, Transaction, add, change, put, put_new, update

READ_COUNT = "read count"
"""The step that counts what is marked as read; the others are named by their positions."""
_RATE_ITEMS_KEPT = timedelta(hours=1)


def commit_heist(
    heist: Heist, attacker: Player, victim: Player, pair_cooldown: timedelta
) -> Transaction:
    """The heist record, both players and both ledger entries, or nothing (SPEC section 3)."""
    plan = heist.plan
    at = to_iso(plan.at)
    taken = change_points(attacker, "attacker", plan.season, plan.points_stolen, plan.at)
    lost = change_points(victim, "victim", plan.season, -plan.points_stolen, plan.at)
    victims = attacker.victims_after_heist(victim.id, plan.at, pair_cooldown)
    losses = victim.losses_after_heist(plan.season, plan.points_stolen)
    attackers: dict[str, object] = {
        **taken.attributes,
        "tokens": plan.tokens_left,
        "tokensSpent": attacker.tokens_spent + 1,
        "lastSpentAt": at,
        "lastHeistAt": at,
    }
    if victims or attacker.victims:
        attackers["victims"] = player_items.victims_attribute(victims) if victims else None
    gain, loss = items.heist_ledger_items(heist)
    return (
        Step("heist", {"Put": put_new(items.heist_item(heist))}),
        *taken.moved,
        Step("attacker", {"Update": change_player(attacker, attackers, plan.at)}),
        *lost.moved,
        Step(
            "victim",
            {
                "Update": change_player(
                    victim,
                    {
                        **lost.attributes,
                        "lastRobbedAt": at,
                        "losses": player_items.losses_attribute(losses),
                    },
                    plan.at,
                )
            },
        ),
        Step("gain", {"Put": put(gain)}),
        Step("loss", {"Put": put(loss)}),
    )


class PointsChanged(NamedTuple):
    """What a change of points does to the player's item, and the steps that go before that one."""

    attributes: dict[str, object]
    moved: Transaction


def change_points(seen: Player, name: str, season: str, more: int, now: datetime) -> PointsChanged:
    """Points of a season, the place on its board, and the way out for seasons that got old.

    Whatever changes the item of old seasons changes the player, too, in the same transaction. So
    the player's version is a condition on both, for callers who read the player first.
    """
    points, moved = seen.points_after(season, more, now)
    after = replace(seen, points=points)
    if not moved:
        place = player_items.board_place(after, season, points[season])
        return PointsChanged({player_items.season_attribute(season): points[season], **place}, ())
    gone = dict.fromkeys(map(player_items.season_attribute, seen.points.keys() & moved.keys()))
    kept = {**gone, **player_items.points_attributes(points), **player_items.board_places(after)}
    added = add(keys.old_seasons(seen.id), player_items.points_attributes(moved))
    return PointsChanged(kept, (Step(f"{name}'s old seasons", {"Update": added}),))


def record_refusal(refused: RefusedHeist) -> Request:
    """The fence: once it stands, no late write of this attempt can commit."""
    return put_new(items.refused_heist_item(refused))


def commit_award(award: Award, *, to_new: bool) -> Transaction:
    """One token, and the record that makes it the only one for this referred player."""
    return (
        Step("referral", {"Put": put_new(items.award_item(award))}),
        _one_token(award, to_new=to_new),
    )


def _one_token(award: Award, *, to_new: bool) -> Step:
    """What nothing can stand against but an erasure.

    `to_new`: nobody has heard of this player before. Else the player is there, and is not erased;
    the refusal brings what is there, if anything.
    """
    first = "firstSeenAt = :at, " if to_new else ""
    known = "attribute_exists(version) AND attribute_not_exists(erasedAt)"
    request = update(
        keys.player(award.referrer_id),
        f"SET {first}lastEarnedAt = :at ADD tokens :one, tokensEarned :one, version :one",
        {":at": to_iso(award.at), ":one": 1},
        condition="attribute_not_exists(version)" if to_new else known,
    )
    return Step(
        "referrer", {"Update": {**request, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}
    )


def hold_award(award: Award) -> Request:
    """Keep an award for later, unless this referred player has earned somebody a token already."""
    return put_new(items.held_award_item(award))


def release_award(award: Award, *, to_new: bool) -> Transaction:
    """One token for an award that is held, dated now; its notice and event are owed from now on."""
    subject = keys.referral(award.referred_id)
    marker = items.owing(subject, award.at)
    return (
        Step(
            "referral",
            {
                "Update": update(
                    subject,
                    "SET createdAt = :at, owed = :owed, owedBucket = :bucket, owedSince = :at "
                    "REMOVE heldAt",
                    {
                        ":at": to_iso(award.at),
                        ":owed": marker["owed"],
                        ":bucket": marker["owedBucket"],
                    },
                    condition="attribute_exists(heldAt)",
                )
            },
        ),
        _one_token(award, to_new=to_new),
    )


def commit_points(earned: EarnedPoints, seen: Player, told: PointsChange) -> Transaction:
    """Points of one event, once, with their ledger entry."""
    added = change_points(seen, "player", told.season, told.change, told.at)
    return (
        Step("event", {"Put": put_new(items.points_event_item(earned, told))}),
        *added.moved,
        Step("player", {"Update": change_player(seen, added.attributes, told.at)}),
        Step("ledger", {"Put": put(items.earned_ledger_item(earned))}),
    )


def save_profile(seen: Player, profile: Profile, now: datetime) -> Request:
    """Replace the profile of a player that is still at the version seen (or still absent)."""
    return change_player(seen, player_items.profile_attributes(profile), now)


def save_preferences(seen: Player, preferences: Preferences, now: datetime) -> Request:
    """Replace the preferences of a player that is still at the version seen (or still absent)."""
    places = player_items.board_places(replace(seen, preferences=preferences))
    return change_player(seen, player_items.preferences_attributes(preferences) | places, now)


def change_player(seen: Player, new: Item, event_at: datetime | None) -> Request:
    """Set attributes, or remove those that are None, if the player is still as seen.

    `event_at`: when somebody new is first seen; None for what is no event about them.
    """
    key = keys.player(seen.id)
    if seen.exists:
        return change(key, new, {":seen": seen.version}, condition="version = :seen")
    first = {**new, "firstSeenAt": attributes.iso(event_at)}
    return change(key, first, {}, condition="attribute_not_exists(version)")


def count_attempt(player_id: str, attempt: str, minute: datetime, limit: int) -> Request:
    """Add an attempt to the minute's set, if it is in it or the set is smaller than the limit."""
    return {
        **update(
            keys.rate(player_id, "EXECUTE", minute),
            "ADD attempts :attempts SET expiresAt = :expiry",
            {
                ":attempts": {attempt},
                ":attempt": attempt,
                ":limit": limit,
                ":expiry": int((minute + _RATE_ITEMS_KEPT).timestamp()),
            },
            condition="contains(attempts, :attempt) OR attribute_not_exists(attempts) "
            "OR size(attempts) < :limit",
        ),
        "ReturnValues": "ALL_OLD",
    }


def uncount_attempt(player_id: str, attempt: str, minute: datetime) -> Request:
    return update(
        keys.rate(player_id, "EXECUTE", minute),
        "DELETE attempts :attempts",
        {":attempts": {attempt}},
    )


def count_check(player_id: str, minute: datetime, limit: int) -> Request:
    """Count one more eligibility check of this minute, if there are fewer than the limit."""
    return update(
        keys.rate(player_id, "CHECK", minute),
        "ADD checks :one SET expiresAt = :expiry",
        {
            ":one": 1,
            ":limit": limit,
            ":expiry": int((minute + _RATE_ITEMS_KEPT).timestamp()),
        },
        condition="attribute_not_exists(checks) OR checks < :limit",
    )


def put_notice(
    subject: keys.Key, notice: Notice, mail: MailRecord | None, position: int | None
) -> Request:
    """The notice record, once per event and recipient; no position, no inbox item."""
    return put_new(inbox_items.notice_item(subject, notice, mail, position))


def put_in_inbox(position: int, tag: str, notice: Notice) -> Request:
    """The inbox item at the position that its notice names, if nothing is there."""
    return put_new(inbox_items.inbox_item(position, tag, notice))


def begin_read_count(player_id: str, read: int, newest: int) -> Request:
    """From here on items are marked together with their count."""
    return put_new({**keys.read_count(player_id), "readItems": read, "newest": newest})


def move_notice(notice_key: keys.Key, seen: int, to: int) -> Request:
    """Name another position, unless someone else did so first."""
    return update(
        notice_key,
        "SET inboxPosition = :to",
        {":to": to, ":seen": seen},
        condition="inboxPosition = :seen",
    )


def move_mail(notice_key: keys.Key, seen: MailRecord, to: MailRecord) -> Request:
    """Move a mail from the state seen to another, unless someone else moved it first.

    A mail that is claimed is known by its owner: each claim has one of its own.
    """
    changes = "SET mailState = :state, mailAttempts = :attempts"
    values: dict[str, object] = {
        ":seen": seen.owner or seen.state.value,
        ":state": to.state.value,
        ":attempts": to.attempts,
    }
    condition = "mailOwner = :seen" if seen.owner else "mailState = :seen"
    if to.owner is not None and to.lease_until is not None:
        changes += ", mailOwner = :owner, mailLeaseUntil = :lease"
        values[":owner"] = to.owner
        values[":lease"] = to_iso(to.lease_until)
    else:
        changes += " REMOVE mailOwner, mailLeaseUntil"
    return update(notice_key, changes, values, condition=condition)


def ask_mail_again(
    subject: keys.Key, recipient_id: str, seen: MailRecord, owed: str, since: datetime
) -> Transaction:
    """A mail that had ended is pending, and the marker of its record says so under `owed`."""
    again = MailRecord(MailState.PENDING)
    return (
        Step("mail", {"Update": move_mail(keys.notice(subject, recipient_id), seen, again)}),
        Step(
            "marker",
            {
                "Update": update(
                    subject,
                    "ADD owed :owed SET owedBucket = :bucket, owedSince = :since",
                    {
                        ":owed": {owed},
                        ":bucket": keys.owed_bucket(subject),
                        ":since": to_iso(since),
                    },
                    condition="attribute_exists(pk)",
                )
            },
        ),
    )


def settle(subject: keys.Key, owed: Collection[str]) -> Request:
    """Take entries off the owed marker; the answer holds what is left of it."""
    return {
        **update(
            subject,
            "DELETE owed :owed",
            {":owed": set(owed)},
            condition="attribute_exists(owedBucket)",
        ),
        "ReturnValues": "ALL_NEW",
    }


def settle_last(subject: keys.Key, owed: Collection[str]) -> Request:
    """Take the whole marker away, if it owes just these."""
    return update(
        subject,
        "REMOVE owed, owedBucket, owedSince",
        {":owed": set(owed)},
        condition="owed = :owed",
    )


def put_back(subject: keys.Key, now: datetime) -> Request:
    """Move a record that still waits behind everything that has been owed until now."""
    return update(
        subject,
        "SET owedSince = :now",
        {":now": to_iso(now)},
        condition="attribute_exists(owedBucket)",
    )


def clear_marker(subject: keys.Key) -> Request:
    """Drop the index entry of a marker that owes nothing any more."""
    changes = "REMOVE owedBucket, owedSince"
    return update(subject, changes, {}, condition="attribute_not_exists(owed)")


def set_aside(subject: keys.Key) -> Request:
    """Move what cannot be processed out of the sweeper's way, still marked as owed."""
    return update(
        subject,
        "SET owedBucket = :aside",
        {":aside": keys.SET_ASIDE_BUCKET},
        condition="attribute_exists(owedBucket)",
    )


def mark_read(
    player_id: str, positions: Sequence[tuple[str, str]], newest: int, at: datetime
) -> Transaction:
    """Mark unread items (positions and tags) of this player as read, and count them, or nothing.

    `newest` is kept because the newest item may expire, and positions must go on behind it.
    """
    count = update(
        keys.read_count(player_id),
        "ADD readItems :read SET newest = :newest",
        {":read": len(positions), ":newest": newest},
        condition="newest <= :newest",
    )
    expires_at = attributes.expiry(at, inbox_items.INBOX_KEPT)
    return (
        Step(READ_COUNT, {"Update": count}),
        *[
            Step(position, {"Update": _mark(player_id, position, tag, at, expires_at)})
            for position, tag in positions
        ],
    )


def _mark(player_id: str, position: str, tag: str, at: datetime, expires_at: int) -> Request:
    return update(
        keys.inbox_item(player_id, position),
        "SET readAt = :at, expiresAt = :end REMOVE unread",
        {":at": to_iso(at), ":end": expires_at, ":tag": tag},
        condition="attribute_not_exists(expiresAt) AND tag = :tag",
    )


def keep_until_read(player_id: str, position: str) -> Request:
    """An unread item from before there were counts expires no more."""
    return update(
        keys.inbox_item(player_id, position),
        "REMOVE expiresAt",
        {},
        condition="attribute_exists(unread)",
    )


def seed_point_type(name: str, description: str) -> Request:
    """Create or describe a point type, keeping an operator's `active` and `points`."""
    return update(
        keys.point_type(name),
        "SET #name = :name, description = :description, "
        "points = if_not_exists(points, :zero), active = if_not_exists(active, :true)",
        {":name": name, ":description": description, ":zero": 0, ":true": True},
        names={"#name": "name"},
    )
