"""Runs requests one step at a time, so that a seed decides which of them goes on.

Each request runs in a thread of its own, but only the one whose turn it is runs; turns change
where the request says `pause`, which the injector does before everything that is sent.
"""

import random
import threading
from collections.abc import Callable, Sequence


class Deviation(BaseException):
    """The system did what the game does not allow. Passes through the product's own handlers."""


class Crashed(BaseException):
    """The process of one request ended here, as when Lambda kills it."""


class _Abandoned(BaseException):
    """Another request deviated; this one need not end."""


class _Task(threading.Thread):
    def __init__(self, scheduler: "Scheduler", number: int, work: Callable[[], None]) -> None:
        super().__init__(name=f"request {number}", daemon=True)
        self.turn = threading.Semaphore(0)
        self.error: BaseException | None = None
        self._scheduler = scheduler
        self._work = work

    def run(self) -> None:
        self.turn.acquire()
        try:
            if not self._scheduler.abandoned:
                self._work()
        except _Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where the seed is known
            self.error = error
        self._scheduler.ended(self)


class Scheduler:
    def __init__(self, rng: random.Random) -> None:
        self.abandoned = False
        self._rng = rng
        self._playing: list[_Task] = []
        self._current: _Task | None = None
        self._idle = threading.Semaphore(0)

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Run all to their ends, interleaved as the seed says; raises what one of them raised."""
        tasks = [_Task(self, number, work) for number, work in enumerate(works, 1)]
        self._playing = list(tasks)
        for task in tasks:
            task.start()
        while self._playing:
            self._current = self._rng.choice(self._playing)
            self._current.turn.release()
            self._idle.acquire()
            self.abandoned = any(task.error for task in tasks)
        self._current = None
        self.abandoned = False
        for task in tasks:
            task.join()
        for task in tasks:
            if task.error is not None:
                raise task.error

    def pause(self) -> None:
        """Let any of the requests go on; outside of `run` there is no other."""
        task = self._current
        if task is None:
            return
        self._idle.release()
        task.turn.acquire()
        if self.abandoned:
            raise _Abandoned

    def ended(self, task: _Task) -> None:
        self._playing.remove(task)
        self._idle.release()
