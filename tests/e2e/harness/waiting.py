"""Waiting for conditions, never for time."""

import os
import threading
import time

IS_DEBUG_BUILD = os.environ.get("OUTRIGGER_KIND", "release") == "debug"
DEADLINE = 20 if IS_DEBUG_BUILD else 10  # seconds after which what did not come about fails the test
STEP = 0.005
_tick = threading.Event()  # never set: a pause between two looks


def slack(seconds):
    """An upper bound for something that the machine may be slow at; sanitizers make it slower."""
    return seconds * (4 if IS_DEBUG_BUILD else 2)


def wait_until(condition, timeout=DEADLINE, what=None):
    """Polls until `condition()` is true and returns what it returned; fails the test after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not come about within {timeout} s: {what or condition}")
        _tick.wait(STEP)


def stays(condition, seconds, what=None):
    """Fails as soon as `condition()` is false within `seconds`: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"did not stay so: {what or condition}"
        _tick.wait(STEP)
