"""One logger and one set of metrics for every function.

No name, address, token or IP is ever logged; player ids are opaque and are.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

from .domain.inbox import MailState

NAMESPACE = "HeistCore"


@functools.cache
def logger() -> Logger:
    return Logger(utc=True, use_rfc3339=True)


@functools.cache
def _metrics() -> Metrics:
    return Metrics(namespace=NAMESPACE)


def count(name: str, value: int = 1) -> None:
    """Add to a metric of this invocation."""
    if value:
        _metrics().add_metric(name=name, unit=MetricUnit.Count, value=value)


def count_by(name: str, dimension: str, value: str) -> None:
    """Count one under a dimension, as a metric of its own."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1, namespace=NAMESPACE) as metric:
        metric.add_dimension(name=dimension, value=value)


def count_mails(mails: Mapping[MailState, int]) -> None:
    """Count mails by the state they moved to: MailsSent, MailsParked and so on."""
    for state, number in mails.items():
        count(f"Mails{state.value.title()}", number)


Fields = dict[str, str | int]


def add(fields: Fields, name: str, value: int) -> None:
    """Add to a number that the invocation's log line shows."""
    fields[name] = int(fields.get(name, 0)) + value


@contextmanager
def invocation(kind: str, function: str) -> Iterator[Fields]:
    """One log line per invocation, of what the body puts into the fields, and its metrics.

    `function` is the function's folder. An exception is logged with its trace and passed on.
    """
    fields: Fields = {}
    started = time.perf_counter()

    def log(write: Callable[..., None]) -> None:
        ms = round((time.perf_counter() - started) * 1000)
        write(kind, function=function, ms=ms, **fields)

    try:
        yield fields
    except Exception:
        log(logger().exception)
        raise
    else:
        log(logger().info)
    finally:
        if _metrics().metric_set:
            _metrics().flush_metrics()
