"""Redo what the dead-letter queues hold.

Every dead letter is redone by the deployed function that failed it, so redoing
is as idempotent as a second delivery. Refused events and doubtful mails stay
where they are unless selected by --refused, --doubtful or their ids. However
the command ends, what was not redone is visible again. The exit code is 1 while
something selected is not redone, or is hidden by another reader.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from heist_core.domain.errors import Malformed
from heist_core.messaging.dead_letter_queues import (
    HIDDEN_SECONDS,
    DeadLetter,
    DeadLetterQueues,
    Json,
    parsed,
)
from heist_core.storage.keys import Key
from heist_core.storage.wire import from_wire, to_wire
from heist_core.use_cases.send_digests import DIGEST
from ops.command import add_change_arguments, agreed, whole
from ops.dead_letters import add_selection, queues_of, selected, show_causes
from ops.output import Output
from ops.target import Target

CONSUMERS = ("notify_players", "publish_and_count")
_NAMES_OF_A_MAIL = ("heistId", "referredId", "recipientId", "type")
AT_ONCE = 8
RATE = 20


class UndoneError(Exception):
    """A dead letter was not redone, and why. It stays, or a new one took its place."""


class Redrive:
    """Sends dead letters to the functions that failed them; safe for several threads."""

    def __init__(self, target: Target, queues: DeadLetterQueues) -> None:
        self._target = target
        self._queues = queues
        self._lambda = target.lambdas

    def __call__(self, letter: DeadLetter) -> None:
        """Redo a dead letter and delete it from its queue. Raises UndoneError."""
        match letter.kind:
            case "refused" | "event":
                self._event(letter)
            case "record":
                self._record(letter)
            case "failed mail" | "doubtful mail":
                self._mail(letter)
            case "position":
                self._position()
            case _:
                raise UndoneError("this is not a dead letter of Heist Core")
        self._queues.delete(letter)

    def _event(self, letter: DeadLetter) -> None:
        if letter.event_function is None:
            raise UndoneError("no function takes such an event of this source")
        if self._invoke(letter.event_function, letter.event).get("status") != "ok":
            self._replaced(letter, "refused again; a new dead letter holds it")

    def _record(self, letter: DeadLetter) -> None:
        """From the table's present item; from the dead letter's image only if that is gone."""
        consumer = str(letter.body.get("consumer"))
        if consumer not in CONSUMERS:
            raise UndoneError("its consumer must be one of " + ", ".join(CONSUMERS))
        record = letter.body.get("record")
        key = _key_in(letter.body)
        image = self._target.table.image(key) if key else None
        if key and image:
            part = {"Keys": to_wire(key), "NewImage": image, "SequenceNumber": "0"}
            record = {"eventName": "INSERT", "dynamodb": part}
        if not isinstance(record, dict):
            raise UndoneError("the record is gone from the table")
        answer = self._invoke(consumer, {"Records": [record]})
        if answer.get("batchItemFailures"):
            raise UndoneError("it failed again; see the function's log")
        if answer.get("parked"):
            self._replaced(letter, "it still cannot be read; a new dead letter holds it")

    def _mail(self, letter: DeadLetter) -> None:
        if letter.body.get("type") == DIGEST:
            if not self._invoke("send_digests", {"resend": letter.body}).get("settled"):
                raise UndoneError("not sent; the dead letter stays")
            return
        wanted = {name: letter.body.get(name) for name in _NAMES_OF_A_MAIL}
        if not self._invoke("sweep_notifications", {"resend": wanted}).get("settled"):
            self._replaced(letter, "not sent yet; the sweeper goes on with it")

    def _position(self) -> None:
        """A position in the stream: its records are marked as owed, so a sweep finds them."""
        waiting = self._invoke("sweep_notifications", {"graceSeconds": 0}).get("waiting")
        if waiting:
            raise UndoneError(f"{waiting} records still owe something")

    def _replaced(self, letter: DeadLetter, reason: str) -> None:
        self._queues.delete(letter)
        raise UndoneError(reason)

    def _invoke(self, folder: str, payload: Json) -> Json:
        answer = self._lambda.invoke(
            FunctionName=self._target.function(folder), Payload=json.dumps(payload).encode()
        )
        content = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise UndoneError(f"{folder} failed again; see its log")
        return parsed(content)


def _key_in(body: Json) -> Key | None:
    """The key of the item that the dead letter of a stream record is about, if it has one."""
    key = body.get("key")
    if not isinstance(key, dict):
        record = body.get("record")
        part = record.get("dynamodb") if isinstance(record, dict) else None
        typed = part.get("Keys") if isinstance(part, dict) else None
        try:
            key = from_wire(typed) if isinstance(typed, dict) else {}
        except Malformed:
            key = {}
    pk, sk = key.get("pk"), key.get("sk")
    return {"pk": pk, "sk": sk} if isinstance(pk, str) and isinstance(sk, str) else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser)
    parser.add_argument("--refused", action="store_true", help="try refused events again, too")
    parser.add_argument(
        "--doubtful", action="store_true", help="send mails again that may have arrived"
    )
    parser.add_argument(
        "--rate", type=whole(1), default=RATE, help=f"at most so many a second ({RATE})"
    )
    add_change_arguments(parser, reason=False)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    queues = queues_of(target)
    hidden = queues.hidden()
    with queues.received() as found:
        chosen = selected(found, options)
        wanted = [letter for letter in chosen if _is_wanted(letter, options)]
        show_causes(chosen, out)
        left = len(chosen) - len(wanted)
        out.line(f"{len(wanted)} to be redone, {left} left as they are")
        if left:
            out.line("Refused events: --refused. Mails that may have arrived: --doubtful.")
        applied = bool(wanted) and agreed(options, out)
        undone = redo(Redrive(target, queues), wanted, options.rate, target, out) if applied else []
    if applied:
        out.line(f"{len(wanted) - len(undone)} redone, {len(undone)} undone")
    if hidden:
        out.line(
            f"About {hidden} dead letters are hidden: another command has them, or was killed. "
            f"Look again in {HIDDEN_SECONDS // 60} minutes."
        )
    out.document(
        {
            "applied": applied,
            "letters": dict(Counter(f"{each.kind}: {each.cause}" for each in chosen)),
            "redone": len(wanted) - len(undone) if applied else 0,
            "undone": undone,
            "left": left,
            "hidden": hidden,
        }
    )
    return 1 if undone or (applied and hidden) else 0


def _is_wanted(letter: DeadLetter, options: argparse.Namespace) -> bool:
    """A dead letter that is named by its id is always wanted."""
    asked = {"refused": options.refused, "doubtful mail": options.doubtful}
    return bool(options.letters) or asked.get(letter.kind, True)


def redo(
    redrive: Redrive, wanted: Sequence[DeadLetter], rate: int, target: Target, out: Output
) -> list[str]:
    """Redo dead letters in parallel, at most `rate` a second; returns what is undone, and why."""
    undone: list[str] = []
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        begun: list[tuple[DeadLetter, Future[None]]] = []
        for letter in wanted:
            begun.append((letter, pool.submit(redrive, letter)))
            target.clock.sleep(1 / rate)
        for number, (letter, future) in enumerate(begun, start=1):
            try:
                future.result()
            except UndoneError as reason:
                undone.append(f"{letter.kind} {letter.reference}: {reason}")
                out.line(undone[-1])
            out.progress(f"{number} of {len(wanted)}")
    finally:
        pool.shutdown(cancel_futures=True)
    return undone
