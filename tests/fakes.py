"""Doubles of what is faked on purpose: the clock, and the services that are not DynamoDB.

Each has a surface to read from, so that tests can say what happened. Storage is never faked in
tests/integration.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any, TypeVar, cast

from botocore.exceptions import ClientError, ReadTimeoutError
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_events import EventBridgeClient
from mypy_boto3_sesv2 import SESV2Client
from mypy_boto3_sqs import SQSClient

from heist_core.domain.facts import Event
from heist_core.domain.mails import MailRecord, MailState
from heist_core.domain.notices import Notice
from heist_core.domain.owed import Owed
from heist_core.domain.player import Player
from heist_core.domain.times import to_milliseconds
from heist_core.mail.links import UnsubscribeLinks
from heist_core.storage.store import Delivered, Store
from heist_core.use_cases.clock import Clock
from tests.aws_models import check_request
from tests.builders import NOW
from tests.policies import Guard

T = TypeVar("T")


LOST = ReadTimeoutError(endpoint_url="https://dynamodb")
"""No answer came, and nobody knows what was done."""


class FakeClock:
    """Time that passes only when told to, and when something sleeps."""

    def __init__(self, now: datetime = NOW) -> None:
        self.at = now
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return to_milliseconds(self.at)

    def pass_(self, **span: float) -> None:
        """`pass_(hours=24)`"""
        self.at += timedelta(**span)

    def monotonic(self) -> float:
        return (self.at - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    @property
    def clock(self) -> Clock:
        return Clock(now=self, monotonic=self.monotonic, sleep=self.sleep)


class SameThread(Executor):
    """Runs what is submitted at once, so that the order of calls is the same in every run."""

    def submit(self, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future


@dataclass
class LambdaContext:
    """What Lambda passes beside the event."""

    milliseconds_left: int = 29_000
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds_left


def client_error(code: str, status: int = 400, operation: str = "Operation") -> ClientError:
    """The error that botocore raises for an answer with this code."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": f"{code} from a double"},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "1",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        operation,
    )


class Faults:
    """Errors that a double raises, one per call, before it does anything."""

    def __init__(self) -> None:
        self._next: list[BaseException | None] = []

    def __call__(self, *errors: BaseException | None) -> None:
        """The next calls raise these; None is a call that goes well."""
        self._next += errors

    def clear(self) -> None:
        self._next.clear()

    def strike(self) -> None:
        error = self._next.pop(0) if self._next else None
        if error is not None:
            raise error


@dataclass
class SentMail:
    to: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    tags: dict[str, str]


class FakeSes:
    """SES: `in`, `len` and iteration tell of the mails that went out."""

    def __init__(self) -> None:
        self.mails: list[SentMail] = []
        self.closed = 0
        self.fails = Faults()
        self.loses_reply = Faults()

    def send_email(self, **request: Any) -> Mapping[str, str]:
        check_request("sesv2", "SendEmail", request)
        self.fails.strike()
        content = request["Content"]["Simple"]
        (to,) = request["Destination"]["ToAddresses"]
        self.mails.append(
            SentMail(
                to=to,
                subject=content["Subject"]["Data"],
                text=content["Body"]["Text"]["Data"],
                html=content["Body"]["Html"]["Data"],
                headers={header["Name"]: header["Value"] for header in content["Headers"]},
                tags={tag["Name"]: tag["Value"] for tag in request["EmailTags"]},
            )
        )
        self.loses_reply.strike()
        return {"MessageId": str(len(self.mails))}

    def close(self) -> None:
        self.closed += 1

    @property
    def client(self) -> SESV2Client:
        return cast("SESV2Client", self)

    @property
    def by_address(self) -> Counter[str]:
        return Counter(mail.to for mail in self.mails)

    def __contains__(self, address: object) -> bool:
        return any(mail.to == address for mail in self.mails)

    def __len__(self) -> int:
        return len(self.mails)

    def __iter__(self) -> Iterator[SentMail]:
        return iter(self.mails)


class FakeQueue:
    """SQS with one queue: iteration tells of its letters."""

    def __init__(self) -> None:
        self.letters: list[dict[str, Any]] = []
        self.fails = Faults()

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> Mapping[str, str]:  # noqa: N803
        request = {"QueueUrl": QueueUrl, "MessageBody": MessageBody}
        check_request("sqs", "SendMessage", request)
        self.fails.strike()
        self.letters.append(json.loads(MessageBody))
        return {"MessageId": str(len(self.letters))}

    @property
    def client(self) -> SQSClient:
        return cast("SQSClient", self)

    def __len__(self) -> int:
        return len(self.letters)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.letters)


