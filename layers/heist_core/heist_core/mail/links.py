"""Links that end a kind of mail, signed with the key that the deployment made.

The secret is `{"key": …, "old": [{"key": …, "until": …}]}`: links are signed with `key`, and those
of an old key are good until its time.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from heist_core.domain.errors import Misconfigured, Unavailable
from heist_core.domain.times import from_iso
from heist_core.domain.unsubscribing import Link, key_id, link_in, token_of

SIGNING_SECONDS = 3600.0
"""How long an instance signs with the key that it has read, or longer if no other can be had."""
LOOK_AGAIN_SECONDS = 10.0
"""How soon after reading a token that seems wrong may be of a newer key."""


class SecretsClient(Protocol):
    """What is called of Secrets Manager."""

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, object]: ...  # noqa: N803


class UnsubscribeLinks:
    """Makes links and reads their tokens. `now` tells which old keys are still good."""

    def __init__(
        self,
        client: SecretsClient,
        secret_id: str,
        api_url: str,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """`api_url` ends before `/api/heist`; `monotonic` is in seconds."""
        self._client = client
        self._secret_id = secret_id
        self._api_url = api_url
        self._now = now
        self._monotonic = monotonic
        self._newest = ""
        self._old: Mapping[str, datetime] = {}
        self._read_at: float | None = None

    def to(self, player_id: str, kind: str) -> str:
        """The address that ends a kind of mail for a player: of `domain.preferences`, or DIGEST.

        Raises Misconfigured or Unavailable without a key.
        """
        try:
            self._read_if_older_than(SIGNING_SECONDS)
        except Unavailable:
            if not self._newest:
                raise
        token = token_of(self._newest, Link(player_id, kind))
        return f"{self._api_url}/api/heist/unsubscribe/{token}"

    def link_in(self, token: str) -> Link | None:
        """What a token is about; None whatever is wrong. Raises Misconfigured or Unavailable."""
        self._read_if_older_than(SIGNING_SECONDS)
        link = link_in(token, self._good_keys())
        if link is None and self._read_if_older_than(LOOK_AGAIN_SECONDS):
            link = link_in(token, self._good_keys())
        return link

    def _good_keys(self) -> Mapping[str, str]:
        now = self._now()
        good = [self._newest, *(key for key, until in self._old.items() if now < until)]
        return {key_id(key): key for key in good}

    def _read_if_older_than(self, seconds: float) -> bool:
        """Whether the secret was read now."""
        now = self._monotonic()
        if self._read_at is not None and now - self._read_at < seconds:
            return False
        try:
            answer = self._client.get_secret_value(SecretId=self._secret_id)
        except ClientError as error:
            raise Misconfigured from error
        except BotoCoreError as error:
            raise Unavailable from error
        self._newest, self._old = _keys_in(str(answer.get("SecretString")))
        self._read_at = now
        return True


def _keys_in(secret: str) -> tuple[str, Mapping[str, datetime]]:
    """Raises Misconfigured, which says nothing of what was read."""
    try:
        content = json.loads(secret)
        old = {str(each["key"]): from_iso(each["until"]) for each in content["old"]}
        return str(content["key"]), old
    except (ValueError, KeyError, TypeError):
        raise Misconfigured("the secret of the unsubscribe links cannot be read") from None
