"""What stands between a client and an engine, and does what AWS does and no engine here."""

import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session

Key = tuple[str, str, str]
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER, so that a socket is reset when it is closed."""


class Reply(BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: object) -> Any:
        yield self.getvalue()


def reply(request: AWSPreparedRequest, status: int, body: object) -> AWSResponse:
    headers = HTTPHeaders()
    headers["content-type"] = "application/x-amz-json-1.0"
    return AWSResponse(request.url, status, headers, Reply(json.dumps(body).encode()))


def refusal(
    request: AWSPreparedRequest, code: str, status: int = 400, **more: object
) -> AWSResponse:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **more}
    response = reply(request, status, body)
    response.headers["x-amzn-errortype"] = code
    return response


def body_of(request: AWSPreparedRequest) -> dict[str, Any]:
    assert isinstance(request.body, str | bytes)
    body: dict[str, Any] = json.loads(request.body)
    return body


class Conflicts:
    """Refuses what meets a transaction under way on its items, where engines make it wait.

    A transaction is under way as long as `hold` takes, and its own request. `refused` counts by
    operation.
    """

    def __init__(self) -> None:
        self.hold: Callable[[list[Key]], object] = lambda _: time.sleep(random.uniform(0.01, 0.02))
        self.refused: Counter[str] = Counter()
        self.on_refusal: Callable[[], object] = lambda: None
        self._held: set[Key] = set()
        self._lock = threading.Lock()
        self._http = URLLib3Session(max_pool_connections=64)

    @contextmanager
    def before(self, client: Any) -> Iterator[None]:
        """Every request of the client comes here first."""
        client.meta.events.register("before-send.dynamodb", self._answer)
        try:
            yield
        finally:
            client.meta.events.unregister("before-send.dynamodb", self._answer)
            self._http.close()

    def _answer(
        self, request: AWSPreparedRequest, event_name: str, **_: object
    ) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        keys = _keys(operation, body_of(request))
        holds = operation == "TransactWriteItems"
        with self._lock:
            met = [key in self._held for key in keys]
            if any(met):
                self.refused[operation] += 1
            elif holds:
                self._held.update(keys)
        if any(met):
            self.on_refusal()
            if not operation.startswith("Transact"):
                return refusal(request, "TransactionConflictException")
            reasons = [{"Code": "TransactionConflict" if one else "None"} for one in met]
            return refusal(request, "TransactionCanceledException", CancellationReasons=reasons)
        if not holds:
            return None
        try:
            self.hold(keys)
            return self._http.send(request)
        finally:
            with self._lock:
                self._held.difference_update(keys)


def _keys(operation: str, body: Mapping[str, Any]) -> list[Key]:
    """Of all that a write, or a transaction, is about; other requests never conflict."""
    if operation.startswith("Transact"):
        parts = [next(iter(action.values())) for action in body["TransactItems"]]
    else:
        parts = [body] if operation in ("PutItem", "UpdateItem", "DeleteItem") else []
    keys = [part.get("Key") or part["Item"] for part in parts]
    return [
        (part["TableName"], key["pk"]["S"], key["sk"]["S"])
        for part, key in zip(parts, keys, strict=True)
    ]


class IdleConnections:
    """Passes connections on; those that `forget` forgot are reset at the next byte that comes.

    So it is with an instance that was frozen: it takes a connection for open that the other side,
    or what lies between, has long dropped.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._forgotten: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.resets = 0

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def forget(self) -> None:
        """Nobody has sent anything for a long time."""
        self._forgotten.update(self._open)

    def _accept(self) -> None:
        with suppress(OSError):  # closed: no more
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._target)
                self._open.add(near)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source in self._forgotten:
                    self.resets += 1
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
                to.sendall(data)
        self._open.discard(source)
        source.close()
        with suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)
