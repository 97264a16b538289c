"""The system's Chromium on the real local stack. Whatever a page does wrong fails its test."""

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from local.players import put_in_players
from local.stack import PASSWORD, Stack
from local.tools import ROOT
from tests.e2e.world import Player, World, unique

PATIENCE = 120_000  # milliseconds: functions start in seconds, on a machine with other work longer
expect.set_options(timeout=PATIENCE)

Scheme = Literal["light", "dark"]
OURS = "http://localhost:3000"
"""An origin of AllowedOrigins."""
PICTURES = ROOT / ".local" / "pictures"
WIDE = ViewportSize(width=1280, height=900)
ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)


@dataclass(frozen=True)
class Person:
    """A player with an account."""

    user: str
    player: Player
    email: str


Meet = Callable[..., Person]


@pytest.fixture(scope="session")
def meet(world: World) -> Meet:
    """Makes a new player with a name, points and tokens, and an account."""

    def meet(name: str = "Hanna", points: int = 1000, tokens: int = 1) -> Person:
        user = unique("user")
        player = world.sign_up(user)
        email = f"{user}@example.com"
        world.profile(player.id, name=name, email=email)
        if points:
            world.earn(player.id, points)
        world.award(player.id, tokens)
        return Person(user, player, email)

    return meet


@pytest.fixture(scope="session")
def demo(stack: Stack) -> Stack:
    """The stack with the demo players of `make run`."""
    if not stack.outputs.Players:
        put_in_players(stack)
    return stack


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[int]:
    """The port of a web server with nothing but an empty page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><body>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="session")
def browser(elsewhere: int) -> Iterator[Browser]:
    """The system's Chromium; names in .example are this machine, and OURS is `elsewhere`."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium here: apt-get install chromium, or the like")
    rules = f"MAP *.example 127.0.0.1, MAP {urlsplit(OURS).netloc} 127.0.0.1:{elsewhere}"
    sandbox = ("--no-sandbox",) if os.getuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[*ARGUMENTS, *sandbox, f"--host-resolver-rules={rules}"],
        )
        yield browser
        browser.close()


# Of each answer from 400 on, and of no answer: tests provoke them. Of what a slow machine has not
# yet come to use.
NO_FAULT = re.compile(
    "^Failed to load resource:|was preloaded .* but not used within a few seconds"
)


@dataclass
class Tab:
    """A page of a person's own browser, and what it did that it should not."""

    page: Page
    stack: Stack
    wrong: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    """Every request, in order."""

    def watch(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._requested)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not NO_FAULT.search(message.text):
            self.wrong.append(f"console: {message.text}")

    def _requested(self, request: Request) -> None:
        self.asked.append(request)
        if not request.url.startswith((self.stack.outputs.Endpoint + "/", "data:", "blob:")):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def open(self, page: str = "play") -> None:
        self.page.goto(f"{self.stack.outputs.ApiUrl}/{page}")

    def sign_in(self, user: str, password: str = PASSWORD) -> None:
        self.page.get_by_label("User name").fill(user)
        self.page.get_by_label("Password").fill(password)
        self.button("Sign in").click()

    def region(self, name: str) -> Locator:
        """A section of the page."""
        return self.page.get_by_role("region", name=name, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def look_at(self, width: int, scheme: Scheme) -> None:
        """From now on in a window of this width, in light or in dark."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size(ViewportSize(width=width, height=900))

    def calls(self, method: str, path: str) -> list[Request]:
        """The requests of one route so far; `path` follows /api/heist, without a query."""
        return [
            request
            for request in self.asked
            if request.method == method and urlsplit(request.url).path.endswith(f"/api/heist{path}")
        ]

    def picture(self, name: str) -> Path:
        """Keeps what the whole page looks like."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png"
        self.page.screenshot(path=path, full_page=True)
        return path


def new_context(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport=WIDE, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(PATIENCE)
    return context


@pytest.fixture(scope="session")
def shared(browser: Browser) -> Iterator[BrowserContext]:
    """A browser for one test after another: what our pages keep, each tab keeps for itself."""
    with new_context(browser) as context:
        yield context


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser with nothing in it. It takes a second of the processor: for tests that change what
    all its tabs have, as clock, network, cache and permissions."""
    with new_context(browser) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A page that may do anything."""
    return context.new_page()


@pytest.fixture
def tab(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Tab]:
    """A page of ours: a console error, a violation of its policy or a request to elsewhere fails
    the test. In a browser of its own if the test asks for `context`."""
    own = "context" in request.fixturenames
    context: BrowserContext = request.getfixturevalue("context" if own else "shared")
    tab = Tab(context.new_page(), stack)
    tab.watch()
    yield tab
    wrong = [*tab.wrong]  # before the end of the page, which cuts off what it asks for
    for page in context.pages:
        page.close()
    assert wrong == []
