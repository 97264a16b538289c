"""Stands in for Lambda's runtime: one handler, called N times with one event.

    python -S -s -P -B probe.py HANDLER EVENT.json N FOLDER...

Only the standard library and the given folders can be imported, and byte code is never written, as
on Lambda's read-only file system. N = 0 imports only. `@number@` in the event is the call's number.
Prints the last answer, and with `--modules` the modules that were loaded.
"""

import importlib
import json
import sys
from typing import Any


class Context:
    """What Lambda passes beside the event."""

    function_name = "benchmark"
    function_version = "$LATEST"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:benchmark"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    log_group_name = log_stream_name = "benchmark"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def main(handler: str, event_file: str, times: str, *folders: str) -> Any:
    """The handler's last answer."""
    sys.path[:0] = folders
    module, _, name = handler.rpartition(".")
    call = getattr(importlib.import_module(module), name)
    with open(event_file, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would be counted
        text = file.read()
    answer = None
    for number in range(int(times)):
        answer = call(json.loads(text.replace("@number@", str(number))), Context())
    return answer


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--modules"]
    answer = main(*arguments)
    print(json.dumps(sorted(sys.modules) if "--modules" in sys.argv else answer))
