"""Sends mails by SES, and separates certain outcomes from doubtful ones."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
)

from heist_core.domain.errors import (
    MailDeferred,
    MailDoubtful,
    MailError,
    MailRefused,
    Unavailable,
)
from heist_core.domain.facts import Event
from heist_core.domain.mail_feedback import MailName, mail_name, tags_of
from heist_core.domain.notices import Notice
from heist_core.domain.player import Player
from heist_core.domain.preferences import mail_kind
from heist_core.domain.unsubscribing import DIGEST
from heist_core.texts import texts_for

from .links import UnsubscribeLinks
from .render import Mail, digest_of, mail_of

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

    from heist_core.domain.digests import Summary

_REFUSED = frozenset(
    {
        "BadRequestException",
        "InvalidParameterValue",
        "MessageRejected",
        "ValidationException",
    }
)
"""What SES says of the mail itself. All else is said of the account, its identities, sets, rates or
rights: an operator puts that right, and the mail can wait for it."""
_OF_THE_ACCOUNT = ("not verified", "onfiguration set")
"""In messages of those that are about the sender, an account in the sandbox, or a missing set."""
_FIRST_SERVER_ERROR = 500
LONGEST_KEPT_SECONDS = 30.0
"""After that a connection may be dead without our knowing: the other side closes what is idle, also
while the instance is frozen."""


class Mailer:
    """`client` must make one attempt only: SES cannot tell a repeat from a second mail."""

    def __init__(
        self,
        client: "SESV2Client",
        sender: str,
        links: UnsubscribeLinks,
        configuration: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sender` may be empty: then no mail is to be sent. `configuration` is the name of the set
        that has SES tell what became of them. `monotonic` is in seconds."""
        self._client = client
        self._sender = sender
        self._links = links
        self._configuration = configuration
        self._monotonic = monotonic
        self._kept_since = monotonic()
        self._under_way = 0
        self._lock = threading.Lock()

    @property
    def enabled(self) -> bool:
        return bool(self._sender)

    def send(self, to: str, event: Event, notice: Notice) -> None:
        """Raises MailDeferred, MailRefused or MailDoubtful unless SES took the mail."""
        link = self._link(notice.recipient_id, mail_kind(notice.type))
        correlation = {"X-Correlation-Id": event.correlation_id} if event.correlation_id else {}
        mail = mail_of(event, notice, texts_for(notice.locale), link)
        headers = {**self._unsubscribe_headers(link), **correlation}
        self._send(to, mail, headers, mail_name(event, notice.recipient_id))

    def send_digest(self, to: str, summary: "Summary", recipient: Player) -> None:
        """As `send`."""
        link = self._link(recipient.id, DIGEST)
        texts = texts_for(recipient.profile.locale.value)
        mail = digest_of(summary, recipient.name, texts, link)
        name = MailName(DIGEST, recipient.id, recipient.id)
        self._send(to, mail, self._unsubscribe_headers(link), name)

    def _send(self, to: str, mail: Mail, headers: Mapping[str, str], name: MailName) -> None:
        with self._lock:
            if not self._under_way and self._monotonic() - self._kept_since > LONGEST_KEPT_SECONDS:
                self._client.close()  # its idle connections; the next request makes a new one
                self._kept_since = self._monotonic()
            self._under_way += 1
        try:
            self._client.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [to]},
                ConfigurationSetName=self._configuration,
                EmailTags=[{"Name": tag, "Value": value} for tag, value in tags_of(name).items()],
                Content={
                    "Simple": {
                        "Subject": {"Data": mail.subject, "Charset": "UTF-8"},
                        "Body": {
                            "Text": {"Data": mail.text, "Charset": "UTF-8"},
                            "Html": {"Data": mail.html, "Charset": "UTF-8"},
                        },
                        "Headers": [
                            {"Name": header, "Value": value} for header, value in headers.items()
                        ],
                    }
                },
            )
        except ClientError as error:
            raise _verdict(error) from error
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise MailDeferred(type(error).__name__) from error
        except BotoCoreError as error:
            raise MailDoubtful(type(error).__name__) from error
        finally:
            with self._lock:
                self._under_way -= 1

    def _link(self, player_id: str, kind: str) -> str:
        """Where a kind of mail is ended; no mail goes out without. Raises MailDeferred."""
        try:
            return self._links.to(player_id, kind)
        except Unavailable as error:
            raise MailDeferred("UnsubscribeKey") from error

    def _unsubscribe_headers(self, link: str) -> dict[str, str]:
        """One click of the mail program's own button posts to the link (RFC 8058)."""
        return {
            "List-Unsubscribe": f"<{link}>, <mailto:{self._sender}?subject=unsubscribe>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }


def _verdict(error: ClientError) -> MailError:
    code = error.response["Error"]["Code"]
    if error.response["ResponseMetadata"]["HTTPStatusCode"] >= _FIRST_SERVER_ERROR:
        return MailDoubtful(code)
    message = error.response["Error"].get("Message", "")
    of_the_account = any(each in message for each in _OF_THE_ACCOUNT)
    return MailRefused(code) if code in _REFUSED and not of_the_account else MailDeferred(code)