class FakeSecrets:
    """Secrets Manager with the secret of the unsubscribe links."""

    def __init__(self, key: str = "k" * 64, **old: str) -> None:
        """`old` keys, with until when they are good."""
        self.secret = ""
        self.holds(key, **old)
        self.fails = Faults()
        self.reads = 0

    def holds(self, key: str, **old: str) -> None:
        """What an operator puts there."""
        kept = [{"key": each, "until": until} for each, until in old.items()]
        self.secret = json.dumps({"key": key, "old": kept})

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, str]:  # noqa: N803
        check_request("secretsmanager", "GetSecretValue", {"SecretId": SecretId})
        self.reads += 1
        self.fails.strike()
        return {"SecretString": self.secret}

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> None:  # noqa: N803
        request = {"SecretId": SecretId, "SecretString": SecretString}
        check_request("secretsmanager", "PutSecretValue", request)
        self.fails.strike()
        self.secret = SecretString


def fake_links(
    secrets: FakeSecrets | None = None, clock: FakeClock | None = None
) -> UnsubscribeLinks:
    """Links of an API at https://api.example.com."""
    time = clock or FakeClock()
    api = "https://api.example.com"
    return UnsubscribeLinks(secrets or FakeSecrets(), "key", api, time, time.monotonic)


EVENTS, NOTIFIER = "https://events", "https://notifier"


class Queues:
    """SQS with the two queues: what is hidden is not received again until it is shown."""

    def __init__(self) -> None:
        self.sent = {EVENTS: FakeQueue(), NOTIFIER: FakeQueue()}
        self.messages: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> Mapping[str, str]:  # noqa: N803
        """Kept apart: `put` is what is received."""
        return self.sent[QueueUrl].send_message(QueueUrl=QueueUrl, MessageBody=MessageBody)

    def put(self, body: object, queue: str = EVENTS, **about: Any) -> str:
        message_id = f"{len(self.messages):08d}-0000-4000-8000-000000000000"
        sent = int((NOW - about.pop("age", timedelta(hours=3))).timestamp() * 1000)
        self.messages[message_id] = {
            "MessageId": message_id,
            "ReceiptHandle": message_id,
            "Body": body if isinstance(body, str) else json.dumps(body),
            "Attributes": {"SentTimestamp": str(sent)},
            "queue": queue,
            **about,
        }
        return message_id

    def receive_message(self, *, QueueUrl: str, **_: Any) -> Any:  # noqa: N803
        seen = [
            message
            for message_id, message in self.messages.items()
            if message["queue"] == QueueUrl and message_id not in self.hidden
        ][:10]
        self.hidden |= {message["MessageId"] for message in seen}
        return {"Messages": seen} if seen else {}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        assert self.messages.pop(ReceiptHandle)["queue"] == QueueUrl
        self.hidden.discard(ReceiptHandle)

    def change_message_visibility_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        Entries: Sequence[Mapping[str, Any]],  # noqa: N803
    ) -> None:
        assert 1 <= len(Entries) <= 10
        for entry in Entries:
            assert self.messages[entry["ReceiptHandle"]]["queue"] == QueueUrl
            self.hidden.remove(entry["ReceiptHandle"])

    def get_queue_attributes(self, *, QueueUrl: str, **_: Any) -> Any:  # noqa: N803
        lying = [each for each, one in self.messages.items() if one["queue"] == QueueUrl]
        hidden = len(self.hidden.intersection(lying))
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(len(lying) - hidden),
                "ApproximateNumberOfMessagesNotVisible": str(hidden),
            }
        }


