"""An HTTP endpoint with canned answers: isolates our code from any engine, and sees every call."""

import json
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[str, dict[str, Any]], Mapping[str, Any]]
"""The body of an answer to an operation (`BatchGetItem`, or a path) and the body of its request."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what for, when it came and when it was answered, in seconds."""

    operation: str
    request_bytes: int
    answer_bytes: int
    came: float
    answered: float


class Stub:
    """The endpoint at `url`. `latency` in seconds is waited before each answer."""

    def __init__(self, answer: Answer, latency: Callable[[str], float]) -> None:
        self.answer = answer
        self.latency = latency
        self.calls: list[Call] = []
        self.url = ""


def self_signed() -> str:
    """A certificate of 127.0.0.1 for a day, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub")])
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()


@contextmanager
def running_stub(
    answer: Answer,
    latency: Callable[[str], float] = lambda _: 0.0,
    certificate: Path | None = None,
) -> Iterator[Stub]:
    """A stub on a port of its own for the length of the block; over TLS with a `certificate`."""
    stub = Stub(answer, latency)

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            while True:
                line = self.rfile.readline()
                if not line.strip():
                    return
                came = time.monotonic()
                operation, body = _request(line, self.rfile)
                wait = stub.latency(operation)
                if wait:
                    time.sleep(wait)
                answer = json.dumps(stub.answer(operation, json.loads(body or b"{}"))).encode()
                call = Call(operation, len(body), len(answer), came, time.monotonic())
                stub.calls.append(call)
                self.wfile.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\n"
                    b"next-poll-configuration-token: next\r\n"  # AppConfig's; nobody else looks
                    b"content-length: %d\r\n\r\n%b" % (len(answer), answer)
                )

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # The handshake is each connection's own thread's, so that a failed one stops nobody.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stub.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        yield stub
        server.shutdown()


def _request(line: bytes, rest: Any) -> tuple[str, bytes]:
    """The operation that AWS's JSON protocols name in a header, else the path; and the body."""
    operation = line.split()[1].decode()
    length = 0
    while header := rest.readline().strip():
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        elif name.lower() == b"x-amz-target":
            operation = value.decode().rpartition(".")[2]
    return operation, rest.read(length)


def sequential(calls: Sequence[Call]) -> int:
    """The longest chain of calls of which each began after the one before it was answered."""
    chain, answered = 0, float("-inf")
    for call in sorted(calls, key=lambda call: call.answered):
        if call.came >= answered:
            chain, answered = chain + 1, call.answered
    return chain
