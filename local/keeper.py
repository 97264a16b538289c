"""Runs a command and ends it, with everything it started, when standard input closes.

Standard input is a pipe from whoever started this. It closes when they say so and also when they
die, however they die, so no emulator and none of its Lambdas is ever left behind. Standard library
only; started in a session of its own, so that Ctrl-C in the terminal does not reach the command.
"""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> None:
    """Ends with the command's exit status if that ends first, else by SIGKILL with its group."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def follow() -> None:
        code = process.wait()
        if code:
            print(f"{command[0]} ended with {code}", file=sys.stderr, flush=True)
        end()

    threading.Thread(target=follow, daemon=True).start()
    sys.stdin.buffer.read()
    end()


def end() -> None:
    """Ends this process and all others of its group at once; the emulator's state is not kept."""
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
