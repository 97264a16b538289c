"""An instance that was frozen takes its connections for open; whatever was behind them is gone."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import boto3
import pytest

from heist_core import wiring
from heist_core.domain.notices import notices_of
from heist_core.mail.mailer import LONGEST_KEPT_SECONDS, Mailer
from tests.builders import heist
from tests.engines import Engine
from tests.fakes import FakeClock, fake_links
from tests.integration.game import Game
from tests.proxies import IdleConnections


@pytest.fixture
def behind() -> Iterator[Callable[[str, int], IdleConnections]]:
    """Stands before a server that listens there."""
    running: list[IdleConnections] = []

    def start(host: str, port: int) -> IdleConnections:
        running.append(IdleConnections((host, port)))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.close()


class Ses(BaseHTTPRequestHandler):
    """Takes every mail, on connections that stay open."""

    protocol_version = "HTTP/1.1"
    mails = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).mails += 1
        answer = json.dumps({"MessageId": "1"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def test_the_first_mail_after_a_freeze_is_not_doubtful(
    behind: Callable[[str, int], IdleConnections],
) -> None:
    clock, event = FakeClock(), heist()
    with ThreadingHTTPServer(("127.0.0.1", 0), Ses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connections = behind("127.0.0.1", server.server_port)
        client = boto3.client(
            "sesv2",
            endpoint_url=f"http://127.0.0.1:{connections.port}",
            config=wiring._config(attempts=1, read_timeout=10),
        )
        with closing(client):
            mailer = Mailer(
                client, "heists@example.com", fake_links(), "heist-core", clock.monotonic
            )
            for _ in range(3):
                mailer.send("alice@example.com", event, notices_of(event)[0])
                connections.forget()
                clock.pass_(seconds=LONGEST_KEPT_SECONDS + 1)
        server.shutdown()
    assert (Ses.mails, connections.resets) == (3, 0)


@pytest.mark.parametrize("engine", ["dynamodb-local"], indirect=True)
def test_the_first_heist_after_a_freeze_succeeds(
    engine: Engine, behind: Callable[[str, int], IdleConnections]
) -> None:
    place = urlsplit(engine.client.meta.endpoint_url)
    connections = behind(str(place.hostname), int(place.port or 0))
    client = boto3.client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{connections.port}",
        config=wiring._config(attempts=2),
    )
    with closing(client), engine.table() as table, Game(client, table).wired() as game:
        game.give("alice", tokens=1)
        game.give("bob", points=800)
        connections.forget()
        assert game.rob("alice", "bob").status == 200
        assert connections.resets > 0
        game.assert_sound()
