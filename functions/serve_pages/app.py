"""GET /play and /ops: pages for people and their assets, all from this folder.

Files are looked up by name among those that there are, so no path leads out of the folder. Assets
have a hash of all assets in their address and are kept for a year; pages are asked for each time.
"""

import base64
import functools
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from heist_core import telemetry
from heist_core.variables import variable

HERE = Path(__file__).parent
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
}
PAGES = {"none": (), "play": ("play",), "both": ("play", "ops")}
FOR_A_YEAR = "public, max-age=31536000, immutable"

Event = Mapping[str, object]
Answer = dict[str, object]


class Asset(NamedTuple):
    kind: str
    content: bytes
    kept: str
    """Its `Cache-Control`."""
    status: int = 200


NOT_FOUND = Asset(
    TYPES[".html"], b"<!doctype html><title>Not found</title>Not found", "no-store", 404
)


def handler(event: Event, context: object) -> Answer:
    request_id = _child(event, "requestContext").get("requestId")
    with telemetry.invocation("request", "serve_pages", request_id) as fields:
        method, _, route = str(event.get("routeKey")).partition(" ")
        page = route.split("/")[1]
        asset = find(page, _child(event, "pathParameters").get("proxy"))
        fields["status"] = asset.status
    content = b"" if method == "HEAD" else asset.content
    headers = {
        "content-type": asset.kind,
        "cache-control": asset.kept,
        "content-security-policy": policy(),
        "referrer-policy": "no-referrer",
        "vary": "Accept-Encoding",
        "x-content-type-options": "nosniff",
    }
    if takes_gzip(_child(event, "headers")):
        headers["content-encoding"] = "gzip"
        content = compressed(content)
    return {
        "statusCode": asset.status,
        "headers": headers,
        "body": base64.b64encode(content).decode("ascii"),
        "isBase64Encoded": True,
    }


def find(page: str, path: object) -> Asset:
    """What is at /PAGE/PATH, or at /PAGE without a path."""
    if page not in PAGES[variable("PAGES", "none")]:
        return NOT_FOUND
    if path is None:
        html = assets()[f"{page}/index.html"].replace(b"{assets}", f"{page}/{version()}".encode())
        return Asset(TYPES[".html"], html, "no-cache")
    if path == "config.json":
        return Asset(TYPES[".json"], json.dumps(config()).encode(), "no-store")
    name = str(path).removeprefix(f"{version()}/")
    if name == path or name.split("/")[0] not in (page, "common") or name not in assets():
        return NOT_FOUND
    return Asset(TYPES[Path(name).suffix], assets()[name], FOR_A_YEAR)


@functools.cache
def assets() -> dict[str, bytes]:
    """Every file that can be asked for, by its path in this folder."""
    found = sorted(
        path for folder in PAGES["both"] + ("common",) for path in (HERE / folder).rglob("*")
    )
    return {
        path.relative_to(HERE).as_posix(): path.read_bytes()
        for path in found
        if path.suffix in (".html", ".js", ".css")
    }


@functools.cache
def version() -> str:
    """A hash of all assets: modules name each other by relative paths, so one part of the address
    stands for all of them."""
    digest = hashlib.sha256()
    for name, content in assets().items():
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return f"assets/{digest.hexdigest()[:16]}"


@functools.lru_cache(maxsize=64)
def compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def takes_gzip(headers: Event) -> bool:
    """RFC 9110, 12.5.3: a coding with the weight 0 is not wanted."""
    wanted = "".join(str(headers.get("accept-encoding", "")).lower().split())
    return re.search(r"(^|,)gzip(,|$|;q=(?!0(\.0*)?(,|$)))", wanted) is not None


def config() -> dict[str, object]:
    """Where and as whom the pages sign in; without a pool of the stack's, `signIn` is null."""
    url = variable("SIGN_IN_URL", "")
    return {
        "stage": variable("STAGE", ""),
        "signIn": {"url": url, "clientId": variable("SIGN_IN_CLIENT_ID", "")} if url else None,
    }


def policy() -> str:
    """What the pages may load, and whom they may call: this API and the pool."""
    url = urlsplit(variable("SIGN_IN_URL", ""))
    origin = f" {url.scheme}://{url.netloc}" if url.netloc else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'{origin}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _child(event: Event, name: str) -> Event:
    value = event.get(name)
    return value if isinstance(value, dict) else {}
