"""Bus: ReferralCompleted from referrals"""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.domain.award import Award
from heist_core.event_contracts import Envelope, ReferralCompleted
from heist_core.events import EventAnswer, handle_event
from heist_core.http.api import LambdaContext
from heist_core.use_cases.award_token import Awarding


def handler(event: Mapping[str, object], context: LambdaContext) -> EventAnswer:
    queue = wiring.dead_letters("EVENTS_DLQ_URL")
    return handle_event(
        event, "award_token", ReferralCompleted, _award, queue, wiring.clock().now()
    )


def _award(referral: ReferralCompleted, envelope: Envelope) -> Mapping[str, str | int]:
    award = Award(
        referred_id=referral.referredUserId,
        referrer_id=referral.referrerUserId,
        referral_id=referral.referralId,
        referred_name=referral.referred_name,
        at=wiring.clock().now(),
        correlation_id=envelope.id,
    )
    awarding = wiring.award_token()(award)
    telemetry.count("TokensAwarded", int(awarding is Awarding.AWARDED))
    telemetry.count("EventsForErased", int(awarding is Awarding.ERASED))
    telemetry.count("AwardsHeld", int(awarding is Awarding.HELD))
    return {"player": award.referrer_id, "award": awarding.value}
