"""`make run`: the whole application on this machine until Ctrl-C."""

import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from local.console import ProblemError, say, show, step
from local.deployment import LOCAL_PARAMETERS, chosen_parameters, template_parameters
from local.emulator import LOOPBACK, bridge_addresses
from local.gate import MAILBOX
from local.logs import Follower
from local.players import (
    POINTS,
    REFERRER,
    TOKENS,
    header_file,
    put_in_players,
    remove_headers,
    write_headers,
)
from local.stack import OPERATOR, OUTPUTS, PASSWORD, SAM_LOCAL, STATE, Stack, running_stack
from local.tools import ROOT

SECONDS_BETWEEN_TOKENS = 45 * 60  # they are valid for an hour


class Stopped(BaseException):
    """Someone asked us to stop: Ctrl-C, SIGTERM, or the terminal went away."""


def run(environment: Mapping[str, str]) -> None:
    """Starts everything, prints how to use it, follows the logs; returns when asked to stop."""
    asked_at = float(environment.get("ASKED_AT") or time.time())
    parameters = chosen_parameters(environment)
    port = chosen_port(environment)
    bridge = chosen_bridge(environment)
    try:
        with (
            only_one_per_checkout(),
            stopping_on_signals(),
            forgetting_everything(),
            running_stack(
                STATE / "run", port, parameters, bridge=bridge, demo_players=POINTS
            ) as stack,
        ):
            with step("players") as done:
                put_in_players(stack)
                write_headers(stack)
                done.note = "via Cognito and the event bus"
            write_outputs(stack)
            show(f"Ready in {time.time() - asked_at:.1f} s → {OUTPUTS.relative_to(ROOT)}")
            show_ways_in(stack, parameters)
            try:
                follow_logs(stack)
            finally:
                forget()  # at once: what it tells is no longer true
    except Stopped:
        say("Stopped; nothing is left of it.")


def chosen_port(environment: Mapping[str, str]) -> int:
    """LOCAL_PORT, else MiniStack's usual one; raises ProblemError if it is none."""
    text = environment.get("LOCAL_PORT") or "4566"
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ProblemError(f"LOCAL_PORT must be a port number, 1 to 65535, not {text!r}.")
    return int(text)


def chosen_bridge(environment: Mapping[str, str]) -> str:
    """The address of the bridge that LOCAL_BIND names, by which containers come in; else empty.

    Raises ProblemError for any other address: by those, others than this machine's containers come.
    """
    chosen = environment.get("LOCAL_BIND") or "127.0.0.1"
    if chosen in LOOPBACK or chosen == "localhost":
        return ""
    bridges = bridge_addresses()
    if chosen == "docker":
        if "docker0" in bridges:
            return bridges["docker0"]
        raise ProblemError(
            "LOCAL_BIND=docker: there is no docker0 here. Docker Desktop needs no LOCAL_BIND; with "
            "another bridge, give its address."
        )
    if chosen in bridges.values():
        return chosen
    raise ProblemError(
        f"LOCAL_BIND={chosen} would let in more than this machine: for containers say "
        "LOCAL_BIND=docker, or give the address of the bridge that they are on."
    )


@contextmanager
def only_one_per_checkout() -> Iterator[None]:
    """Raises ProblemError if `make run` is already at it in this checkout."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise ProblemError(
                f"`make run` is already running in this checkout (process {lock.read().strip()}): "
                "use that one, or stop it with Ctrl-C."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turns the first signal to end into Stopped, and ignores all others until the process ends."""
    signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def ignore(*_: object) -> None:
        """For SIG_IGN, Python complains of a signal that came a moment before."""

    def stop(*_: object) -> None:
        for each in signals:
            signal.signal(each, ignore)
        raise Stopped

    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
        signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, stop) for each in signals}
    try:
        yield
    except Stopped:
        raise
    except BaseException:
        for each, handler in before.items():
            signal.signal(each, handler)
        raise


@contextmanager
def forgetting_everything() -> Iterator[None]:
    """Removes outputs and tokens before (a crash's) and after."""

    forget()
    try:
        yield
    finally:
        forget()


def forget() -> None:
    """Removes outputs and tokens."""
    for path in (OUTPUTS, SAM_LOCAL):
        path.unlink(missing_ok=True)
    remove_headers()


def write_outputs(stack: Stack) -> None:
    """Writes .local/outputs.json in one step, so that nobody reads half of it."""
    unfinished = OUTPUTS.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(asdict(stack.outputs), indent=2) + "\n", "utf-8")
    unfinished.replace(OUTPUTS)


def show_ways_in(stack: Stack, parameters: Mapping[str, str]) -> None:
    """Prints addresses, players and lines to paste."""
    api = f"{stack.outputs.ApiUrl}/api/heist"
    header = header_file(REFERRER).relative_to(ROOT)
    target = json.dumps({"targetUserId": stack.outputs.Players["bob"]})
    players = [
        f"{name} {points}" + (f" + {TOKENS[name]}" if TOKENS[name] else "")
        for name, points in POINTS.items()
    ]
    show()
    show(f"Play     {stack.outputs.ApiUrl}/play")
    show(f"Operate  {stack.outputs.ApiUrl}/ops")
    show(f"API      {api}")
    show(f"Mails    {stack.outputs.Endpoint}{MAILBOX}")
    show('         as text: make mails  Logs  make logs          AWS   eval "$(make -s env)"')
    show()
    show(f"Players  points, + tokens; password {PASSWORD}; {OPERATOR} operates")
    for half in (players[:5], players[5:]):
        show(f"         {' · '.join(half)}")
    for path in ("me", "targets"):
        show(f"curl -H @{header} '{api}/{path}'")
    show(f"curl -H @{header} -H 'Idempotency-Key: 1' -d '{target}' '{api}/execute'")
    for path in ("heists", "leaderboard"):
        show(f"curl -H @{header} '{api}/{path}'")
    show(f"curl -H @{header_file('bob').relative_to(ROOT)} '{api}/notifications'")
    declared = template_parameters()
    changed = [
        f"{variable(name)}={value} "
        f"(default {LOCAL_PARAMETERS.get(name, declared[name]['Default'])})"
        for name, value in parameters.items()
    ]
    if changed:
        show(f"Overrides: {', '.join(changed)}")
    show("Not emulated: alarms, stream retries → docs/operations.md")
    show("Ctrl-C stops and forgets")


def variable(parameter: str) -> str:
    """HEIST_ENABLED for HeistEnabled."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in parameter)[1:].upper()


def someone_reads() -> bool:
    """False once the terminal has gone, or the reader of our output through a pipe.

    A terminal sends SIGHUP to its first process only, which may be make.
    """
    outputs = select.poll()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed from the start
            outputs.register(stream, 0)  # errors and hang-ups are always reported
    return not outputs.poll(0)


def follow_logs(stack: Stack) -> None:
    """Prints what the functions log, until Stopped; raises ProblemError if the emulator ends."""
    follower = Follower(stack, since=time.time())
    parent = os.getppid()
    fresh_until = time.monotonic() + SECONDS_BETWEEN_TOKENS
    while os.getppid() == parent and someone_reads():
        for line in follower.new_lines():
            show(line)
        if time.monotonic() > fresh_until:
            write_headers(stack)
            fresh_until = time.monotonic() + SECONDS_BETWEEN_TOKENS
        time.sleep(1)
    raise Stopped
