"""What the end of a worker's process says, in words."""

import signal

from orch.adapters import tails
from orch.core.model import EndReason, Exit

UNCHARGED = frozenset({EndReason.SPAWN, EndReason.STOPPED, EndReason.INTERRUPTED})
"""Ends that say nothing about the task: they cost no attempt (issue 2, number 8)."""

_REASONS = {
    EndReason.TIMEOUT: "timed out",
    EndReason.MEMORY: "over its memory limit",
    EndReason.STALLED: "stalled, no output and no CPU",
    EndReason.OUTPUT: "printed too much",
    EndReason.STOPPED: "stopped",
    EndReason.LINGERED: "did not leave after its last word",
    EndReason.SPAWN: "the command could not be started",
    EndReason.LOST: "the launcher vanished",
    EndReason.INTERRUPTED: "the machine restarted",
}


def is_free(exit: Exit) -> bool:
    """Whether an attempt that ended so costs none."""
    return exit.reason in UNCHARGED


def is_forced(exit: Exit) -> bool:
    """Whether somebody else ended it, so that its own words do not tell why."""
    return exit.reason not in (EndReason.EXITED, EndReason.LINGERED)


def describe(exit: Exit) -> str:
    """One line for a person: how a worker's process ended."""
    if exit.reason is not EndReason.EXITED:
        what = _REASONS[exit.reason]
    elif exit.signal is not None:
        what = f"killed by {_signal_name(exit.signal)}"
    else:
        what = "ended without an exit code" if exit.code is None else f"exit code {exit.code}"
    message = tails.clean(exit.message).replace("\n", " ").strip()
    return f"{what}: {message}" if message and message != what else what


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
