"""Reads the two dead-letter queues: which event or mail each message is, and why it failed."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from heist_core.domain.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

EVENT_FUNCTIONS = {
    ("referrals", "ReferralCompleted"): "award_token",
    ("users", "UserUpserted"): "upsert_player",
    ("points", "PointsEarned"): "add_points",
    ("aws.ses", "Email Bounced"): "record_mail_feedback",
    ("aws.ses", "Email Complaint Received"): "record_mail_feedback",
    ("aws.ses", "Email Delivery Delayed"): "record_mail_feedback",
    ("aws.ses", "Email Rejected"): "record_mail_feedback",
}
HIDDEN_SECONDS = 300
SHOWN = 500
_TEXT_SHOWN = 200
_AT_ONCE = 10  # SQS takes no more in one call

Json = Mapping[str, object]


@dataclass(frozen=True)
class DeadLetter:
    """A message of a dead-letter queue. Its text is untrusted."""

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
        """Why it was not processed."""
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
        """The sender's id of the event; otherwise the item that the work is about."""
        detail = _inner(self.event, "detail")
        record = _inner(_inner(_inner(self.body, "record"), "dynamodb"), "Keys")
        named = (
            *(detail.get("eventId"), detail.get("referralId"), self.event.get("id")),
            *(self.body.get("heistId"), self.body.get("referredId")),
            f"digest {self.body['upTo']}" if "upTo" in self.body else "",
            _inner(self.body, "key").get("pk"),
            _inner(record, "pk").get("S"),
        )
        return next((str(each) for each in named if each), "")

    @property
    def player(self) -> str:
        """The player whose token, points, profile or mail is missing."""
        detail = _inner(self.event, "detail")
        named = (
            *(detail.get("userId"), detail.get("referrerUserId"), self.body.get("recipientId")),
        )
        return next((str(each) for each in named if each), "")

    def document(self, now: datetime) -> Json:
        return {
            "letter": self.id,
            "kind": self.kind,
            "source": self.source[:_TEXT_SHOWN],
            "event": self.reference[:_TEXT_SHOWN],
            "player": self.player[:_TEXT_SHOWN],
            "cause": self.cause[:_TEXT_SHOWN],
            "ageSeconds": max(0, int((now - self.sent_at).total_seconds())),
        }


def _inner(outer: Json, name: str) -> Json:
    inner = outer.get(name)
    return inner if isinstance(inner, Mapping) else {}


class DeadLetterQueues:
    """Receives the messages of both queues, and makes visible again what is not deleted."""

    def __init__(self, client: "SQSClient", queue_urls: Sequence[str]) -> None:
        self._client = client
        self._queue_urls = queue_urls
        self._received: dict[str, DeadLetter] = {}

    def shown(self, now: datetime) -> Json:
        """How many messages wait, their causes and ages, and the oldest. Raises Unavailable."""
        try:
            waiting = self._number("ApproximateNumberOfMessages")
            hidden = self.hidden()
            with self.received(SHOWN) as letters:
                return {
                    "waiting": max(waiting, len(letters)),
                    "inOtherHands": hidden,
                    "causes": causes_of(letters, now),
                    "letters": [letter.document(now) for letter in letters],
                    "nextCursor": None,
                }
        except (BotoCoreError, ClientError) as error:
            raise Unavailable from error

    @contextmanager
    def received(self, most: int | None = None) -> Iterator[list[DeadLetter]]:
        """All messages, or about `most` of each queue, hidden from other readers meanwhile.

        Afterwards all but the deleted ones are visible again, also after an exception.
        """
        try:
            for queue_url in self._queue_urls:
                self._receive(queue_url, most)
            yield sorted(self._received.values(), key=lambda letter: letter.sent_at)
        finally:
            self._make_visible()

    def hidden(self) -> int:
        """About how many messages are hidden now: another reader has them, or was killed."""
        return self._number("ApproximateNumberOfMessagesNotVisible")

    def _number(
        self,
        attribute: Literal["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    ) -> int:
        return sum(
            int(
                self._client.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])[
                    "Attributes"
                ][attribute]
            )
            for url in self._queue_urls
        )

    def delete(self, letter: DeadLetter) -> None:
        self._client.delete_message(QueueUrl=letter.queue_url, ReceiptHandle=letter.receipt)
        del self._received[letter.id]

    def _receive(self, queue_url: str, most: int | None) -> None:
        count = 0
        while messages := self._client.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=_AT_ONCE,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["ERROR_CODE"],
        ).get("Messages"):
            new = [_dead_letter(queue_url, message) for message in messages]
            known = self._received.keys() >= {letter.id for letter in new}
            self._received |= {letter.id: letter for letter in new}
            count += len(new)
            if known or (most is not None and count >= most):  # or the first are visible again
                return

    def _make_visible(self) -> None:
        for queue_url in self._queue_urls:
            left = [each for each in self._received.values() if each.queue_url == queue_url]
            for start in range(0, len(left), _AT_ONCE):
                self._client.change_message_visibility_batch(
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
        self._received.clear()


def _dead_letter(queue_url: str, message: "MessageTypeDef") -> DeadLetter:
    sent = int(message["Attributes"]["SentTimestamp"]) / 1000
    attributes = message.get("MessageAttributes", {})
    return DeadLetter(
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


def causes_of(letters: Sequence[DeadLetter], now: datetime) -> list[Json]:
    """The number of messages of each kind and cause, and the age of the oldest in seconds."""
    found = Counter((letter.kind, letter.cause) for letter in letters)
    oldest: dict[tuple[str, str], datetime] = {}
    for letter in letters:
        about = (letter.kind, letter.cause)
        oldest[about] = min(oldest.get(about, letter.sent_at), letter.sent_at)
    return [
        {
            "kind": kind,
            "cause": cause[:_TEXT_SHOWN],
            "letters": number,
            "oldestAgeSeconds": max(0, int((now - oldest[kind, cause]).total_seconds())),
        }
        for (kind, cause), number in sorted(found.items())
    ]
