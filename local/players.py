"""The demo players of `make run`: users of the pool, and players by the public events."""

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from local.console import ProblemError, say
from local.stack import STATE, Stack
from local.tools import ROOT

POINTS = {"alice": 1000, "bob": 800, "carol": 500, "dave": 10}
REFERRER = "alice"
TOKENS = len(POINTS) - 1  # the others joined by the referrer's code
SECONDS_TO_SETTLE = 120


def put_in_players(stack: Stack) -> None:
    """Makes the demo players and waits until all of it can be seen; fills `stack.outputs.Players`.

    One event after the other: events that come at once start a Lambda each, which takes seconds.
    """
    stack.outputs.Players.update({name: stack.sign_up(name) for name in POINTS})
    referrer, token = stack.outputs.Players[REFERRER], stack.token(REFERRER)
    for path in ("/tokens", "/notifications"):  # they take as long to start as the events below
        threading.Thread(target=warm_up, args=(stack, path, token), daemon=True).start()
    for name, points in POINTS.items():
        player = stack.outputs.Players[name]
        join(stack, player, name.title(), points)
        if name != REFERRER:
            refer(stack, referrer, player, name.title())
    wait_until(
        "alice's tokens",
        lambda: stack.call("GET", "/tokens", token=token).json.get("balance") == TOKENS,
    )
    wait_until(
        "alice's notifications",
        lambda: stack.call("GET", "/notifications", token=token).json.get("unreadCount") == TOKENS,
    )


def warm_up(stack: Stack, path: str, token: str) -> None:
    """Calls a route so that its function starts; whatever it answers."""
    with suppress(urllib3.exceptions.HTTPError):
        stack.call("GET", path, token=token)


def join(stack: Stack, player: str, name: str, points: int) -> None:
    """Gives a player a profile and points, by events, and waits until they are in the table.

    Asking the API instead would use up the limits of whoever asks.
    """
    address = f"{name.lower()}@example.com"
    event_id = str(uuid.uuid4())
    stack.send("users", "UserUpserted", {"userId": player, "name": name, "email": address})
    stack.send(
        "points",
        "PointsEarned",
        {"eventId": event_id, "userId": player, "points": points, "pointEventType": "DEMO"},
    )
    wait_until(f"{name}'s points", lambda: stack.item(f"POINTS#{event_id}", "POINTS") is not None)
    wait_until(
        f"{name}'s profile", lambda: "email" in (stack.item(f"PLAYER#{player}", "STATE") or {})
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
