"""Facts as DynamoDB items and back: heists, reversals, awards, points earned."""

from datetime import datetime, timedelta
from typing import assert_never

from heist_core.domain.award import Award, EarnedPoints, TokenGrant
from heist_core.domain.errors import HeistRefused, Malformed
from heist_core.domain.facts import Event, Fact, Uneventful
from heist_core.domain.heist import Attempt, Heist, HeistPlan, RefusedHeist
from heist_core.domain.owed import MAIL_AGAIN, Owed
from heist_core.domain.points import PointsChange
from heist_core.domain.reversal import Reversal
from heist_core.domain.times import to_iso

from . import keys
from .attributes import expiry, integer, moment, optional, optional_integer, required
from .keys import Kind, Source
from .wire import Item

REFUSALS_KEPT = timedelta(days=30)


# Heists


def owing(subject: keys.Key, since: datetime) -> dict[str, object]:
    """The marker of a record that owes everything."""
    return {
        "owed": {owed.value for owed in Owed},
        "owedBucket": keys.owed_bucket(subject),
        "owedSince": to_iso(since),
    }


def _owed_statistics(subject: keys.Key, since: datetime) -> dict[str, object]:
    return {
        "owed": {Owed.STATISTICS.value},
        "owedBucket": keys.refused_bucket(subject),
        "owedSince": to_iso(since),
    }


def _attempt_attributes(attempt: Attempt) -> dict[str, object]:
    return {
        **keys.heist(attempt.id),
        "heistId": attempt.id,
        "attackerId": attempt.attacker_id,
        "victimId": attempt.victim_id,
        "sourceNetwork": attempt.source_network,
        "correlationId": attempt.correlation_id,
    }


def heist_item(heist: Heist) -> Item:
    plan = heist.plan
    return {
        **_attempt_attributes(heist.attempt),
        "status": "SUCCESS",
        "createdAt": to_iso(plan.at),
        "season": plan.season,
        "pointsStolen": plan.points_stolen,
        "attackerPointsBefore": plan.attacker_points_before,
        "attackerPointsAfter": plan.attacker_points_after,
        "victimPointsBefore": plan.victim_points_before,
        "victimPointsAfter": plan.victim_points_after,
        "tokensLeft": plan.tokens_left,
        "cooldownEndsAt": to_iso(plan.cooldown_ends_at),
        "attackerVersion": plan.attacker_version,
        "victimVersion": plan.victim_version,
        "attackerName": heist.attacker_name,
        "victimName": heist.victim_name,
        **owing(keys.heist(heist.heist_id), plan.at),
    }


def refused_heist_item(refused: RefusedHeist) -> Item:
    return {
        **_attempt_attributes(refused.attempt),
        "aboutPlayer": refused.attacker_id,
        "status": "FAILED",
        "createdAt": to_iso(refused.at),
        "code": refused.refusal.code,
        "message": refused.refusal.message,
        "details": refused.refusal.details,
        "expiresAt": expiry(refused.at, REFUSALS_KEPT),
        **_owed_statistics(keys.heist(refused.heist_id), refused.at),
    }


def heist_from(item: Item) -> Heist | RefusedHeist:
    """The stored outcome of an attempt, by its stored status."""
    attempt = Attempt(
        id=required(item, "heistId", str),
        attacker_id=required(item, "attackerId", str),
        victim_id=required(item, "victimId", str),
        source_network=optional(item, "sourceNetwork", str),
        correlation_id=optional(item, "correlationId", str),
    )
    at = moment(item, "createdAt")
    status = required(item, "status", str)
    if status == "FAILED":
        details = required(item, "details", dict)
        return RefusedHeist(
            attempt=attempt,
            at=at,
            refusal=HeistRefused(
                required(item, "code", str), required(item, "message", str), details
            ),
        )
    if status != "SUCCESS":
        raise Malformed("status is neither SUCCESS nor FAILED")
    return Heist(
        attempt=attempt,
        plan=HeistPlan(
            at=at,
            season=required(item, "season", str),
            points_stolen=integer(item, "pointsStolen"),
            attacker_points_before=integer(item, "attackerPointsBefore"),
            victim_points_before=integer(item, "victimPointsBefore"),
            tokens_left=integer(item, "tokensLeft"),
            cooldown_ends_at=moment(item, "cooldownEndsAt"),
            attacker_version=optional_integer(item, "attackerVersion"),
            victim_version=optional_integer(item, "victimVersion"),
        ),
        attacker_name=optional(item, "attackerName", str),
        victim_name=optional(item, "victimName", str),
    )


