"""Threads that call again and again, from `with` to its end."""

import threading

from .waiting import slack


class Crew:
    """with Crew(work, work): each `work()` runs on a thread of its own and looks at `is_over` between two calls."""

    def __init__(self, *works):
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]

    @property
    def is_over(self):
        return self._stop.is_set()

    def pause(self, seconds):
        self._stop.wait(seconds)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(slack(20))
