"""The keeper: stands between launcher or guard and what they run, and ends that if they are killed.

It is a fork of the launcher and, like it, a subreaper: an orphan below it comes to it. Both see the death of
the other at once. If the keeper is killed, all that it had comes to the launcher, which ends it. If the
launcher is killed, the keeper ends everything that is below it, also what cannot be found by its environment
any more, and also where no coordinator runs that would notice. It ends as its own process did, so that the
launcher reads from it how that was.

Without /proc (macOS) there is none. Standard library only, see processes.py.
"""

import os
import resource

from orch.adapters.executors import processes
from orch.adapters.executors.worker import LEFTOVER_GRACE_SECONDS, Signals, Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from typing import NoReturn
else:
    import _signal as signal


def spawn(
    worker: Worker,
    argv: "tuple[str, ...]",
    environment: "Mapping[bytes, bytes]",
    files: "Sequence[int]",
    *,
    grace: float,
) -> int:
    """Start the process of `worker` under a keeper, see `Worker.spawn`; gives its pid.

    0 where the keeper was killed before it could tell. `grace` is in seconds. Raises OSError.
    """
    if not processes.HAS_PROC:
        worker.spawn(argv, environment, files)
        return worker.pid
    # Nobody closes `ours`: the end of this process does.
    theirs, ours = os.pipe()
    answer, tell = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ours)
        os.close(answer)
        _keep(worker, argv, environment, files, grace=grace, launcher=theirs, tell=tell)
    os.close(theirs)
    os.close(tell)
    said = os.read(answer, 4096)
    os.close(answer)
    if said.startswith(b"-"):
        os.waitpid(pid, 0)
        os.close(ours)
        raise OSError(said[1:].decode("utf-8", "replace"))
    worker.pid = pid
    return int(said or b"0")


def _keep(
    worker: Worker,
    argv: "tuple[str, ...]",
    environment: "Mapping[bytes, bytes]",
    files: "Sequence[int]",
    *,
    grace: float,
    launcher: int,
    tell: int,
) -> "NoReturn":
    try:
        # Who ends the group of the launcher does not end this.
        os.setpgid(0, 0)
        processes.adopt_orphans()
        signals = Signals(control=launcher)
        kept = worker.again(signals)
        try:
            kept.spawn(argv, environment, files)
        except OSError as error:
            os.write(tell, f"-{error}".encode("utf-8", "replace"))
            os._exit(1)
        os.write(tell, b"%d" % kept.pid)
        _let_go(tell)
        while True:
            kept.reap()
            if kept.status is not None:
                _end_like(kept.status)
            if signals.alone:
                # Whoever looks for what is left gives it the whole grace: this is over before that.
                kept.end(min(grace, LEFTOVER_GRACE_SECONDS))
                os._exit(1)
            signals.wait(None)
    finally:
        os._exit(1)


def _let_go(tell: int) -> None:
    """Keep no pipe open whose end somebody waits for. Locks stay held until all is over."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for file in (0, 1, tell):
        os.dup2(nowhere, file, inheritable=False)
    os.close(nowhere)


def _end_like(status: int) -> "NoReturn":
    """End as a process did that left this wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        # One core is enough.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
