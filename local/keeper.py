"""Runs a command and ends it, with everything it started, when standard input closes.

Standard input is a pipe from the parent process. It closes when they say so and also when they
die, however they die, so no emulator and none of its Lambdas is ever left behind. Standard library
only; started in a session of its own, so that Ctrl-C in the terminal does not reach the command.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main(command: list[str]) -> None:
    """Returns when the command has ended, or was ended, and its group with it."""
    # A group of its own: this process must outlive it, to see that its ports are free again.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def follow() -> None:
        code = process.wait()
        if code:
            print(f"{command[0]} ended with {code}", file=sys.stderr, flush=True)
        end(process)

    threading.Thread(target=follow, daemon=True).start()
    sys.stdin.buffer.read()
    end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the command with all others of its group, and then this process; no state is kept."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
