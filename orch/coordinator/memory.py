"""Going on where the system gives orch no more memory."""

import logging
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger(__name__)

MEMORY_SECONDS = 1.0
"""What lacked memory is tried again after this: nobody tells when there is some."""

P = ParamSpec("P")
T = TypeVar("T")


def insist(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do a step, and where it lacks memory do it again after a while, until there is some.

    A step must be safe to repeat. Gives what it gives, and raises what else it raises.
    """
    while True:
        try:
            return step(*args, **kwargs)
        except MemoryError:
            complain()
        # Not before here is free what the step had.
        time.sleep(MEMORY_SECONDS)


def complain() -> None:
    """Say that memory is lacking, if there is enough for that."""
    try:
        log.error("orch gets no more memory; it waits for some")
    except MemoryError:
        return  # The next time it may be said.
