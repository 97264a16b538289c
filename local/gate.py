"""The gate before the embedded AWS: admits local programs, and web pages only as AWS does.

A page that a developer visits can send requests to any port of the machine, and the embedded AWS
takes any signature: without this, every page could make a function there and run it. So the gate
looks at what browsers say about a request and pages cannot change: `Host`, `Origin`,
`Sec-Fetch-*` and `User-Agent`. Standard library only: it runs in the embedded AWS's environment.
"""

import json
import re
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.mailbox import FRAME_POLICY, PAGE_POLICY, SentMail, frame, page

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

RUN = "/_heist/run"
"""Where the gate tells which run it belongs to."""
DEMO = "/_heist/players"
"""Where it tells the pages as whom they may offer to sign in."""
MAILS = "/_heist/mails"
MAILBOX = "/_heist/mailbox"
"""Where it shows the requests to send a mail: the emulator's own mailbox has no headers."""

_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
_NAMED = re.compile(
    # AWS's tools put a bucket's or an API's name before localhost, which no name server knows.
    r"(([a-z0-9_-]+\.)*localhost|127\.0\.0\.1|\[::1\]|host\.docker\.internal)(:[0-9]+)?"
)
_API = re.compile(r"/_aws/execute-api/[^/]+/[^/]+/api/heist(/.*)?")
_TO_VISIT = re.compile(
    r"/_aws/execute-api/[^/]+/[^/]+/((play|ops)(/.*)?|api/heist/unsubscribe/[^/]+)"
)
_TO_TYPE = ("/_aws/execute-api/", "/_ministack/", "/_heist/")
_COGNITO = "AWSCognitoIdentityProviderService."


@dataclass(frozen=True)
class Gate:
    """An ASGI application before another: answers 403 to what may not come in, with no CORS header.

    `port` is the one that it listens on, `origins` are those of the template's AllowedOrigins,
    `run_id` is what `GET /_heist/run` answers, `demo` what `GET /_heist/players` does, and
    `mails` what `GET /_heist/mails` does.
    """

    inner: Application
    port: int
    origins: Collection[str]
    run_id: str
    demo: Mapping[str, object]
    mails: Sequence[Mapping[str, Any]]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
            return
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        request = Request(
            scope.get("method", "GET"), scope["path"], scope.get("query_string", b""), headers
        )
        if why := self.refusal(request):
            asked = f"{request.method} {request.path}"
            print(f"gate: refused {asked!r}: {why}", file=sys.stderr, flush=True)
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                await answer(send, 403, {"message": f"Not let in by `make run`: {why}"})
        elif request.path == RUN:
            await answer(send, 200, {"runId": self.run_id})
        elif request.path == DEMO:
            await answer(send, 200, self.demo)
        elif request.path == MAILS:
            await answer(send, 200, self.mails)
        elif request.path.startswith(MAILBOX):
            await self.show_mails(request.path.removeprefix(MAILBOX), send)
        elif _API.fullmatch(request.path) and headers.get("origin") in self.origins:
            await self.inner(scope, receive, readable_by(headers["origin"], send))
        else:
            await self.inner(scope, receive, send)

    async def show_mails(self, path: str, send: Send) -> None:
        """The mailbox, or the one mail that `/NUMBER` names."""
        mails = [SentMail.of(kept) for kept in self.mails]
        number = path.removeprefix("/")
        if not path:
            await answer_html(send, page(mails), PAGE_POLICY)
        elif number.isdecimal() and int(number) < len(mails):
            await answer_html(send, frame(mails[int(number)]), FRAME_POLICY)
        else:
            await answer(send, 404, {"message": "Not Found"})

    def refusal(self, request: "Request") -> str | None:
        """Why a request may not come in; None if it may."""
        host = request.headers.get("host", "")
        if not _NAMED.fullmatch(host.lower()):
            return f"the Host {host!r} is not a name of this machine."
        origin = request.headers.get("origin")
        if request.site == "same-origin" or origin in self._own_origins():
            return None
        if origin is None:
            return None if is_a_program(request) or may_visit(request) else FOREIGN
        if _API.fullmatch(request.path) and request.mode in ("", "cors"):
            return None  # it has CORS rules of its own
        if origin in self.origins and is_sign_in(request):
            return None
        return f"the origin {origin!r} may call the game's API only, if ALLOWED_ORIGINS has it."

    def _own_origins(self) -> set[str]:
        return {f"http://{name}:{self.port}" for name in _OWN_NAMES}


FOREIGN = "it comes from a web page of another origin."


@dataclass(frozen=True)
class Request:
    """What the gate looks at; the names of headers are in lower case."""

    method: str
    path: str
    query: bytes
    headers: dict[str, str]

    @property
    def site(self) -> str:
        """same-origin, same-site, cross-site, none (typed by a person); empty for programs."""
        return self.headers.get("sec-fetch-site", "")

    @property
    def mode(self) -> str:
        """navigate, cors, no-cors and more; empty for programs and old browsers."""
        return self.headers.get("sec-fetch-mode", "")


def is_a_program(request: Request) -> bool:
    """Whether a request without an origin comes from no browser.

    Browsers too old to say where a request comes from say at least what they are.
    """
    reads = request.method in ("GET", "HEAD")  # with all others, browsers send an origin
    old_browser = reads and request.headers.get("user-agent", "").startswith("Mozilla/")
    return not request.site and not old_browser


def may_visit(request: Request) -> bool:
    """Whether a person follows a link to what is there to be linked to, or types an address."""
    if request.method != "GET":
        return False
    to_visit = _TO_VISIT.fullmatch(request.path) is not None
    if not request.site:  # an old browser
        return to_visit or _API.fullmatch(request.path) is not None
    if (
        request.mode != "navigate"
        or request.headers.get("sec-fetch-dest", "document") != "document"
    ):
        return False
    return to_visit or (request.site == "none" and request.path.startswith(_TO_TYPE))


def is_sign_in(request: Request) -> bool:
    """Whether it is a call of Cognito's as browsers make them, unsigned, or its preflight."""
    if request.path != "/" or request.query or "authorization" in request.headers:
        return False
    target = request.headers.get("x-amz-target", "")
    return request.method == "OPTIONS" or (request.method == "POST" and target.startswith(_COGNITO))


def readable_by(origin: str, send: Send) -> Send:
    """Adds what API Gateway adds for an allowed origin, where the emulator leaves it out: its own
    answers, such as a 401 for a token that has expired."""

    async def send_readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            if not any(name.lower() == b"access-control-allow-origin" for name, _ in headers):
                headers += [
                    (b"access-control-allow-origin", origin.encode("latin-1")),
                    (b"vary", b"Origin"),
                ]
            message["headers"] = headers
        await send(message)

    return send_readable


async def answer(send: Send, status: int, body: object) -> None:
    """Sends a JSON answer."""
    await _send(send, status, json.dumps(body), {"content-type": "application/json"})


async def answer_html(send: Send, body: str, policy: str) -> None:
    """Sends a page that may do what its Content-Security-Policy says."""
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    await _send(send, 200, body, headers)


async def _send(send: Send, status: int, body: str, headers: Mapping[str, str]) -> None:
    content = body.encode("utf-8", "replace")
    sent = {**headers, "content-length": str(len(content)), "cache-control": "no-store"}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})
