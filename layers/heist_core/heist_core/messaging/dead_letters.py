"""Dead letters: what could not be done, with the data to do it again."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from heist_core.domain.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class DeadLetters:
    """A dead-letter queue that the functions themselves write to."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, letter: Mapping[str, object]) -> None:
        """Keep a dead letter. Raises Unavailable unless the queue certainly took it."""
        try:
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(letter))
        except (BotoCoreError, ClientError) as error:
            raise Unavailable from error