def heist_ledger_items(heist: Heist) -> tuple[Item, Item]:
    """The attacker's HEIST_GAIN and the victim's HEIST_LOSS."""

    def entry(player_id: str, other_id: str, source: Source, points: int) -> Item:
        return {
            **keys.heist_entry(player_id, heist.season, source, heist.at, heist.heist_id),
            "pointEventType": f"HEIST_{source}",
            "points": points,
            "heistId": heist.heist_id,
            "otherId": other_id,
            "occurredAt": to_iso(heist.at),
        }

    stolen = heist.plan.points_stolen
    return (
        entry(heist.attacker_id, heist.victim_id, Source.GAIN, stolen),
        entry(heist.victim_id, heist.attacker_id, Source.LOSS, -stolen),
    )


# Reversals


def reversal_item(reversal: Reversal) -> Item:
    subject = keys.reversal(reversal.heist_id)
    return {
        **subject,
        "heistId": reversal.heist_id,
        "actionId": reversal.action_id,
        "attackerId": reversal.attacker_id,
        "victimId": reversal.victim_id,
        "attackerName": reversal.attacker_name,
        "victimName": reversal.victim_name,
        "createdAt": to_iso(reversal.at),
        "season": reversal.season,
        "pointsStolen": reversal.points_stolen,
        "pointsReturned": reversal.points_returned,
        "shortfall": reversal.shortfall,
        "attackerPointsBefore": reversal.attacker_points_before,
        "attackerPointsAfter": reversal.attacker_points_after,
        "victimPointsBefore": reversal.victim_points_before,
        "victimPointsAfter": reversal.victim_points_after,
        "tokenRefunded": reversal.token_refunded,
        "cooldownLifted": reversal.cooldown_lifted,
        "attackerVersion": reversal.attacker_version,
        "victimVersion": reversal.victim_version,
        **owing(subject, reversal.at),
    }


def reversal_from(item: Item) -> Reversal:
    return Reversal(
        heist_id=required(item, "heistId", str),
        action_id=required(item, "actionId", str),
        attacker_id=required(item, "attackerId", str),
        victim_id=required(item, "victimId", str),
        attacker_name=optional(item, "attackerName", str),
        victim_name=optional(item, "victimName", str),
        season=required(item, "season", str),
        at=moment(item, "createdAt"),
        points_stolen=integer(item, "pointsStolen"),
        points_returned=integer(item, "pointsReturned"),
        attacker_points_before=integer(item, "attackerPointsBefore"),
        victim_points_before=integer(item, "victimPointsBefore"),
        token_refunded=required(item, "tokenRefunded", bool),
        cooldown_lifted=required(item, "cooldownLifted", bool),
        attacker_version=optional_integer(item, "attackerVersion"),
        victim_version=optional_integer(item, "victimVersion"),
    )


def reversal_ledger_items(reversal: Reversal) -> tuple[Item, Item]:
    """The attacker's entry and the victim's; both exist even when nothing could be returned."""

    def entry(player_id: str, points: int) -> Item:
        return {
            **keys.ledger_entry(player_id, reversal.season, Source.REVERSAL, reversal.heist_id),
            "pointEventType": "HEIST_REVERSAL",
            "points": points,
            "heistId": reversal.heist_id,
            "occurredAt": to_iso(reversal.at),
        }

    return (
        entry(reversal.attacker_id, -reversal.points_returned),
        entry(reversal.victim_id, reversal.points_returned),
    )


# Awards and points


def _award_attributes(award: Award) -> dict[str, object]:
    return {
        **keys.referral(award.referred_id),
        "referredId": award.referred_id,
        "referrerId": award.referrer_id,
        "aboutPlayer": award.referrer_id,
        "referralId": award.referral_id,
        "referredName": award.referred_name,
        "correlationId": award.correlation_id,
        "createdAt": to_iso(award.at),
    }


def award_item(award: Award) -> Item:
    return {**_award_attributes(award), **owing(keys.referral(award.referred_id), award.at)}


