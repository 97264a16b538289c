"""Makes the real parts, once per instance and when first used: clients, clock, settings, store.

Each part is imported where it is made, so that a function loads only what it uses.
"""

import functools
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import botocore
import botocore.session
from botocore.config import Config
from botocore.handlers import add_retry_headers

from . import telemetry
from .domain.times import to_milliseconds
from .storage.store import Store
from .storage.table import Table
from .tally import DAY, Tally
from .use_cases.clock import Clock
from .variables import variable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from .mail.links import UnsubscribeLinks
    from .mail.mailer import Mailer
    from .messaging.bus import Bus
    from .messaging.dead_letter_queues import DeadLetterQueues
    from .messaging.dead_letters import DeadLetters
    from .settings import LiveSettings
    from .storage.audit import Findings
    from .storage.audit_export import ExportAudit
    from .storage.board import BoardStore
    from .storage.digests import DigestStore
    from .storage.history import History
    from .storage.importing.loading import Loader
    from .storage.importing.parts import Run
    from .storage.invariants import Violation
    from .storage.operator_store import OperatorStore
    from .storage.statistics import StatisticsStore
    from .storage.table import Progress
    from .storage.timelines import Timelines
    from .use_cases.add_points import AddPoints
    from .use_cases.answer_once import AnswerOnce
    from .use_cases.award_token import AwardToken
    from .use_cases.block_player import BlockPlayer
    from .use_cases.change_settings import ChangeSettings, ShowSettings
    from .use_cases.check_target import CheckTarget
    from .use_cases.execute_heist import ExecuteHeist
    from .use_cases.grant_tokens import GrantTokens
    from .use_cases.keep_leaderboard import KeepLeaderboard
    from .use_cases.keep_statistics import KeepStatistics
    from .use_cases.list_targets import ListTargets
    from .use_cases.manage_preferences import ManagePreferences
    from .use_cases.mark_notifications_read import MarkNotificationsRead
    from .use_cases.notify_players import NotifyPlayers
    from .use_cases.publish_and_count import PublishAndCount
    from .use_cases.publish_event import PublishEvent
    from .use_cases.record_mail_feedback import RecordMailFeedback
    from .use_cases.reverse_heist import ReverseHeist
    from .use_cases.send_digests import SendDigests
    from .use_cases.show_leaderboard import ShowLeaderboard
    from .use_cases.show_player import ShowPlayer
    from .use_cases.show_statistics import ShowStatistics
    from .use_cases.sweep_notifications import SweepNotifications
    from .use_cases.unsubscribe import Unsubscribe
    from .use_cases.upsert_player import UpsertPlayer

_THREADS = 8
_RECORDS_AT_ONCE = 12  # measured: docs/performance.md, "The notifier"
AUDIT_ROUNDS = 3
VIOLATIONS_TOLD = 100
_USER_AGENT = f"Botocore/{botocore.__version__} heist-core"
"""Fixed: botocore otherwise builds one twice in each call, a seventh of a warm execute."""


def _config(attempts: int, read_timeout: int = 2) -> Config:
    """botocore's defaults wait 60 s and differ by version; these are pinned."""
    return Config(
        connect_timeout=1,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=max(_THREADS, _RECORDS_AT_ONCE) + 2,
        parameter_validation=False,
        user_agent=_USER_AGENT,
    )


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def _client(service: str, config: Config) -> Any:
    """Of one of the services and with the operations in layers/heist_core/build_layer.py."""
    client = _session().create_client(service, config=config)
    # Two headers of eight, for AWS's statistics: signing and sending them costs 3 % of a call.
    client.meta.events.unregister("request-created", add_retry_headers)
    return client


@functools.cache
def clock() -> Clock:
    return Clock(
        now=lambda: to_milliseconds(datetime.now(UTC)), monotonic=time.monotonic, sleep=time.sleep
    )


def new_id() -> str:
    """An id of 128 random bits."""
    return secrets.token_hex(16)


@functools.cache
def _dynamodb() -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb", _config(attempts=2))
    return client


def _table() -> Table:
    return Table(_dynamodb(), variable("TABLE_NAME"), clock().sleep)


@functools.cache
def store() -> Store:
    return Store(_table(), ThreadPoolExecutor(_THREADS))


@functools.cache
def history() -> "History":
    from .storage.history import History

    return History(_table(), ThreadPoolExecutor(_THREADS))


@functools.cache
def boards() -> "BoardStore":
    from .storage.board import BoardStore

    return BoardStore(_table(), ThreadPoolExecutor(_THREADS))


@functools.cache
def timelines() -> "Timelines":
    from .storage.timelines import Timelines

    return Timelines(_table(), ThreadPoolExecutor(_THREADS))


