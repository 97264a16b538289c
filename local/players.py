"""The demo players of `make run`: users of the pool, and players by the public events."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from local.console import ProblemError, say
from local.stack import STATE, Stack
from local.tools import ROOT

POINTS = {
    "alice": 1000,
    "bob": 800,
    "carol": 500,
    "dave": 10,
    "erin": 1450,
    "frank": 1210,
    "grace": 640,
    "heidi": 420,
    "ivan": 230,
    "judy": 90,
}
REFERRED = {"bob": "alice", "carol": "alice", "dave": "alice", "erin": "bob"}
"""Who joined by whose code."""
REFERRER = "alice"
TOKENS = Counter(REFERRED.values())
SECONDS_TO_SETTLE = 120


def put_in_players(stack: Stack) -> None:
    """Makes the demo players and waits until all of it can be seen; fills `stack.outputs.Players`.

    At first one event after the other: events that come at once start a Lambda each, which takes
    seconds. When those run, the rest at once.
    """
    stack.outputs.Players.update({name: stack.sign_up(name) for name in POINTS})
    stack.sign_up_operator()
    token = stack.token(REFERRER)
    for path in (
        "/tokens",
        "/notifications",
        "/me",
    ):  # they take as long to start as the events below
        threading.Thread(target=warm_up, args=(stack, path, token), daemon=True).start()
    ids = stack.outputs.Players
    for name in (REFERRER, *REFERRED):
        join(stack, ids[name], name.title(), POINTS[name])
        if name in REFERRED:
            refer(stack, ids[REFERRED[name]], ids[name], name.title())
    others = POINTS.keys() - {REFERRER, *REFERRED}
    arrivals = [introduce(stack, ids[name], name.title(), POINTS[name]) for name in others]
    wait_until("the other players", lambda: all(arrived() for arrived in arrivals))

    def told() -> bool:
        inbox = stack.call("GET", "/notifications", token=token).json
        return bool(inbox.get("unreadCount") == TOKENS[REFERRER])

    wait_until("alice's notifications", told)


def warm_up(stack: Stack, path: str, token: str) -> None:
    """Calls a route so that its function starts; whatever it answers."""
    with suppress(urllib3.exceptions.HTTPError):
        stack.call("GET", path, token=token)


def join(stack: Stack, player: str, name: str, points: int) -> None:
    """Gives a player a profile and points, and waits until they are in the table."""
    wait_until(f"{name}'s profile and points", introduce(stack, player, name, points))


def introduce(stack: Stack, player: str, name: str, points: int) -> Callable[[], bool]:
    """Sends the events that give a player a profile and points; tells whether they have arrived.

    It looks into the table: asking the API would use up the caller's limits.
    """
    address = f"{name.lower()}@example.com"
    event_id = str(uuid.uuid4())
    stack.send("users", "UserUpserted", {"userId": player, "name": name, "email": address})
    stack.send(
        "points",
        "PointsEarned",
        {"eventId": event_id, "userId": player, "points": points, "pointEventType": "DEMO"},
    )
    return lambda: (
        stack.item(f"POINTS#{event_id}", "POINTS") is not None
        and "email" in (stack.item(f"PLAYER#{player}", "STATE") or {})
    )


def refer(stack: Stack, referrer: str, referred: str, name: str) -> None:
    """Reports a completed referral, by an event, and waits until it is in the table."""
    stack.send(
        "referrals",
        "ReferralCompleted",
        {
            "referralId": str(uuid.uuid4()),
            "referrerUserId": referrer,
            "referredUserId": referred,
            "referredUserName": name,
        },
    )
    wait_until(
        f"{name}'s referral", lambda: stack.item(f"REFERRAL#{referred}", "REFERRAL") is not None
    )


def wait_until(what: str, happened: Callable[[], bool]) -> None:
    """Polls until it happened; raises ProblemError after two minutes."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while not happened():
        if time.monotonic() > deadline:
            raise ProblemError(f"Waited {SECONDS_TO_SETTLE} s in vain for {what}: see `make logs`.")
        time.sleep(0.05)


def header_file(name: str) -> Path:
    """Where the header with a demo player's token lies, for `curl -H @file`."""
    return STATE / f"{name}.header"


def write_headers(stack: Stack) -> None:
    """Writes a fresh token for every demo player, readable by this user only.

    Says so for a player who cannot sign in any more, and leaves the file as it is.
    """
    for name in POINTS:
        path = header_file(name)
        try:
            token = stack.token(name)
        except (BotoCoreError, ClientError, ProblemError) as error:
            say(f"! {path.relative_to(ROOT)} is not renewed, {name} cannot sign in: {error}")
            continue
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(f"Authorization: Bearer {token}\n", "utf-8")


def remove_headers() -> None:
    """Forgets the tokens."""
    for path in STATE.glob("*.header"):
        path.unlink(missing_ok=True)
