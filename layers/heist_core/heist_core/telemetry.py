"""One logger and one set of metrics for every function.

An invocation is one line, which holds its metrics, too, in CloudWatch's embedded metric format.

No name, address, token or IP is ever logged; player ids are opaque and are. Nothing here raises
over what could not be written: what was done stays done, and is told as done (SPEC section 2).
"""

import functools
import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import RESERVED_LOG_ATTRS, LambdaPowertoolsFormatter

from .domain.inbox import MailState

NAMESPACE = "HeistCore"
CORRELATION_ID_LIMIT = 100

Fields = dict[str, str | int]

_NOT_SHOWN = frozenset([*RESERVED_LOG_ATTRS, "taskName"])
_to_json = json.JSONEncoder(separators=(",", ":"), default=str).encode
_counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
_counting = threading.Lock()


class LineFormatter(LambdaPowertoolsFormatter):
    """Powertools' lines for less than half the instructions; those with an exception are its own."""

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info:
            return super().format(record)
        trace_id = self._get_latest_trace_id()
        return self.serialize(
            {
                "level": record.levelname,
                "message": record.getMessage(),
                "timestamp": self.formatTime(record),
                "service": self.log_format["service"],
                **({"xray_trace_id": trace_id} if trace_id else {}),
                **{name: value for name, value in vars(record).items() if name not in _NOT_SHOWN},
            }
        )


@functools.cache
def logger() -> Logger:
    formatter = LineFormatter(utc=True, use_rfc3339=True, location=None, json_serializer=_to_json)
    return Logger(logger_formatter=formatter)


def count(name: str, value: int = 1, by: str = "") -> None:
    """Add to a metric of this invocation's line; records done at the same time share it.

    `by` names the field of the line by whose values it is told apart: `code`.
    """
    if value:
        with _counting:
            counts = _counts[by]
            counts[name] = counts.get(name, 0) + value


def _embedded_metrics() -> Mapping[str, object]:
    """What was counted since the last line, as CloudWatch finds it in a log (its "Embedded metric
    format specification")."""
    with _counting:
        counted = dict(_counts)
        _counts.clear()
    if not counted:
        return {}
    directives = [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [["service", by] if by else ["service"]],
            "Metrics": [{"Name": name, "Unit": "Count"} for name in counts],
        }
        for by, counts in counted.items()
    ]
    values = {name: value for counts in counted.values() for name, value in counts.items()}
    about = {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": directives}
    return {"_aws": about, **values}


@functools.cache
def _count_cold_start() -> None:
    """Counts the first call of an instance, and no other."""
    count("ColdStarts", by="function")


def count_mails(mails: Mapping[MailState, int]) -> None:
    """Count mails by the state they moved to: MailsSent and so on.

    MailsUndelivered are those that wait for an operator.
    """
    for state, number in mails.items():
        count(f"Mails{state.value.title()}", number)
        if state in (MailState.FAILED, MailState.PARKED):
            count("MailsUndelivered", number)


def about(subject: str, correlation_id: str | None) -> Fields:
    """What tells one heist or award in the log: its record's partition, and the id of the request or
    event that began it."""
    known = {} if correlation_id is None else {"correlation_id": correlation_id}
    return {"subject": subject, **known}


def record(function: str, fields: Fields) -> None:
    """One line about one heist or award; `fields` begin with `about`."""
    with suppress(Exception):
        logger().info("record", extra={"function": function, **fields})


def violation(function: str, text: str) -> None:
    """One line about one broken invariant: ids and figures only."""
    logger().error("violation", extra={"function": function, "violation": text})


def add(fields: Fields, name: str, value: int) -> None:
    """Add to a number that the invocation's log line shows."""
    fields[name] = int(fields.get(name, 0)) + value


@contextmanager
def invocation(kind: str, function: str, correlation_id: object = None) -> Iterator[Fields]:
    """One log line per invocation, of what the body puts into the fields, and its metrics.

    `function` is the function's folder. An exception is logged with its trace and passed on.
    """
    fields: Fields = {}
    _count_cold_start()
    if isinstance(correlation_id, str):
        fields["correlation_id"] = correlation_id[:CORRELATION_ID_LIMIT]
    started = time.perf_counter()

    def log(write: Callable[..., None]) -> None:
        ms = round((time.perf_counter() - started) * 1000)
        with suppress(Exception):
            write(kind, extra={"function": function, "ms": ms, **fields, **_embedded_metrics()})

    try:
        yield fields
    except Exception:
        log(logger().exception)
        raise
    else:
        log(logger().info)
