"""Starting a thread on a system that may have none to give."""

import _thread
import threading
from collections.abc import Callable

BEGIN_SECONDS = 2.0
"""A thread that has not begun by then never will: it got no memory. What it was to do is tried again."""


def start_thread(name: str, target: Callable[..., None], *arguments: object) -> bool:
    """Start a daemon thread; whether the system had one to give, and the memory to begin with.

    `threading.Thread.start` waits for ever for a thread that dies of the lack of memory before it begins.
    """
    started = given_up = False

    def run() -> None:
        nonlocal started
        with lock:
            if given_up:
                return
            started = True
        began.release()
        threading.current_thread().name = name
        target(*arguments)

    try:
        # No Event: to wait for that takes memory.
        began, lock = threading.Lock(), threading.Lock()
        began.acquire()
        _thread.start_new_thread(run, ())
    except (RuntimeError, MemoryError):
        return False
    if began.acquire(timeout=BEGIN_SECONDS):
        return True
    with lock:
        given_up = True
        return started
