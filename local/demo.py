"""`make demo`: one heist from the referral to the e-mails, printed as it happens."""

import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.console import ProblemError, say, show
from local.players import join, refer, wait_until
from local.stack import Answer, Stack, running_stack


def demo() -> None:
    """Plays it on the running stack or a temporary one; ProblemError if a part is missing."""
    with running_or_temporary() as stack:
        play(stack)


@contextmanager
def running_or_temporary() -> Iterator[Stack]:
    """The stack of `make run`, else one that lives as long as the demo."""
    try:
        stack = Stack.running()
    except ProblemError:
        say("Nothing is running: starting a temporary stack for the demo.")
        with tempfile.TemporaryDirectory() as home, running_stack(Path(home)) as stack:
            yield stack
    else:
        yield stack


def play(stack: Stack) -> None:
    """Referral, token, heist, inboxes, mails: with players of its own, so it can be repeated."""
    run = uuid.uuid4().hex[:6]
    robin, rich = f"robin-{run}", f"rich-{run}"
    ids = {name: stack.sign_up(name) for name in (robin, rich)}
    for name, points in ((robin, 100), (rich, 800)):
        join(stack, ids[name], name.capitalize(), points)
    show(f"Players    {robin} with 100 points, {rich} with 800")

    token = stack.token(robin)
    friend = f"friend-{run}"
    refer(stack, ids[robin], friend, friend.capitalize())
    wait_until(
        "the token", lambda: expect(stack.call("GET", "/tokens", token=token))["balance"] == 1
    )
    show(f"Referral   {friend} joined by {robin}'s code")
    show(f"Token      {robin} has 1")

    show_home(stack, robin, token)
    targets = expect(stack.call("GET", "/targets?limit=3", token=token))["targets"]
    for target in targets:
        show(f"Target     {target['name']}: {target['potentialSteal']} of {target['points']}")
    if not targets:
        raise ProblemError(f"There is nobody whom {robin} may rob.")

    verdict = expect(stack.call("GET", f"/can-rob/{ids[rich]}", token=token))
    if not verdict["eligible"]:
        raise ProblemError(f"{robin} may not rob {rich}: {verdict['reason']}.")
    show(f"Can rob    yes, {verdict['potentialSteal']} of {verdict['targetPoints']} points")

    heist = expect(
        stack.call(
            "POST",
            "/execute",
            token=token,
            body={"targetUserId": ids[rich]},
            headers={"Idempotency-Key": run},
        )
    )
    show(f"Heist      {heist['message']} {robin} now has {heist['attackerPointsAfter']}")

    for name, kind in ((robin, "HEIST_SUCCESS"), (rich, "HEIST_VICTIM")):
        show(f"Inbox      {name}: {inbox_message(stack, name, kind, heist['heistId'])}")
    for name in (robin, rich):
        mail = mail_to(stack, f"{name}@example.com")
        show(f"E-mail     to {name}@example.com: {mail['Subject']}")
        for line in mail["BodyText"].strip().splitlines():
            show(f"           {line}".rstrip())
    for name in (robin, rich):
        (entry,) = expect(stack.call("GET", "/heists", token=stack.token(name)))["heists"]
        show(f"History    {name}: {entry['points']:+} points, {entry['role']} of the heist")
    show_home(stack, robin, token)
    around = expect(stack.call("GET", "/leaderboard/around?span=1", token=token))
    for place in around["entries"]:
        show(f"Board      {place['rank']:>3}. {place['name']} {place['points']}")
    show("Complete: one token, one heist, two inbox items, two e-mails.")


def expect(answer: Answer) -> Any:
    """The body of a 200; raises ProblemError with the body of anything else."""
    if answer.status != 200:
        raise ProblemError(f"The API answered {answer.status}: {answer.text}")
    return answer.json


def show_home(stack: Stack, name: str, token: str) -> None:
    """Prints what a player's home screen says."""
    home = expect(stack.call("GET", "/me", token=token))
    rank = home["rank"]
    place = "no rank" if rank is None else f"rank {rank['value']} of {rank['players']}"
    show(f"Home       {name}: {home['points']} points, tokens: {home['tokens']}, {place}")


def inbox_message(stack: Stack, name: str, kind: str, heist: str) -> str:
    """The message of a player's notification about a heist, once it is there."""
    token = stack.token(name)
    found: list[str] = []

    def arrived() -> bool:
        inbox = expect(stack.call("GET", "/notifications", token=token))["notifications"]
        found[:] = [
            each["message"] for each in inbox if (each["type"], each["heistId"]) == (kind, heist)
        ]
        return bool(found)

    wait_until(f"{name}'s {kind}", arrived)
    return found[0]


def mail_to(stack: Stack, address: str) -> dict[str, Any]:
    """The mail to an address, once it was sent."""
    wait_until(
        f"the e-mail to {address}", lambda: any(is_to(mail, address) for mail in stack.mails())
    )
    return next(mail for mail in stack.mails() if is_to(mail, address))


def is_to(mail: dict[str, Any], address: str) -> bool:
    """Whether a mail went to an address, in any case and form."""
    return address in json.dumps(mail["To"]).lower()
