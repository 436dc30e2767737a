"""The guard: runs one command of the person's own (verify, setup, teardown), and ends all that it started.

It is run as a script, `python -I -S guard.py ...`, one for each command, in a session of its own. Where a
worker is detached from its coordinator, this one is attached: standard input is a pipe whose other end only
the coordinator holds. When that end is closed, because the command is not wanted any more or because the
coordinator was killed, the command is ended: SIGTERM to everything it started, the grace, SIGKILL. The time
limit holds whatever becomes of the coordinator, and what the command leaves behind when it is over is ended
with it.

Arguments: the log, the name of the variable that marks its processes, LC_CTYPE as in `Orders`, timeout and
grace in seconds, most bytes of output (0: no limit for both), then the program and its arguments. Standard
error is the log. The last thing on standard output is what a launcher would write into exit.json; nothing
there means that the guard was killed itself.

Locks that it was given (`git.run`) are held until it is over, and by nobody whom it starts. Standard library
only, see processes.py.
"""

# pathlib and contextlib would cost each guard time and memory.
# ruff: noqa: PTH100, PTH208, SIM105

import os
import sys
import time

if not __package__:  # run as a script: only our own package is added, behind the standard library
    _here = os.path.abspath(__file__)
    sys.path.append(_here.removesuffix("/orch/adapters/executors/guard.py"))

from orch.adapters.executors import keeper, processes, run_files
from orch.adapters.executors.limits import Limits
from orch.adapters.executors.worker import Signals, Worker, supervise


def main(arguments: "list[str]") -> int:
    """Do what the arguments say; gives the exit status, which says nothing."""
    signals = Signals(control=0)
    log, name, locale, timeout, grace, output, *argv = arguments
    _keep_files_to_ourselves()
    processes.adopt_orphans()
    environment = dict(os.environb)
    environment.pop(b"LC_CTYPE", None)
    if locale.startswith("+"):
        environment[b"LC_CTYPE"] = os.fsencode(locale[1:])
    worker = Worker(os.environ[name], signals, name=name)
    limits = Limits(
        timeout=float(timeout),
        stall=0,
        memory=0,
        output=int(output),
        files=(log,),
        root=os.getpid(),
        now=time.monotonic(),
    )

    def start() -> None:
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            keeper.spawn(worker, tuple(argv), environment, (nothing, 2, 2), grace=float(grace))
        finally:
            os.close(nothing)

    exit = supervise(worker, limits, start, grace=float(grace), output=int(output))
    try:
        os.write(1, run_files.to_json(exit).encode("utf-8", "replace"))
    except OSError:  # nobody listens any more: the coordinator was killed
        pass
    return 0


def _keep_files_to_ourselves() -> None:
    """Have none but 0, 1 and 2 come to the command: the locks, and the pipes in their place."""
    folder = "/proc/self/fd" if processes.HAS_PROC else "/dev/fd"
    for name in os.listdir(folder):
        try:
            os.set_inheritable(int(name), int(name) <= 2)
        except OSError:  # that by which the folder was read
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
