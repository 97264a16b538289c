"""Serves the embedded AWS behind its gate, in one process: there is no port but the gate's.

Started by local/emulator.py with the Python of MiniStack's environment, as `python -m local.serve`.
"""

import argparse
import asyncio
import os
import resource

from hypercorn.asyncio import serve  # type: ignore[import-not-found]
from hypercorn.config import Config  # type: ignore[import-not-found]
from ministack.app import app  # type: ignore[import-not-found]

from local.gate import Gate


def main() -> None:
    """Serves until it is killed; `GATEWAY_PORT` and MiniStack's own settings are in the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True, help="the folder to work in")
    parser.add_argument("--run-id", required=True)
    parser.add_argument(
        "--origins", default="", help="those that may call the API, comma-separated"
    )
    parser.add_argument("addresses", nargs="+", help="where to listen")
    arguments = parser.parse_args()
    os.chdir(arguments.home)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port = int(os.environ["GATEWAY_PORT"])
    config = Config()
    config.bind = [f"{address}:{port}" for address in arguments.addresses]
    config.keep_alive_timeout = 75
    config.loglevel = "INFO"
    origins = [origin for origin in arguments.origins.split(",") if origin]
    gate = Gate(app, port, origins, arguments.run_id)
    asyncio.run(serve(gate, config, mode="asgi"))


if __name__ == "__main__":
    main()
