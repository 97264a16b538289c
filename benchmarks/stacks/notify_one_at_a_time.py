"""The notifier with one thread instead of several."""

from concurrent.futures import ThreadPoolExecutor

from app import handler as handler  # type: ignore[import-not-found] # the function's folder is in the path

from heist_core import wiring

_ONE = ThreadPoolExecutor(1)
setattr(wiring, "record_executor", lambda: _ONE)  # noqa: B010 - mypy knows another type
