"""See whether a deployment answers as it should.

Without --apply it only asks: every route refuses a caller without a token. With
--apply a player of its own comes and goes: signs up, earns a token by an event
on the bus, is notified, tries a heist that the rules refuse. The account is
removed again; the player's items stay. The exit code is 1 if anything is wrong.
"""

import argparse
import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import urllib3

from ops.command import add_change_arguments, agreed
from ops.output import Output
from ops.target import Target

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

ROUTES = (
    ("GET", "/tokens"),
    ("POST", "/execute"),
    ("GET", "/can-rob/smoke-nobody"),
    ("GET", "/notifications"),
    ("POST", "/notifications/read"),
)
SECONDS_TO_ARRIVE = 120
_SECONDS_BETWEEN_LOOKS = 0.5
_TRIES = urllib3.Retry(3, backoff_factor=1, status_forcelist=(), raise_on_status=False)


class WrongError(Exception):
    """Something is not as it should be; the message says what came instead."""


class Api:
    """The deployed API; `token` is a caller's, if there is one."""

    def __init__(self, url: str, token: str = "") -> None:
        self._base = f"{url}/api/heist"
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Mapping[str, object]]:
        """Status and body; a body that is no JSON object is an empty one."""
        sent = None if body is None else json.dumps(body)
        answer = urllib3.request(
            method, self._base + path, body=sent, headers=self._headers, timeout=30, retries=_TRIES
        )
        try:
            content = answer.json()
        except ValueError:
            content = {}
        return answer.status, content if isinstance(content, Mapping) else {}

    def expect(
        self, status: int, method: str, path: str, body: object = None
    ) -> Mapping[str, object]:
        """The body of an answer that has this status; raises WrongError for any other."""
        got, content = self.call(method, path, body)
        if got != status:
            raise WrongError(f"{method} {path} answered {got} instead of {status}: {dict(content)}")
        return content


class Smoke:
    """The checks, in their order; `results` has what each found."""

    def __init__(self, target: Target, out: Output) -> None:
        self._target = target
        self._out = out
        self.results: list[dict[str, object]] = []

    def check(self, name: str, look: Callable[[], str]) -> None:
        """One check. A failed one does not keep the others from being made."""
        try:
            note, good = look(), True
        except (WrongError, urllib3.exceptions.HTTPError) as problem:
            note, good = str(problem), False
        self.results.append({"check": name, "ok": good, "note": note})
        self._out.line(f"{'ok' if good else 'WRONG':<6}{name:<30} {note}".rstrip())

    def refuses_strangers(self) -> None:
        url = self._target.outputs["ApiUrl"]
        self.check("401 without a token", lambda: _all_refused(Api(url)))
        self.check("401 with a made-up token", lambda: _all_refused(Api(url, "x.y.z")))
        self.check("404 elsewhere", lambda: _unknown(Api(url)))

    def lets_a_player_play(self) -> None:
        with player_of(self._target) as (player_id, api):
            self.check("a new player has nothing", lambda: _has_nothing(api))
            self.check("an event becomes a token", lambda: self._earns(player_id, api))
            self.check("a notification arrives", lambda: _is_notified(api))
            self.check("a refused heist costs nothing", lambda: _is_refused(player_id, api))

    def _earns(self, player_id: str, api: Api) -> str:
        began = time.monotonic()
        referred = f"smoke-{secrets.token_hex(8)}"
        detail = {"referralId": referred, "referrerUserId": player_id, "referredUserId": referred}
        entry: PutEventsRequestEntryTypeDef = {
            "EventBusName": self._target.outputs["EventBusName"],
            "Source": "referrals",
            "DetailType": "ReferralCompleted",
            "Detail": json.dumps(detail),
        }
        events = self._target.session.client("events", endpoint_url=self._target.endpoint)
        if events.put_events(Entries=[entry])["FailedEntryCount"]:
            raise WrongError("the bus did not take the event")
        _until(lambda: api.expect(200, "GET", "/tokens").get("balance") == 1, "no token arrived")
        return f"{time.monotonic() - began:.1f} s"


@contextmanager
def player_of(target: Target) -> Iterator[tuple[str, Api]]:
    """A new account of the stack's own pool: the player's id, and the API as this player."""
    outputs, cognito = target.outputs, target.cognito
    name, password = f"smoke-{secrets.token_hex(8)}", f"Aa1!{secrets.token_urlsafe(24)}"
    pool = outputs["UserPoolId"]
    cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
    try:
        cognito.admin_set_user_password(
            UserPoolId=pool, Username=name, Password=password, Permanent=True
        )
        token = cognito.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=outputs["UserPoolClientId"],
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )["AuthenticationResult"]["AccessToken"]
        yield str(_claims(token)[target.user_id_claim]), Api(outputs["ApiUrl"], token)
    finally:
        cognito.admin_delete_user(UserPoolId=pool, Username=name)


def _all_refused(api: Api) -> str:
    for method, path in ROUTES:
        api.expect(401, method, path)
    return f"{len(ROUTES)} routes"


def _unknown(api: Api) -> str:
    api.expect(404, "GET", "/no-such-route")
    return "/no-such-route"


def _has_nothing(api: Api) -> str:
    tokens = dict(api.expect(200, "GET", "/tokens"))
    nothing = {"balance": 0, "totalEarned": 0, "totalSpent": 0}
    if tokens != {**nothing, "lastEarnedAt": None, "lastSpentAt": None}:
        raise WrongError(f"a player never heard of has {tokens}")
    return "no tokens"


def _is_notified(api: Api) -> str:
    def arrived() -> bool:
        page = api.expect(200, "GET", "/notifications?unreadOnly=true")
        listed = page.get("notifications")
        return isinstance(listed, list) and [one["type"] for one in listed] == ["TOKEN_EARNED"]

    _until(arrived, "no notification arrived")
    left = api.expect(200, "POST", "/notifications/read", {})
    if (left.get("updated"), left.get("unreadCount")) != (1, 0):
        raise WrongError(f"marking it as read answered {dict(left)}")
    return "TOKEN_EARNED"


def _is_refused(player_id: str, api: Api) -> str:
    refusals = ("SELF_TARGET", "FEATURE_DISABLED")
    check = api.expect(200, "GET", f"/can-rob/{player_id}")
    heist = api.expect(400, "POST", "/execute", {"targetUserId": player_id})
    if check.get("code") not in refusals or heist.get("code") != check.get("code"):
        raise WrongError(f"robbing oneself: {check.get('code')} and {heist.get('code')}")
    if api.expect(200, "GET", "/tokens").get("balance") != 1:
        raise WrongError("the refused heist cost the token")
    return str(heist["code"])


def _until(arrived: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_ARRIVE
    while not arrived():
        if time.monotonic() > deadline:
            raise WrongError(f"{otherwise} within {SECONDS_TO_ARRIVE} s")
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _claims(token: str) -> Mapping[str, object]:
    payload = token.split(".")[1]
    claims: Mapping[str, object] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_change_arguments(parser, reason=False)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    smoke = Smoke(target, out)
    smoke.refuses_strangers()
    if "UserPoolId" not in target.outputs:
        out.line("The stack has no user pool of its own: nobody to sign up, so nobody played.")
    elif agreed(options, out):
        smoke.lets_a_player_play()
    out.document({"checks": smoke.results})
    return 0 if all(result["ok"] for result in smoke.results) else 1
