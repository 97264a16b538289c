"""Writes dead letters: failed work, with the data to redo it."""

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from heist_core.domain.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LARGEST_DEAD_LETTER = 256 * 1024
"""Bytes that every queue takes."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_NOT_IN_A_QUEUE = "[\ud800-\udfff\ufffe\uffff]"
"""SQS takes XML's characters; JSON escapes control characters by itself."""


class DeadLetters:
    """A dead-letter queue that the functions themselves write to."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, letter: Mapping[str, object], short: Mapping[str, object] | None = None) -> None:
        """Keep a dead letter, or `short` in its place if it is too large for a queue.

        Raises Unavailable unless the queue certainly took it.
        """
        body = to_text(letter)
        if short is not None and len(body.encode()) > LARGEST_DEAD_LETTER:
            body = to_text(short)
        try:
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=body)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable from error


def to_text(value: object) -> str:
    """Compact JSON in characters that a queue takes.

    A number that is too large for Python (1e400) is written as text: JSON has no Infinity.
    """
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(_finite(value))
    return re.sub(_NOT_IN_A_QUEUE, lambda found: f"\\u{ord(found[0]):04x}", text)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value
