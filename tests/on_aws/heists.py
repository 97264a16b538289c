"""Many heists on a deployed stack, from outside: events over the bus, players in its pool.

    python -m tests.on_aws.heists --stage STAGE --pairs 10 --each 100

Every pair of players plays beside the others. The stack must be deployed without cooldowns and with
a high rate limit (rehearse.sh does). Ends with 1 if an answer was no success, if a mail is not sent
within ten minutes, or if the audit finds anything. Mails go to the mailbox simulator of SES.
"""

import argparse
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from heist_core.storage import keys
from heist_core.storage.audit import audit_table
from ops.output import Output
from ops.smoke import Api, player_of
from ops.target import OperatorError, Target, find_target

MAILBOX = "success@simulator.amazonses.com"
POINTS = 100_000
SECONDS_TO_SETTLE = 600
_AT_ONCE = 10
_TRIES = 5


def send(target: Target, entries: Sequence[tuple[str, str, dict[str, object]]]) -> None:
    """Events of a source and a type, ten at a time, as the bus takes them."""
    events = target.session.client("events", endpoint_url=target.endpoint)
    for start in range(0, len(entries), _AT_ONCE):
        answer = events.put_events(
            Entries=[
                {
                    "EventBusName": target.outputs["EventBusName"],
                    "Source": source,
                    "DetailType": kind,
                    "Detail": json.dumps(detail),
                }
                for source, kind, detail in entries[start : start + _AT_ONCE]
            ]
        )
        if answer["FailedEntryCount"]:
            raise OperatorError("The bus did not take an event.")


def until(arrived: Callable[[], bool], what: str) -> None:
    """Waits; raises OperatorError when it takes too long."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while not arrived():
        if time.monotonic() > deadline:
            raise OperatorError(f"After {SECONDS_TO_SETTLE} s still not: {what}.")
        time.sleep(2)


def equip(target: Target, robber: str, victim: str, tokens: int) -> None:
    """Addresses, points and tokens for a pair, as other systems would send them."""
    run = secrets.token_hex(8)
    profiles: list[tuple[str, str, dict[str, object]]] = [
        ("users", "UserUpserted", {"userId": who, "email": MAILBOX}) for who in (robber, victim)
    ]
    points = {"eventId": run, "userId": victim, "points": POINTS, "pointEventType": "REHEARSAL"}
    referrals: list[tuple[str, str, dict[str, object]]] = [
        (
            "referrals",
            "ReferralCompleted",
            {"referralId": f"{run}-{n}", "referrerUserId": robber, "referredUserId": f"{run}-{n}"},
        )
        for n in range(tokens)
    ]
    send(target, [*profiles, ("points", "PointsEarned", points), *referrals])


def rob(api: Api, victim: str, times: int) -> Counter[str]:
    """What came of so many heists; a 503 is repeated, as clients do."""
    outcomes: Counter[str] = Counter()
    for _ in range(times):
        for _ in range(_TRIES):
            status, body = api.call("POST", "/execute", {"targetUserId": victim})
            outcomes[f"{status} {body.get('code', '')}".strip()] += 1
            if status != 503:
                break
    return outcomes


def mail_states(target: Target, player_id: str) -> Counter[str]:
    """How far the mails of a player's heists are."""
    notices: list[Any] = [
        target.table.get(keys.notice(keys.heist(str(item["heistId"])), player_id))
        for item in target.table.partition(keys.inbox(player_id))
        if item.get("heistId")
    ]
    return Counter(str(notice.get("mailState")) for notice in notices if notice)


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", default="")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--each", type=int, default=100)
    options = parser.parse_args(arguments)
    target, out = find_target(options.stage), Output(as_json=False)
    with ExitStack() as accounts, ThreadPoolExecutor(options.pairs) as pool:
        pairs = [
            (accounts.enter_context(player_of(target)), accounts.enter_context(player_of(target)))
            for _ in range(options.pairs)
        ]
        for (robber, _), (victim, _) in pairs:
            equip(target, robber, victim, options.each)
        for (_, api), _ in pairs:
            until(
                lambda api=api: api.call("GET", "/tokens")[1].get("balance") == options.each,  # type: ignore[misc]
                "all tokens awarded",
            )
        began = time.monotonic()
        outcomes = sum(
            pool.map(lambda pair: rob(pair[0][1], pair[1][0], options.each), pairs),
            Counter[str](),
        )
        out.line(f"{dict(outcomes)} in {time.monotonic() - began:.0f} s")
        players = [who for pair in pairs for who, _ in pair]
        until(
            lambda: all(mail_states(target, who) == {"SENT": options.each} for who in players),
            "all mails sent",
        )
        out.line(f"{2 * outcomes['200']} mails sent")
    _, violations = audit_table(target.table, rounds=3)
    for violation in violations:
        out.line(str(violation))
    good = outcomes["200"] == options.pairs * options.each and outcomes.keys() <= {
        "200",
        "503 CONTENTION",
    }
    return 0 if good and not violations else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OperatorError as problem:
        sys.exit(str(problem))
