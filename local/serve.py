"""Serves the embedded AWS behind its gate, in one process: there is no port but the gate's.

Started by local/emulator.py with the Python of MiniStack's environment, as `python -m local.serve`.
"""

import argparse
import asyncio
import hashlib
import json
import os
import resource
import threading
import time
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypercorn.asyncio import serve  # type: ignore[import-not-found]
from hypercorn.config import Config  # type: ignore[import-not-found]
from ministack.app import app  # type: ignore[import-not-found]
from ministack.core import lambda_runtime  # type: ignore[import-not-found]
from ministack.services import eventbridge, lambda_svc, ses_v2  # type: ignore[import-not-found]

from local.gate import Gate

WORKERS = 4
"""Processes per function, as many as a small machine bears; what comes at once waits for one."""

Answer = tuple[int, object, bytes]
Handler = Callable[[str, str, object, bytes, object], Awaitable[Answer]]

starting = threading.BoundedSemaphore(os.cpu_count() or 1)
unpacking = threading.Lock()


def main() -> None:
    """Serves until it is killed; the environment has `GATEWAY_PORT` and MiniStack's settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True, help="the folder to work in")
    parser.add_argument("--run-id", required=True)
    parser.add_argument(
        "--origins", default="", help="those that may call the API, comma-separated"
    )
    parser.add_argument("--demo", required=True, help="players that pages offer, as JSON")
    parser.add_argument("addresses", nargs="+", help="where to listen")
    arguments = parser.parse_args()
    os.chdir(arguments.home)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": Package})
    lambda_svc.acquire_worker = acquire_worker
    eventbridge._dispatch_to_lambda = invoke_for_event  # noqa: SLF001 - see there
    mails: list[dict[str, Any]] = []
    ses_v2.handle_request = keeping_mails(ses_v2.handle_request, mails)
    port = int(os.environ["GATEWAY_PORT"])
    config = Config()
    config.bind = [f"{address}:{port}" for address in arguments.addresses]
    config.keep_alive_timeout = 75
    config.loglevel = "INFO"
    origins = [origin for origin in arguments.origins.split(",") if origin]
    gate = Gate(app, port, origins, arguments.run_id, json.loads(arguments.demo), mails)
    asyncio.run(serve(gate, config, mode="asgi"))


def keeping_mails(handle: Handler, mails: list[dict[str, Any]]) -> Handler:
    """Adds each request to send a mail that was accepted to `mails`, and when that was.

    MiniStack's own mailbox has no headers, tags and configuration set.
    """

    async def handle_request(
        method: str, path: str, headers: object, body: bytes, query: object
    ) -> Answer:
        answer = await handle(method, path, headers, body, query)
        if path.endswith("/outbound-emails") and answer[0] == HTTPStatus.OK:
            mails.append({"sentAt": time.time(), "request": json.loads(body)})
        return answer

    return handle_request


class Package(zipfile.ZipFile):
    """Code or a layer, unpacked (and its byte code made) once for all workers that start with it.

    MiniStack unpacks both for each. Nobody may write there on AWS, so sharing shows in nothing.
    """

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        content = str([(each.filename, each.CRC) for each in self.infolist()])
        package = Path("packages", hashlib.sha256(content.encode()).hexdigest()).absolute()
        with unpacking:
            if not package.exists():
                unfinished = package.with_suffix(".unfinished")
                super().extractall(unfinished, members, pwd)
                unfinished.rename(package)
        Path(path).rmdir()
        Path(path).symlink_to(package)


def acquire_worker(
    function: str, config: object, code: bytes, qualifier: str = "$LATEST", _: int | None = None
) -> tuple[object, str]:
    """A worker for an invocation, after a wait if there are enough already.

    MiniStack starts one for each invocation that finds none free. Sixty at once take a minute, in
    which everything that they ask of each other times out. None of our functions invokes another
    and waits for it, so nobody waits for a worker that waits for them.
    """
    while True:
        worker, how = lambda_runtime.acquire_worker(
            function, config, code, qualifier=qualifier, max_concurrency=WORKERS
        )
        if worker is None:
            time.sleep(0.02)
            continue
        if how == "spawn":
            with starting, suppress(Exception):  # the invocation tries again, and tells of it
                lambda_runtime.ensure_spawned(worker)
        return worker, how


def invoke_for_event(arn: str, payload: str) -> None:
    """Invokes a rule's target as AWS does: again if it fails, then its on-failure destination.

    MiniStack's own EventBridge invokes once and forgets, though its Lambda can do this.
    """
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)  # noqa: SLF001 - as MiniStack's S3
    if function and config:
        record = lambda_svc._execution_record_for_config(function, config)  # noqa: SLF001
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))


if __name__ == "__main__":
    main()
