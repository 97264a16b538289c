"""Starts and stops MiniStack, the embedded AWS, in an environment of its own."""

import errno
import fcntl
import importlib.metadata
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import urllib3

from local.console import ProblemError
from local.tools import ENVIRONMENTS, ROOT

REGION = "us-east-1"
ACCOUNT = "000000000000"
READY_SECONDS = 60
SECONDS_TO_END = 2  # what a run that was killed a moment ago needs to give up its port
TRASH = ROOT / ".local" / "trash"
SIOCGIFADDR = 0x8915  # Linux: the address of a network interface
LOOPBACK = ("127.0.0.1", "::1")


class Emulator:
    """A MiniStack that answers at `endpoint`; ends when `stop` is called or this process does."""

    def __init__(
        self,
        home: Path,
        port: int,
        *,
        run_id: str = "",
        origins: str = "",
        bridge: str = "",
        demo: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = home / "emulator.log"
        self._scratch = home / "emulator"
        discard(self._scratch)  # of a run that was killed
        self._scratch.mkdir(parents=True)
        addresses = [address for address in LOOPBACK if bind_error(address, 0) is None]
        with self.log.open("w") as log:
            self._keeper = subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("keeper.py")),
                    str(ENVIRONMENTS / "ministack" / "bin" / "python"),
                    "-m",
                    "local.serve",
                    f"--home={self._scratch}",
                    f"--run-id={run_id}",
                    f"--origins={origins}",
                    f"--demo={json.dumps(dict(demo))}",
                    *(f"[{address}]" if ":" in address else address for address in addresses),
                    *([bridge] if bridge else []),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=ROOT,
                env=self._environment(port),
            )

    def _environment(self, port: int) -> dict[str, str]:
        """A clean one: the Lambdas inherit it, and must not see this machine's AWS settings."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self._scratch),
            "TMPDIR": str(self._scratch),
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
            "AUTH": "true",
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "SFN_WAIT_SCALE": "0.1",  # Step Functions waits for exports, which are there at once
            "LAMBDA_ACCOUNT_CONCURRENCY": "1000",  # AWS's; those that wait for a worker count too
            "DOCKER_HOST": "unix:///nowhere",  # it would tidy up other MiniStacks' containers
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
        """Ends it and its Lambdas, and puts their files away."""
        if self._keeper.stdin:
            self._keeper.stdin.close()
        self._keeper.wait()
        discard(self._scratch)


def discard(folder: Path) -> None:
    """Puts a folder away at once; its files, which can be ten thousands, go in the background."""
    if not folder.exists():
        return
    doomed = TRASH / uuid.uuid4().hex
    try:
        TRASH.mkdir(exist_ok=True)
        folder.rename(doomed)
    except OSError:  # on another disk, as a test's temporary folder can be
        shutil.rmtree(folder, ignore_errors=True)
        return
    subprocess.run(
        ["sh", "-c", 'rm -rf -- "$@" &', "sh", *TRASH.iterdir()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=False,
    )


@contextmanager
def running_emulator(
    home: Path,
    port: int,
    *,
    run_id: str = "",
    origins: str = "",
    bridge: str = "",
    demo: Mapping[str, object] = MappingProxyType({}),
) -> Iterator[Emulator]:
    """A MiniStack behind its gate for the length of the block; its files and log lie under `home`.

    It listens on `port` of the loopback addresses and of `bridge`, Docker's, if that is given.
    Pages of `origins`, comma-separated, may call the API; `run_id` distinguishes it from others;
    `demo` are the players as whom the pages offer to sign in.
    """
    deadline = time.monotonic() + SECONDS_TO_END
    while not is_free(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    if not is_free(port) or (bridge and bind_error(bridge, port)):
        raise ProblemError(
            f"Port {port} is in use: stop what uses it, or choose another, as in LOCAL_PORT=4567 "
            "make run."
        )
    emulator = Emulator(home, port, run_id=run_id, origins=origins, bridge=bridge, demo=demo)
    try:
        emulator.wait_until_ready()
        yield emulator
    finally:
        emulator.stop()


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of this machine's loopback addresses."""
    return all(bind_error(address, port) != errno.EADDRINUSE for address in LOOPBACK)


def bind_error(address: str, port: int) -> int | None:
    """The errno of listening there; None if it is possible. Port 0 tests the address alone."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno
    return None


def bridge_addresses() -> dict[str, str]:
    """The address of each bridge of this machine, such as Docker's `docker0` (Linux only)."""
    found = {}
    for bridge in Path("/sys/class/net").glob("*/bridge"):
        name = bridge.parent.name
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, suppress(OSError):
            request = struct.pack("256s", name.encode())
            answer = fcntl.ioctl(asking, SIOCGIFADDR, request)
            found[name] = socket.inet_ntoa(answer[20:24])
    return found


def free_port() -> int:
    """A port that nothing listens on, below those that systems give to outgoing connections.

    One of those could be a connection's before a server listens on it.
    """
    while not is_free(port := random.randrange(20_000, 32_000)):
        pass
    return port


def version() -> str:
    """MiniStack's version, as in its environment."""
    packages = (ENVIRONMENTS / "ministack").glob("lib/python*/site-packages")
    for found in importlib.metadata.distributions(
        name="ministack", path=[str(path) for path in packages]
    ):
        return found.version
    raise ProblemError("MiniStack is not installed: run it through make.")
