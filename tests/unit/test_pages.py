"""/play and /ops: what is served, with which headers, how large, and nothing else."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from functions.serve_pages import app
from tests.builders import sample

VENDORED = app.HERE / "common" / "vendor"
KILOBYTES_OF_BOTH = 60
POOL = "https://cognito-idp.eu-central-1.amazonaws.com/"


@pytest.fixture(autouse=True)
def _stack_with_a_pool_and_both_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGES", "both")
    monkeypatch.setenv("STAGE", "dev")
    monkeypatch.setenv("SIGN_IN_URL", POOL)
    monkeypatch.setenv("SIGN_IN_CLIENT_ID", "client")


class Answer:
    def __init__(self, said: Any) -> None:
        self.status: int = said["statusCode"]
        self.headers: dict[str, str] = said["headers"]
        self.sent = base64.b64decode(said["body"])

    @property
    def text(self) -> str:
        packed = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.sent) if packed else self.sent).decode()


def ask(route: str, path: str | None = None, accepts: str | None = "gzip") -> Answer:
    event = sample("serve_pages")
    event["routeKey"] = route
    if path is not None:
        event["pathParameters"] = {"proxy": path}
    event["headers"].pop("accept-encoding")
    if accepts is not None:
        event["headers"]["accept-encoding"] = accepts
    return Answer(app.handler(event, None))


def addresses(html: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', html)


def assets_of(page: str) -> list[str]:
    """Paths below /PAGE of what its HTML asks for."""
    found = [each for each in addresses(ask(f"GET /{page}").text) if not each.startswith("data:")]
    found = [each for each in found if each != f"{page}/config.json"]
    assert all(each.startswith(f"{page}/assets/") for each in found)
    return [each.removeprefix(f"{page}/") for each in found]


@pytest.mark.parametrize("page", ["play", "ops"])
def test_a_page_is_asked_for_each_time_and_its_assets_once_a_year(page: str) -> None:
    html = ask(f"GET /{page}")
    assert (html.status, html.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert html.headers["cache-control"] == "no-cache"
    for path in assets_of(page):
        asset = ask(f"GET /{page}/{{proxy+}}", path)
        assert asset.status == 200, path
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        kind = "text/css" if path.endswith(".css") else "text/javascript"
        assert asset.headers["content-type"] == f"{kind}; charset=utf-8"


@pytest.mark.parametrize(("route", "path"), [("GET /play", None), ("GET /play/{proxy+}", "x")])
def test_every_answer_has_the_strict_policy(route: str, path: str | None) -> None:
    headers = ask(route, path).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self' https://cognito-idp.eu-central-1.amazonaws.com; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("url", ["", "/"])
def test_with_an_issuer_of_anothers_or_the_embedded_aws_pages_call_nobody_else(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SIGN_IN_URL", url)
    assert "connect-src 'self';" in ask("GET /play").headers["content-security-policy"]


def test_a_page_is_told_where_and_as_what_client_to_sign_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = ask("GET /play/{proxy+}", "config.json")
    assert told.headers["cache-control"] == "no-store"
    assert json.loads(told.text) == {"stage": "dev", "signIn": {"url": POOL, "clientId": "client"}}
    monkeypatch.setenv("SIGN_IN_URL", "")
    assert json.loads(ask("GET /ops/{proxy+}", "config.json").text)["signIn"] is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "app.py", "index.html", "play/index.html", "config.json/", "assets"),
        *("{v}", "{v}/", "{v}/app.py", "{v}/../app.py", "{v}/play/../../app.py", "../ops"),
        *("{v}/..%2fapp.py", "{v}//etc/passwd", "/etc/passwd", "{v}/common", "{v}/play"),
        *("assets/0123456789abcdef/common/ui.js", "{v}/{v}/common/ui.js", "{v}/ops/main.js"),
        *("{v}/common/vendor/manifest.json", "{v}/common/vendor/htm.LICENSE.txt", "\0", "💰"),
    ],
)
def test_nothing_else_is_there(path: str) -> None:
    answer = ask("GET /play/{proxy+}", path.replace("{v}", app.version()))
    assert (answer.status, answer.headers["cache-control"]) == (404, "no-store")
    assert "Not found" in answer.text


def test_the_operators_page_is_there_only_where_both_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGES", "play")
    assert ask("GET /play").status == 200
    assert ask("GET /ops").status == 404
    assert ask("GET /ops/{proxy+}", "config.json").status == 404


@pytest.mark.parametrize("accepts", [None, "", "br", "gzip;q=0", "gzip; q=0.000, br", "x-gzip"])
def test_who_does_not_take_gzip_gets_none(accepts: str | None) -> None:
    answer = ask("GET /play", accepts=accepts)
    assert "content-encoding" not in answer.headers
    assert answer.sent.startswith(b"<!doctype html>")


@pytest.mark.parametrize("accepts", ["gzip", "gzip, deflate, br", "br, GZIP;q=0.5", "gzip;q=1.0"])
def test_who_takes_gzip_gets_it(accepts: str) -> None:
    answer = ask("GET /play", accepts=accepts)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.text.startswith("<!doctype html>")


def test_head_tells_the_headers_alone() -> None:
    answer = ask("HEAD /play", accepts=None)
    assert (answer.status, answer.sent) == (200, b"")
    assert answer.headers == ask("GET /play", accepts=None).headers


def test_both_pages_together_are_small() -> None:
    contents = [*app.assets().values()]
    packed = sum(len(gzip.compress(content)) for content in contents)
    assert packed < KILOBYTES_OF_BOTH * 1000


def test_every_module_that_a_page_loads_is_there_and_loaded_with_it() -> None:
    """What is imported is named in the HTML, too, or browsers ask for one after the other."""
    for page in ("play", "ops"):
        named = {path.partition("/")[2].partition("/")[2] for path in assets_of(page)}
        modules = {name for name in named if name.endswith(".js")}
        imported = {
            (Path("/") / name).parent.joinpath(target).resolve().relative_to("/").as_posix()
            for name in modules
            for target in re.findall(r'^(?:import|\} from|export).*?"([./][^"]+)";$',
                                     app.assets()[name].decode(), re.MULTILINE)
        }  # fmt: skip
        assert imported == modules - {f"{page}/main.js"}


def test_a_changed_asset_has_another_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = app.version()
    assert re.fullmatch(r"assets/[0-9a-f]{16}", before)
    changed = {**app.assets(), "common/ui.js": b"//"}
    monkeypatch.setattr(app, "assets", lambda: changed)
    app.version.cache_clear()
    try:
        assert app.version() != before
    finally:
        app.version.cache_clear()


def test_what_others_wrote_is_what_they_published_and_has_its_licence() -> None:
    manifest = json.loads((VENDORED / "manifest.json").read_text("utf-8"))
    for each in manifest:
        content = (VENDORED / each["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == each["sha256"], each["file"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", each["version"])
        for licence in each["licences"].values():
            assert (VENDORED / licence).read_text("utf-8").strip()
    scripts = {path.name for path in VENDORED.iterdir() if path.suffix in (".js", ".css")}
    assert scripts == {each["file"] for each in manifest}


def test_pages_ask_nobody_else_for_anything() -> None:
    """The policy would refuse it; so there is no address of elsewhere, nor code in the HTML."""
    for name, content in app.assets().items():
        if not name.startswith("common/vendor/"):
            assert "://" not in content.decode().replace("http://www.w3.org/2000/svg", ""), name
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", content.decode())
