"""One logger and one set of metrics for every function.

An invocation is one line of log. Its metrics are a line of their own, in CloudWatch's embedded
metric format, which no log level silences: alarms depend on them.

No name, address, token or IP is ever logged; player ids are opaque and are. Nothing here raises
over what could not be written: what was done stays done, and is answered as done (SPEC section 2).
"""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from .domain.mails import MailState

NAMESPACE = "HeistCore"
CORRELATION_ID_LIMIT = 100

Fields = dict[str, str | int]

# ASCII only, unlike Powertools' own: an id may hold half a surrogate pair, which UTF-8 cannot.
_to_json = json.JSONEncoder(separators=(",", ":"), default=str).encode
_counting = threading.Lock()


@functools.cache
def logger() -> Logger:
    return Logger(utc=True, use_rfc3339=True, location=None, json_serializer=_to_json)


@functools.cache
def metrics() -> Metrics:
    return Metrics(namespace=NAMESPACE)


def count(name: str, value: int = 1, **dimension: str) -> None:
    """Add to a metric of this invocation; records done at the same time share it.

    A `dimension` beside the service, `code="NO_TOKENS"`, has the metric written at once.
    """
    if not dimension:
        if value:
            count_even_none(name, value)
        return
    with (
        suppress(Exception),
        single_metric(name, MetricUnit.Count, value, namespace=NAMESPACE) as metric,
    ):
        for key, text in dimension.items():
            metric.add_dimension(key, text)


def count_even_none(name: str, value: int) -> None:
    """Add to a metric, a zero too: its alarm can tell that nothing happened from silence."""
    with suppress(Exception), _counting:
        metrics().add_metric(name, MetricUnit.Count, value)


def _write_metrics() -> None:
    with suppress(Exception):
        if metrics().metric_set:
            metrics().flush_metrics()


@functools.cache
def _count_cold_start(function: str) -> None:
    """Counts the first call of an instance, and no other."""
    count("ColdStarts", function=function)


def count_mails(mails: Mapping[MailState, int]) -> None:
    """Count mails by the state they moved to: MailsSent and so on.

    MailsUndelivered are those that wait for an operator.
    """
    for state, number in mails.items():
        count(f"Mails{state.value.title()}", number)
        if state in (MailState.FAILED, MailState.PARKED):
            count("MailsUndelivered", number)


def about(subject: str, correlation_id: str | None) -> Fields:
    """Fields that identify a heist or award in the log: its partition and its correlation id."""
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
    """One log line per invocation, of what the body puts into the fields; then its metrics.

    `function` is the function's folder. An exception is logged with its trace and passed on.
    """
    fields: Fields = {}
    _count_cold_start(function)
    if isinstance(correlation_id, str):
        fields["correlation_id"] = correlation_id[:CORRELATION_ID_LIMIT]
    started = time.perf_counter()

    def log(write: Callable[..., None]) -> None:
        ms = round((time.perf_counter() - started) * 1000)
        with suppress(Exception):
            write(kind, extra={"function": function, "ms": ms, **fields})

    try:
        yield fields
    except Exception:
        log(logger().exception)
        raise
    else:
        log(logger().info)
    finally:
        _write_metrics()
