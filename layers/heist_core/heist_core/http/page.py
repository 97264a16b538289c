"""Turns an API Gateway event of a route without sign-in into an HTML page without script."""

import base64
import functools
import hashlib
from collections.abc import Callable, Mapping
from html import escape
from typing import NamedTuple

from heist_core import telemetry
from heist_core.domain.errors import NotFound, Unavailable
from heist_core.texts import DEFAULT_LANGUAGE, Texts, texts_for

from .api import RETRY_SECONDS, Body, Event, LambdaContext, request_id
from .api import texts as texts_in

_STYLE = (
    "body{margin:0;padding:2rem 1rem;font:1.125rem/1.5 system-ui,sans-serif;"
    "background:#f3f1ec;color:#1d1b16}"
    "main{max-width:30rem;margin:auto;padding:1.5rem 2rem;background:#fff;border-radius:12px}"
    "h1{font-size:1.5rem;line-height:1.2;overflow-wrap:anywhere}p{overflow-wrap:anywhere}"
    "button{font:inherit;width:100%;margin:0 0 1rem;padding:.75rem 1rem;border-radius:8px;"
    "border:2px solid #1d1b16;background:#1d1b16;color:#fff;cursor:pointer}"
    "form+form button{background:none;color:inherit}"
    "@media(prefers-color-scheme:dark){body{background:#1d1b16;color:#f3f1ec}"
    "main{background:#2a2721}button{background:#f3f1ec;color:#1d1b16;border-color:#f3f1ec}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
UNAVAILABLE = 503
HEADERS: Mapping[str, str] = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class PageRequest(NamedTuple):
    """A request whose caller is nobody. `path` is as it was sent, not decoded."""

    method: str
    path: Mapping[str, str]
    query: Mapping[str, str]


class Page(NamedTuple):
    """Plain texts. `buttons` are labels, each with the query that pressing it posts to this URL."""

    title: str
    text: str
    buttons: Mapping[str, str] = {}
    status: int = 200
    language: str = DEFAULT_LANGUAGE


def failure(name: str, status: int, texts: Texts) -> Page:
    """A page that is about nobody: `not_found`, `unavailable` or `defect`."""
    title, text = texts.text(f"page.{name}.title"), texts.text(f"page.{name}.text")
    return Page(title, text, status=status, language=texts.language)


def page_handler(
    function: str,
) -> Callable[[Callable[[PageRequest], Page]], Callable[[Event, LambdaContext], Body]]:
    """Make a Lambda handler of an open route; `function` is the function's folder.

    The log has no path, query or body. NotFound is a 404, Unavailable a 503, anything else a 500.
    """

    def decorate(route: Callable[[PageRequest], Page]) -> Callable[[Event, LambdaContext], Body]:
        @functools.wraps(route)
        def handler(event: Event, _context: LambdaContext) -> Body:
            try:
                with telemetry.invocation("request", function, request_id(event)) as fields:
                    try:
                        page = route(_page_request(event))
                    except NotFound:
                        page = failure("not_found", 404, texts_for(None))
                    except Unavailable as error:
                        page = failure("unavailable", UNAVAILABLE, texts_for(None))
                        telemetry.count("Unavailable", code=error.code)
                        fields |= {"code": error.code, "cause": type(error.__cause__).__name__}
                    fields["status"] = page.status
            except Exception:  # noqa: BLE001 - logged by telemetry; the visitor learns nothing of it
                page = failure("defect", 500, texts_for(None))
            retry = {"retry-after": str(RETRY_SECONDS)} if page.status == UNAVAILABLE else {}
            return {"statusCode": page.status, "headers": {**HEADERS, **retry}, "body": _html(page)}

        return handler

    return decorate


def _page_request(event: Event) -> PageRequest:
    method, _, _ = str(event.get("routeKey")).partition(" ")
    return PageRequest(
        method, texts_in(event, "pathParameters"), texts_in(event, "queryStringParameters")
    )


def _html(page: Page) -> str:
    forms = "".join(
        f'<form method="post" action="?{escape(query)}"><button>{escape(label)}</button></form>'
        for label, query in page.buttons.items()
    )
    return (
        f'<!doctype html><html lang="{escape(page.language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(page.title)}</h1><p>{escape(page.text)}</p>{forms}"
        "</main></body></html>"
    )
