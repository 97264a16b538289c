"""Starts and stops MiniStack, the embedded AWS, in an environment of its own."""

import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

from local.console import ProblemError
from local.tools import ENVIRONMENTS

REGION = "us-east-1"
ACCOUNT = "000000000000"
READY_SECONDS = 60


class Emulator:
    """A MiniStack that answers at `endpoint`; ends when `stop` is called or this process does."""

    def __init__(self, home: Path, port: int, bind: str) -> None:
        self.endpoint = f"http://localhost:{port}"
        self.log = home / "emulator.log"
        self._scratch = home / "emulator"
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        with self.log.open("w") as log:
            self._keeper = subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("keeper.py")),
                    str(ENVIRONMENTS / "ministack" / "bin" / "python"),
                    "-m",
                    "ministack",
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._scratch,
                env=self._environment(port, bind),
            )

    def _environment(self, port: int, bind: str) -> dict[str, str]:
        """A clean one: the Lambdas inherit it, and must not see this machine's AWS settings."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self._scratch),
            "TMPDIR": str(self._scratch),
            "GATEWAY_PORT": str(port),
            "BIND_HOST": bind,
            "AUTH": "true",
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }

    def is_running(self) -> bool:
        """Whether it is still there."""
        return self._keeper.poll() is None

    def wait_until_ready(self) -> None:
        """Returns when it answers; raises ProblemError if it ends or takes a minute."""
        deadline = time.monotonic() + READY_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            try:
                ready = urllib3.request(
                    "GET", f"{self.endpoint}/_ministack/ready", timeout=2, retries=False
                )
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
                continue
            if ready.status == 200:
                return
            time.sleep(0.05)
        raise ProblemError(f"The embedded AWS did not start; its last words are in {self.log}.")

    def stop(self) -> None:
        """Ends it and its Lambdas, and forgets their files."""
        if self._keeper.stdin:
            self._keeper.stdin.close()
        self._keeper.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)


@contextmanager
def running_emulator(home: Path, port: int, bind: str = "127.0.0.1") -> Iterator[Emulator]:
    """A MiniStack on `port` for the length of the block; its files and log lie under `home`."""
    if not is_free(port):
        raise ProblemError(
            f"Port {port} is in use: stop what uses it, or choose another, as in LOCAL_PORT=4567 make run."
        )
    emulator = Emulator(home, port, bind)
    try:
        emulator.wait_until_ready()
        yield emulator
    finally:
        emulator.stop()


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def version() -> str:
    """MiniStack's version, as in its environment."""
    packages = (ENVIRONMENTS / "ministack").glob("lib/python*/site-packages")
    for found in importlib.metadata.distributions(
        name="ministack", path=[str(path) for path in packages]
    ):
        return found.version
    raise ProblemError("MiniStack is not installed: run it through make.")