@dataclass
class FakeEventBridge:
    """EventBridge: `published` are detail types and details, in order."""

    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fails: Faults = field(default_factory=Faults)
    refused_entries: int = 0
    calls: int = 0

    @property
    def facts(self) -> list[tuple[str, dict[str, Any]]]:
        """Those published, but for what they did to points."""
        return [event for event in self.published if event[0] != "PointsChanged"]

    def put_events(self, *, Entries: Sequence[Mapping[str, str]]) -> Mapping[str, int]:  # noqa: N803
        check_request("events", "PutEvents", {"Entries": Entries})
        self.calls += 1
        self.fails.strike()
        if self.refused_entries:
            self.refused_entries -= 1
            return {"FailedEntryCount": 1}
        self.published += [(entry["DetailType"], json.loads(entry["Detail"])) for entry in Entries]
        return {"FailedEntryCount": 0}

    @property
    def client(self) -> EventBridgeClient:
        return cast("EventBridgeClient", self)


@dataclass
class Tap:
    """Is shown every call of the clients it is on; `before` and `after` may act, or raise.

    `before` is told the operation and its request, `after` the operation: raising there is a call
    that was carried out and whose answer got lost.
    """

    before: Callable[[str, Mapping[str, Any]], None] = lambda operation, request: None
    after: Callable[[str], None] = lambda operation: None

    def close(self) -> None:
        """Let everything pass again."""
        calm = Tap()
        self.before, self.after = calm.before, calm.after


class Tapped:
    """A client with a tap on it, and behind it whoever guards what the caller may do."""

    def __init__(self, client: object, tap: Tap, guard: Guard | None = None) -> None:
        self._client = client
        self._tap = tap
        self._guard = guard or Guard()

    @property
    def as_dynamodb(self) -> DynamoDBClient:
        return cast("DynamoDBClient", self)

    @property
    def as_ses(self) -> SESV2Client:
        return cast("SESV2Client", self)

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call = getattr(self._client, operation)

        def tapped(**request: Any) -> Any:
            self._guard(operation, request)
            with self._guard.standing_aside():
                self._tap.before(operation, request)
                answer = call(**request)
                self._tap.after(operation)
            return answer

        return tapped


class Crash(BaseException):
    """The end of a process: nothing in the product may catch it."""


class NoticeStore:
    """What the notifier needs of the store, in memory: notices, mail records and one marker.

    `before` is told the name of every call; it may raise, or act as somebody else meanwhile.
    """

    def __init__(self, *players: Player) -> None:
        self.players = {player.id: player for player in players}
        self.inbox: Counter[str] = Counter()
        self.locales: dict[str, str | None] = {}
        self.records: dict[str, MailRecord] = {}
        self.owed = set(Owed)
        self.awaited: set[tuple[str, int]] = set()
        self.before: Callable[[str], None] = lambda call: None

    def deliver_notice(
        self, event: Event, notice: Notice, arrived_at: datetime, mail: MailRecord | None = None
    ) -> Delivered:
        self.before("deliver_notice")
        if notice.recipient_id in self.records:
            return Delivered(put=False, claimed=False, position=1)
        self.records[notice.recipient_id] = mail or MailRecord(MailState.PENDING)
        self.inbox[notice.recipient_id] += 1
        self.locales[notice.recipient_id] = notice.locale
        return Delivered(put=True, claimed=True, position=1)

    def await_digest(self, player_id: str, position: int, now: datetime) -> None:
        self.before("await_digest")
        self.awaited.add((player_id, position))

    def players_and_settings(
        self, player_ids: Iterable[str], *, with_settings: bool
    ) -> tuple[dict[str, Player], None]:
        self.before("players_and_settings")
        return {
            player_id: self.players.get(player_id, Player(player_id)) for player_id in player_ids
        }, None

    def mail_record(self, event: Event, recipient_id: str) -> MailRecord:
        self.before("mail_record")
        return self.records[recipient_id]

    def move_mail(self, event: Event, recipient_id: str, seen: MailRecord, to: MailRecord) -> bool:
        self.before("move_mail")
        standing = self.records.get(recipient_id)
        if (
            standing is None
            or standing.state is not seen.state
            or (seen.owner and standing.owner != seen.owner)
        ):
            return False
        self.records[recipient_id] = to
        return True

    def owes_only(self, event: Event, *owed: str) -> bool:
        return self.owed <= set(owed)

    def settle(self, event: Event, *owed: str, last: bool = False) -> None:
        self.before("settle")
        self.owed.difference_update(owed)

    @property
    def store(self) -> Store:
        return cast("Store", self)


def lines_of(log: StringIO) -> list[dict[str, Any]]:
    """What was logged, without the metrics."""
    written = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in written if "_aws" not in line]
