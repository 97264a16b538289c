"""Redo what the dead-letter queues hold.

Every letter is redone by the deployed function that failed it, so redoing is as
idempotent as a second delivery. Refused events and doubtful mails stay where
they are unless asked for. The exit code is 1 while something stays undone.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ops.command import add_change_arguments, agreed
from ops.output import Output
from ops.target import Target

EVENT_FUNCTIONS = {
    "ReferralCompleted": "award_token",
    "UserUpserted": "upsert_player",
    "PointsEarned": "add_points",
}
HIDDEN_SECONDS = 300
QUEUES = ("EventsDeadLetterQueueUrl", "NotifierDeadLetterQueueUrl")

Json = Mapping[str, object]


@dataclass(frozen=True)
class Letter:
    """A message of a dead-letter queue. `kind` decides how it is redone."""

    queue_url: str
    receipt: str
    kind: str
    body: Json

    @property
    def title(self) -> str:
        """What it is, without anybody's data."""
        reason = self.body.get("reason")
        return f"{self.kind}: {reason}" if reason else self.kind


def kind_of(body: Json) -> str:
    """`refused`, `event`, `record`, `failed mail`, `doubtful mail`, `position` or `unknown`."""
    if "reason" in body and "event" in body:
        return "refused"
    if body.get("kind") == "mail":
        return "doubtful mail" if body.get("state") == "PARKED" else "failed mail"
    if body.get("kind") == "record":
        return "record"
    if "DDBStreamBatchInfo" in body:
        return "position"
    if _event_in(body).get("detail-type") in EVENT_FUNCTIONS:
        return "event"
    return "unknown"


def _event_in(body: Json) -> Json:
    """The bus event of a letter: refused, kept by Lambda after its retries, or never delivered."""
    for name in ("event", "requestPayload"):
        inner = body.get(name)
        if isinstance(inner, Mapping):
            return inner
    return body


