"""The two dead-letter queues: their dead letters, and whose each is."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from ops.target import OperatorError, Target

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

QUEUES = ("EventsDeadLetterQueueUrl", "NotifierDeadLetterQueueUrl")
EVENT_FUNCTIONS = {
    ("referrals", "ReferralCompleted"): "award_token",
    ("users", "UserUpserted"): "upsert_player",
    ("points", "PointsEarned"): "add_points",
}
HIDDEN_SECONDS = 300
SHORT_ID = 8
_AT_ONCE = 10  # SQS takes no more in one call

Json = Mapping[str, object]


@dataclass(frozen=True)
class Letter:
    """A message of a dead-letter queue. Whatever stands in it may be anybody's text."""

    id: str
    queue_url: str
    receipt: str
    sent_at: datetime
    body: Json
    undelivered: str = ""
    """Why EventBridge could not deliver it, in its own words."""

    @cached_property
    def kind(self) -> str:
        """`refused`, `event`, `record`, `failed mail`, `doubtful mail`, `position` or `unknown`."""
        if "reason" in self.body and "event" in self.body:
            return "refused"
        if self.body.get("kind") == "mail":
            return "doubtful mail" if self.body.get("state") == "PARKED" else "failed mail"
        if self.body.get("kind") == "record":
            return "record"
        if "DDBStreamBatchInfo" in self.body:
            return "position"
        return "event" if self.event_function else "unknown"

    @cached_property
    def event(self) -> Json:
        """The bus event: refused, kept by Lambda after its retries, or never delivered."""
        return _inner(self.body, "event") or _inner(self.body, "requestPayload") or self.body

    @property
    def event_function(self) -> str | None:
        """The function that takes such an event; a source may send its own events only."""
        return EVENT_FUNCTIONS.get(
            (str(self.event.get("source")), str(self.event.get("detail-type")))
        )

    @property
    def cause(self) -> str:
        """Why it is here."""
        if isinstance(self.body.get("reason"), str):
            return str(self.body["reason"])
        condition = _inner(self.body, "requestContext").get("condition")
        error = _inner(self.body, "responsePayload").get("errorType")
        known = [str(each) for each in (condition, error, self.undelivered) if each]
        return ", ".join(known) or "not said"

    @property
    def source(self) -> str:
        """Which system's event it is, or which function's work."""
        if "detail-type" in self.event:
            return f"{self.event.get('source')} {self.event['detail-type']}"
        return str(self.body.get("consumer") or self.kind)

    @property
    def reference(self) -> str:
        """What its sender calls it; else the item that it is about."""
        detail = _inner(self.event, "detail")
        record = _inner(_inner(_inner(self.body, "record"), "dynamodb"), "Keys")
        named = (
            *(detail.get("eventId"), detail.get("referralId"), self.event.get("id")),
            *(self.body.get("heistId"), self.body.get("referredId")),
            _inner(self.body, "key").get("pk"),
            _inner(record, "pk").get("S"),
        )
        return next((str(each) for each in named if each), "")

    @property
    def player(self) -> str:
        """Who misses something."""
        detail = _inner(self.event, "detail")
        named = (
            *(detail.get("userId"), detail.get("referrerUserId"), self.body.get("recipientId")),
        )
        return next((str(each) for each in named if each), "")

    def document(self, now: datetime) -> Json:
        return {
            "letter": self.id,
            "kind": self.kind,
            "source": self.source,
            "event": self.reference,
            "player": self.player,
            "cause": self.cause,
            "ageSeconds": max(0, int((now - self.sent_at).total_seconds())),
        }


def _inner(outer: Json, name: str) -> Json:
    inner = outer.get(name)
    return inner if isinstance(inner, Mapping) else {}


class Letters:
    """Takes letters out of both queues, and gives back what is not deleted."""

    def __init__(self, target: Target) -> None:
        self._sqs = target.sqs
        self._queue_urls = [target.outputs[name] for name in QUEUES]
        self._taken: dict[str, Letter] = {}

    @contextmanager
    def taken(self) -> Iterator[list[Letter]]:
        """Every letter that is there, hidden from others for a while; afterwards all are visible
        again but those deleted, however this ends."""
        try:
            for queue_url in self._queue_urls:
                self._take(queue_url)
            yield sorted(self._taken.values(), key=lambda letter: letter.sent_at)
        finally:
            self._give_back()

    def in_other_hands(self) -> int:
        """About how many are hidden now: somebody works on them, or was killed while doing so."""
        hidden = 0
        for url in self._queue_urls:
            answer = self._sqs.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
            )
            hidden += int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"])
        return hidden

    def delete(self, letter: Letter) -> None:
        self._sqs.delete_message(QueueUrl=letter.queue_url, ReceiptHandle=letter.receipt)
        del self._taken[letter.id]

    def _take(self, queue_url: str) -> None:
        while messages := self._sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=_AT_ONCE,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["ERROR_CODE"],
        ).get("Messages"):
            new = [_letter(queue_url, message) for message in messages]
            known = self._taken.keys() >= {letter.id for letter in new}
            self._taken |= {letter.id: letter for letter in new}
            if known:  # so many that the first are visible again
                return

    def _give_back(self) -> None:
        for queue_url in self._queue_urls:
            left = [each for each in self._taken.values() if each.queue_url == queue_url]
            for start in range(0, len(left), _AT_ONCE):
                self._sqs.change_message_visibility_batch(
                    QueueUrl=queue_url,
                    Entries=[
                        {
                            "Id": str(number),
                            "ReceiptHandle": letter.receipt,
                            "VisibilityTimeout": 0,
                        }
                        for number, letter in enumerate(left[start : start + _AT_ONCE])
                    ],
                )
        self._taken.clear()


def _letter(queue_url: str, message: "MessageTypeDef") -> Letter:
    sent = int(message["Attributes"]["SentTimestamp"]) / 1000
    attributes = message.get("MessageAttributes", {})
    return Letter(
        message["MessageId"],
        queue_url,
        message["ReceiptHandle"],
        datetime.fromtimestamp(sent, UTC),
        parsed(message["Body"]),
        attributes["ERROR_CODE"].get("StringValue", "") if "ERROR_CODE" in attributes else "",
    )


def parsed(text: str | bytes) -> Json:
    """A JSON object; of anything else, an empty one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}


# Which ones


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The arguments of a command that is about some of the letters."""
    parser.add_argument(
        "letters", nargs="*", metavar="LETTER", help="its id, or how that begins; without, all"
    )
    parser.add_argument("--cause", help="only letters whose cause holds this text")


def selected(letters: Sequence[Letter], options: argparse.Namespace) -> list[Letter]:
    """Those that the arguments name. Raises OperatorError for an id that no letter has."""
    for start in options.letters:
        found = [letter for letter in letters if letter.id.startswith(start)]
        if len(found) != 1:
            number = "no letter begins" if not found else f"{len(found)} letters begin"
            raise OperatorError(f"There {number} with {start}: ./heist dead-letters lists them.")
    return [
        letter
        for letter in letters
        if (not options.letters or letter.id.startswith(tuple(options.letters)))
        and (options.cause is None or options.cause in letter.cause)
    ]
