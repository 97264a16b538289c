"""Schedule: recounts the leaderboard, and closes the previous month's"""

from collections.abc import Mapping

from heist_core import telemetry, wiring
from heist_core.http.api import LambdaContext


def handler(event: Mapping[str, object], context: LambdaContext) -> Mapping[str, object]:
    with telemetry.invocation("leaderboard", "keep_leaderboard") as fields:
        kept = wiring.keep_leaderboard()()
        telemetry.count("LeaderboardsKept")
        if kept.counted is not None:
            fields["players"] = kept.counted
        if kept.closed is not None:
            fields["closed"] = kept.closed
            telemetry.count("SeasonsClosed")
        return {"players": kept.counted, "closed": kept.closed}