class Redrive:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._sqs = target.sqs
        self._lambda = target.lambdas
        self._dynamodb = target.dynamodb

    def letters(self) -> list[Letter]:
        """Every letter that was there when this began, hidden from others for a while."""
        began = time.time()
        found: list[Letter] = []
        later: list[Letter] = []
        for name in QUEUES:
            queue_url = self._target.outputs[name]
            while messages := self._sqs.receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp"],
            ).get("Messages"):
                for message in messages:
                    body = _parsed(message["Body"])
                    letter = Letter(queue_url, message["ReceiptHandle"], kind_of(body), body)
                    sent = int(message["Attributes"]["SentTimestamp"]) / 1000
                    (found if sent <= began else later).append(letter)
        for letter in later:
            self.keep(letter)
        return found

    def redo(self, letter: Letter) -> None:
        """Redo a letter and take it off its queue.

        Raises UndoneError when it is not done: the letter stays, or a new one took its place.
        """
        match letter.kind:
            case "refused" | "event":
                self._redo_event(letter)
            case "record":
                self._redo_record(letter)
            case "failed mail" | "doubtful mail":
                self._redo_mail(letter)
            case "position":
                self._redo_position(letter)
            case _:
                raise UndoneError("this is not a letter of Heist Core", letter)
        self._delete(letter)

    def keep(self, letter: Letter) -> None:
        """Leave it in its queue, visible again."""
        self._sqs.change_message_visibility(
            QueueUrl=letter.queue_url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
        )

    def _redo_event(self, letter: Letter) -> None:
        event = _event_in(letter.body)
        function = EVENT_FUNCTIONS.get(str(event.get("detail-type")))
        if function is None:
            raise UndoneError("no function takes this detail-type", letter)
        if self._invoke(function, event, letter).get("status") != "ok":
            self._replaced(letter, "refused again; a new letter holds it")

    def _redo_record(self, letter: Letter) -> None:
        """What the table holds now counts; the letter's own image only if the item is gone."""
        record = letter.body.get("record")
        keys = letter.body.get("key")
        if isinstance(keys, Mapping):
            keys = {name: {"S": value} for name, value in keys.items()}
        elif isinstance(record, Mapping) and isinstance(record.get("dynamodb"), Mapping):
            keys = record["dynamodb"].get("Keys")
        if isinstance(keys, Mapping) and keys:
            item = self._dynamodb.get_item(
                TableName=self._target.table, Key=dict(keys), ConsistentRead=True
            )
            if "Item" in item:
                image = {"Keys": keys, "NewImage": item["Item"], "SequenceNumber": "0"}
                record = {"eventName": "INSERT", "dynamodb": image}
        if not isinstance(record, Mapping):
            raise UndoneError("the record is gone from the table", letter)
        answer = self._invoke(str(letter.body.get("consumer")), {"Records": [record]}, letter)
        if answer.get("batchItemFailures"):
            raise UndoneError("it failed again; see the function's log", letter)
        if answer.get("parked"):
            self._replaced(letter, "it still cannot be read; a new letter holds it")

    def _redo_mail(self, letter: Letter) -> None:
        wanted = {name: letter.body.get(name) for name in ("heistId", "recipientId", "type")}
        answer = self._invoke("sweep_notifications", {"resend": wanted}, letter)
        if not answer.get("settled"):
            self._replaced(letter, "not sent yet; the sweeper goes on with it")

    def _redo_position(self, letter: Letter) -> None:
        """A position in the stream: its records are marked as owed, so a sweep finds them."""
        waiting = self._invoke("sweep_notifications", {"graceSeconds": 0}, letter).get("waiting")
        if waiting:
            raise UndoneError(f"{waiting} records still owe something", letter)

    def _replaced(self, letter: Letter, reason: str) -> None:
        self._delete(letter)
        raise UndoneError(reason)

    def _invoke(self, folder: str, payload: Json, letter: Letter) -> Json:
        answer = self._lambda.invoke(
            FunctionName=self._target.function(folder), Payload=json.dumps(payload).encode()
        )
        content = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise UndoneError(f"{folder} failed again; see its log", letter)
        return _parsed(content)

    def _delete(self, letter: Letter) -> None:
        self._sqs.delete_message(QueueUrl=letter.queue_url, ReceiptHandle=letter.receipt)


class UndoneError(Exception):
    """A letter is not done; `kept` is the letter that stays in its queue, if it does."""

    def __init__(self, reason: str, kept: Letter | None = None) -> None:
        super().__init__(reason)
        self.kept = kept


def _parsed(text: str | bytes) -> Json:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}


def redo_all(redrive: Redrive, options: argparse.Namespace, out: Output) -> int:
    """List what there is, then redo what is asked for; the number of letters that stay undone."""
    letters = redrive.letters()
    listed = Counter(letter.title for letter in letters)
    for title, number in sorted(listed.items()):
        out.line(f"{number:6}  {title}")
    asked = {"refused": options.refused, "doubtful mail": options.doubtful}
    apply = agreed(options, out)
    done, kept = 0, 0
    problems: list[str] = []
    for position, letter in enumerate(letters, start=1):
        if not apply or not asked.get(letter.kind, True):
            redrive.keep(letter)
            kept += 1
            continue
        try:
            redrive.redo(letter)
            done += 1
        except UndoneError as reason:
            if reason.kept is not None:
                redrive.keep(reason.kept)
            problems.append(f"{letter.title}: {reason}")
            out.line(f"{position}/{len(letters)}  {problems[-1]}")
        out.progress(f"{position}/{len(letters)}")
    out.line(f"{done} redone, {len(problems)} undone, {kept} left as they are")
    if kept and apply:
        out.line("Refused events are redone with --refused, doubtful mails with --doubtful.")
    out.document({"letters": dict(listed), "redone": done, "undone": problems, "kept": kept})
    return len(problems)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--refused", action="store_true", help="try refused events again, too")
    parser.add_argument(
        "--doubtful", action="store_true", help="send mails again that may have arrived"
    )
    add_change_arguments(parser, reason=False)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    return 1 if redo_all(Redrive(target), options, out) else 0