def held_award_item(award: Award) -> Item:
    """The record of an award that waits until awards are switched on. It is nobody's token yet."""
    at = to_iso(award.at)
    return {
        **_award_attributes(award),
        "heldAt": at,
        "owedBucket": keys.HELD_BUCKET,
        "owedSince": at,
    }


def is_held(item: Item) -> bool:
    """Whether an item is an award that nobody has got yet."""
    return "heldAt" in item


def award_from(item: Item) -> Award:
    return Award(
        referred_id=required(item, "referredId", str),
        referrer_id=required(item, "referrerId", str),
        referral_id=optional(item, "referralId", str),
        referred_name=optional(item, "referredName", str),
        correlation_id=optional(item, "correlationId", str),
        at=moment(item, "createdAt"),
    )


def grant_item(grant: TokenGrant) -> Item:
    """It owes the statistics what it changed, and is no news for anybody else."""
    subject = keys.grant(grant.player_id, grant.id)
    return {
        **subject,
        "playerId": grant.player_id,
        "actionId": grant.id,
        "tokens": grant.tokens,
        "createdAt": to_iso(grant.at),
        **_owed_statistics(subject, grant.at),
    }


def grant_from(item: Item) -> TokenGrant:
    return TokenGrant(
        id=required(item, "actionId", str),
        player_id=required(item, "playerId", str),
        tokens=integer(item, "tokens"),
        at=moment(item, "createdAt"),
    )


def points_event_item(earned: EarnedPoints, change: PointsChange) -> Item:
    """What is needed to tell of the change again stands beside the event's own."""
    return {
        **keys.points_event(earned.event_id),
        "playerId": earned.player_id,
        "points": earned.points,
        "occurredAt": to_iso(earned.occurred_at),
        "season": change.season,
        "pointsAfter": change.points,
        "pointEventType": change.reason,
        "changedAt": to_iso(change.at),
        "version": change.version,
    }


def points_change_from(item: Item) -> PointsChange | None:
    """The change that an event made; None where the record is older than versions on it."""
    if "version" not in item:
        return None
    return PointsChange(
        player_id=required(item, "playerId", str),
        season=required(item, "season", str),
        points=integer(item, "pointsAfter"),
        change=integer(item, "points"),
        reason=required(item, "pointEventType", str),
        at=moment(item, "changedAt"),
        version=integer(item, "version"),
    )


def earned_ledger_item(earned: EarnedPoints) -> Item:
    return {
        **keys.ledger_entry(earned.player_id, earned.season, Source.EVENT, earned.event_id),
        "pointEventType": earned.point_event_type,
        "points": earned.points,
        "eventId": earned.event_id,
        "occurredAt": to_iso(earned.occurred_at),
    }


# What is owed


def event_from(item: Item) -> Event:
    """The event that an item with an owed marker records."""
    fact = fact_from(item)
    if isinstance(fact, Uneventful):
        raise Malformed("a refused heist or a granted token causes no notice")
    return fact


def fact_from(item: Item) -> Fact:
    """As `event_from`, also for facts that cause no notice: they are counted, too."""
    match keys.kind_of(item):
        case Kind.HEIST:
            return heist_from(item)
        case Kind.REVERSAL:
            return reversal_from(item)
        case Kind.REFERRAL:
            return award_from(item)
        case Kind.GRANT:
            return grant_from(item)
        case (
            Kind.PLAYER
            | Kind.OLD_SEASONS
            | Kind.NOTICE
            | Kind.INBOX
            | Kind.READ_COUNT
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
            | Kind.REQUEST
            | Kind.AUDIT
            | Kind.BOARD
            | Kind.DIGEST
            | None
        ):
            raise Malformed("pk and sk name no heist, reversal, referral or grant")
        case unknown:
            assert_never(unknown)


def owed_of(item: Item) -> frozenset[str]:
    """What the item's marker says is still owed: `Owed`, and mails asked for again."""
    owed = frozenset(map(str, optional(item, "owed", set) or ()))
    if any(entry not in set(Owed) and not entry.startswith(MAIL_AGAIN) for entry in owed):
        raise Malformed("owed names something unknown")
    return owed


def subject_key(fact: Fact) -> keys.Key:
    match fact:
        case Heist() | RefusedHeist():
            return keys.heist(fact.heist_id)
        case Reversal():
            return keys.reversal(fact.heist_id)
        case Award():
            return keys.referral(fact.referred_id)
        case TokenGrant():
            return keys.grant(fact.player_id, fact.id)