@functools.cache
def operations() -> "OperatorStore":
    from .storage.operator_store import OperatorStore

    return OperatorStore(_table())


@functools.cache
def statistics_store() -> "StatisticsStore":
    from .storage.statistics import StatisticsStore

    return StatisticsStore(_table())


@functools.cache
def digest_store() -> "DigestStore":
    from .storage.digests import DigestStore

    return DigestStore(_table())


@functools.cache
def record_executor() -> ThreadPoolExecutor:
    """The threads for records of a stream, apart from those that the work on a record waits for."""
    return ThreadPoolExecutor(_RECORDS_AT_ONCE)


@functools.cache
def settings() -> "LiveSettings":
    from .settings import LiveSettings, settings_from_variables

    return LiveSettings(
        settings_from_variables(), clock().monotonic, lambda: telemetry.count("SettingsInvalid")
    )


def rate_limit() -> int:
    """The setting as it stands, for routes that read the settings anyway."""
    return settings().current.rate_limit_per_minute


@functools.cache
def dead_letters(queue_variable: str) -> "DeadLetters":
    """The queue whose URL a variable holds."""
    from .messaging.dead_letters import DeadLetters

    return DeadLetters(_client("sqs", _config(attempts=2)), variable(queue_variable))


@functools.cache
def dead_letter_queues() -> "DeadLetterQueues":
    """Both dead-letter queues, for reading."""
    from .messaging.dead_letter_queues import DeadLetterQueues

    urls = [variable("EVENTS_DLQ_URL"), variable("NOTIFIER_DLQ_URL")]
    return DeadLetterQueues(_client("sqs", _config(attempts=2)), urls)


@functools.cache
def bus() -> "Bus":
    from .messaging.bus import Bus

    return Bus(_client("events", _config(attempts=2)), variable("EVENT_BUS_NAME"))


@functools.cache
def mailer() -> "Mailer":
    """One attempt only: a second after a lost reply would be a second mail."""
    from .mail.mailer import Mailer

    client = _client("sesv2", _config(attempts=1, read_timeout=10))
    sender, configuration = variable("SENDER_EMAIL", ""), variable("MAIL_CONFIGURATION", "")
    return Mailer(client, sender, unsubscribe_links(), configuration)


@functools.cache
def unsubscribe_links() -> "UnsubscribeLinks":
    """Functions that send no mail have no API_URL, and make none."""
    from .mail.links import UnsubscribeLinks

    return UnsubscribeLinks(
        _client("secretsmanager", _config(attempts=2)),
        variable("UNSUBSCRIBE_KEY_ID"),
        variable("API_URL", ""),
        clock().now,
        clock().monotonic,
    )


# Use cases: made for each call, from the parts above


def add_points() -> "AddPoints":
    from .use_cases.add_points import AddPoints

    return AddPoints(store(), bus(), clock())


def _patient(service: str) -> Any:
    """A client for large answers, and for whom nobody waits."""
    return _client(service, _config(attempts=5, read_timeout=10))


def _patient_table() -> Table:
    return Table(_patient("dynamodb"), variable("TABLE_NAME"))


def audit_table(progress: "Progress") -> "tuple[Findings, list[Violation]]":
    """Audit the live table."""
    from .storage.audit import audit_table

    return audit_table(_patient_table(), rounds=AUDIT_ROUNDS, progress=progress)


def export_audit() -> "ExportAudit":
    from .storage.audit_export import ExportAudit
    from .storage.bucket import Bucket

    return ExportAudit(Bucket(_patient("s3"), variable("AUDIT_BUCKET")), _patient_table())


def keep_audit(findings: "Findings", violations: "list[Violation]") -> dict[str, int]:
    """Tell what an audit found: in the log, as metrics, and in the table for operators to see."""
    from .storage.audit import report_of

    for violation in violations[:VIOLATIONS_TOLD]:
        telemetry.violation("audit_table", str(violation))
    timelines().keep_audit(report_of(findings, violations, clock().now(), VIOLATIONS_TOLD))
    telemetry.count("InvariantViolations", len(violations))
    telemetry.count("AuditsFinished")
    return {"items": findings.items, "violations": len(violations)}


@functools.cache
def import_loader() -> "Loader":
    """One for all calls of an instance: it remembers how fast the table is."""
    from .storage.importing.loading import CALLS_AT_ONCE, Loader
    from .storage.importing.pace import Pace

    return Loader(_patient_table(), Pace(), ThreadPoolExecutor(CALLS_AT_ONCE))


def import_run(name: str) -> "Run":
    from .storage.bucket import Bucket
    from .storage.importing.parts import Run

    return Run(Bucket(_patient("s3"), variable("IMPORT_BUCKET")), name)


def award_token() -> "AwardToken":
    from .use_cases.award_token import AwardToken

    return AwardToken(store(), settings(), clock())


def check_target() -> "CheckTarget":
    from .use_cases.check_target import CheckTarget

    return CheckTarget(store(), settings(), clock())


def answer_once() -> "AnswerOnce":
    from .use_cases.answer_once import AnswerOnce

    return AnswerOnce(operations(), clock())


def block_player() -> "BlockPlayer":
    from .use_cases.block_player import BlockPlayer

    return BlockPlayer(operations(), clock())


def change_settings() -> "ChangeSettings":
    from .settings import settings_from_variables
    from .use_cases.change_settings import ChangeSettings

    return ChangeSettings(operations(), settings_from_variables(), clock())


def grant_tokens() -> "GrantTokens":
    from .use_cases.grant_tokens import GrantTokens

    return GrantTokens(operations(), clock())


def reverse_heist() -> "ReverseHeist":
    """Within the time that a request has: a table that does not answer is not asked for long."""
    from .use_cases.retry import until_uncontended
    from .use_cases.reverse_heist import ReverseHeist

    return ReverseHeist(store(), clock(), until_uncontended)


def execute_heist() -> "ExecuteHeist":
    from .use_cases.execute_heist import ExecuteHeist

    return ExecuteHeist(store(), settings(), clock(), refusals())


@functools.cache
def refusals() -> Tally:
    """Stored refusals of today, by player."""
    return Tally(DAY, lambda: clock().now().timestamp())


def list_targets() -> "ListTargets":
    from random import Random

    from .use_cases.list_targets import ListTargets

    return ListTargets(store(), boards(), history(), settings(), clock(), Random())


def keep_leaderboard() -> "KeepLeaderboard":
    from .use_cases.keep_leaderboard import KeepLeaderboard

    return KeepLeaderboard(boards(), bus(), clock())


def keep_statistics() -> "KeepStatistics":
    from .use_cases.keep_statistics import KeepStatistics

    return KeepStatistics(statistics_store(), clock())


def manage_preferences() -> "ManagePreferences":
    from .use_cases.manage_preferences import ManagePreferences

    return ManagePreferences(store(), settings(), clock())


def mark_notifications_read() -> "MarkNotificationsRead":
    from .use_cases.mark_notifications_read import MarkNotificationsRead

    return MarkNotificationsRead(store(), clock())


def notify_players() -> "NotifyPlayers":
    from .use_cases.notify_players import NotifyPlayers

    return NotifyPlayers(store(), mailer(), dead_letters("NOTIFIER_DLQ_URL"), settings(), clock())


def publish_and_count() -> "PublishAndCount":
    from .use_cases.publish_and_count import PublishAndCount

    return PublishAndCount(store(), bus(), keep_statistics())


def _publish_event() -> "PublishEvent":
    from .use_cases.publish_event import PublishEvent

    return PublishEvent(store(), bus())


def record_mail_feedback() -> "RecordMailFeedback":
    from .use_cases.record_mail_feedback import RecordMailFeedback

    return RecordMailFeedback(store(), clock())


def send_digests() -> "SendDigests":
    from .use_cases.send_digests import SendDigests

    letters = dead_letters("NOTIFIER_DLQ_URL")
    return SendDigests(store(), digest_store(), mailer(), letters, settings(), clock())


def show_leaderboard() -> "ShowLeaderboard":
    from .use_cases.show_leaderboard import ShowLeaderboard

    return ShowLeaderboard(boards(), clock())


def show_player() -> "ShowPlayer":
    from .use_cases.show_player import ShowPlayer

    return ShowPlayer(store(), show_leaderboard(), settings(), clock())


def show_settings() -> "ShowSettings":
    from .settings import settings_from_variables
    from .use_cases.change_settings import ShowSettings

    return ShowSettings(operations(), settings_from_variables())


def show_statistics() -> "ShowStatistics":
    from .use_cases.show_statistics import ShowStatistics

    return ShowStatistics(statistics_store(), clock())


def sweep_notifications() -> "SweepNotifications":
    from .use_cases.sweep_notifications import SweepNotifications

    return SweepNotifications(
        store(),
        notify_players(),
        _publish_event(),
        keep_statistics(),
        dead_letters("NOTIFIER_DLQ_URL"),
        clock(),
        settings(),
    )


def unsubscribe() -> "Unsubscribe":
    from .use_cases.unsubscribe import Unsubscribe

    return Unsubscribe(store(), unsubscribe_links(), settings(), clock())


def upsert_player() -> "UpsertPlayer":
    from .use_cases.upsert_player import UpsertPlayer

    return UpsertPlayer(store(), clock())
