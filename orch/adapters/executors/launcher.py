"""The launcher: starts one agent, watches it, ends everything it left, says how it ended.

It is run as a script, `python -I -S launcher.py`, one for each worker, in a session of its own, so
that neither the death of the coordinator nor that of the terminal stops anything. Orders come on
standard input (see `Orders`), the agent's environment is the launcher's own: nothing secret is in
an argument or a file. It writes, always whole, into the run directory:

    run.json    before the agent is started: the fence, by which a run starts only once
    exit.json   when everything is over, last

Killed at any instruction it leaves: no run.json (nothing was started; start again), or run.json
without exit.json (sweep what carries the run's ORCH_RUN_ID), or both.

SIGTERM, SIGINT and SIGQUIT end the agent: SIGTERM to everything it started, the grace, SIGKILL. A
second one changes nothing. SIGHUP is ignored. Standard library only, and little of it, because there
is one launcher for each worker: see processes.py.
"""

# pathlib and contextlib would cost each launcher time and memory.
# ruff: noqa: PTH100, SIM105

import os
import resource
import sys
import time

if not __package__:  # run as a script: only our own package is added, behind the standard library
    _here = os.path.abspath(__file__)
    sys.path.append(_here.removesuffix("/orch/adapters/executors/launcher.py"))

from orch.adapters.executors import processes, run_files
from orch.adapters.executors.limits import Limits
from orch.adapters.executors.orders import Orders
from orch.adapters.executors.worker import Signals, Worker

TAKEN = 73
"""Exit status: run.json was there, nothing was started (EX_CANTCREAT of sysexits.h)."""

FAILED = 74
"""Exit status: run.json could not be written, nothing was started (EX_IOERR)."""

LEFTOVER_GRACE_SECONDS = 1.0
"""What an agent left running when it ended gets this long between SIGTERM and SIGKILL at most."""

MESSAGE_LENGTH = 500
"""Characters of the message in exit.json: it has to fit into the space that is kept for the file."""


def main() -> int:
    """Do what the orders on standard input say; gives the exit status.

    That is the agent's (128 + N for signal N), TAKEN or FAILED.
    """
    signals = Signals()
    orders = Orders.decode(_read_all(0))
    run_id = os.environ[processes.MARK]
    if os.getsid(0) != os.getpid():
        os.setsid()
    processes.adopt_orphans()
    directory = orders.directory
    reserved = f"{directory}/exit.json.{os.getpid()}.tmp"
    record = _describe(orders)
    try:
        run_files.reserve(reserved)
        run_files.publish(f"{directory}/run.json", record)
    except OSError as error:
        run_files.discard(reserved)
        if isinstance(error, FileExistsError):
            return TAKEN
        run_files.complain(f"cannot write {directory}/run.json: {error.strerror}")
        return FAILED
    _announce()
    worker = Worker(orders, run_id, signals)
    exit = _supervise(worker, orders, record)
    run_files.write_exit(f"{directory}/exit.json", reserved, exit, signals.wait)
    code, number = exit["code"], exit["signal"]
    return code if isinstance(code, int) else 128 + number if isinstance(number, int) else 1


def _supervise(worker: Worker, orders: Orders, record: "dict[str, object]") -> "dict[str, object]":
    """From the start of the agent to the end of its last process; gives what exit.json says."""
    now = time.monotonic()
    files = (f"{orders.directory}/stdout.jsonl", f"{orders.directory}/stderr.log")
    limits = Limits(
        timeout=orders.timeout,
        stall=orders.stall,
        memory=orders.memory,
        output=orders.output,
        files=files,
        root=os.getpid(),
        now=now,
    )
    try:
        worker.start()
    except OSError as error:
        reason, message = "spawn", str(error)
    else:
        try:
            run_files.replace(f"{orders.directory}/run.json", {**record, "agent_pid": worker.pid})
        except OSError as error:  # a convenience for people only
            run_files.complain(f"cannot add the agent's pid to run.json: {error.strerror}")
        reason, message = worker.watch(limits)
        grace = min(orders.grace, LEFTOVER_GRACE_SECONDS) if reason == "exited" else orders.grace
        message = "; ".join(filter(None, (message, worker.end(grace))))
        worker.reap()
    if reason == "output":
        for path in files:
            run_files.cut(path, orders.output)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # In kilobytes on Linux, in bytes on macOS; of the largest single process.
    largest = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    status = worker.status
    return {
        "version": run_files.VERSION,
        "reason": reason,
        "code": os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None,
        "signal": os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None,
        "ended_at": time.time(),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "peak_rss_bytes": max(limits.peak_bytes, largest if worker.pid else 0),
        "message": message[:MESSAGE_LENGTH],
    }


def _describe(orders: Orders) -> "dict[str, object]":
    """What run.json says."""
    me = processes.look(os.getpid()) if processes.HAS_PROC else None
    return {
        "version": run_files.VERSION,
        "pid": os.getpid(),
        "start_ticks": me.start_ticks if me else 0,
        "boot_id": processes.boot_id(),
        "started_at": time.time(),
        "argv": orders.argv,
        "agent": orders.agent,
        "session_id": orders.session_id,
        "agent_pid": 0,
    }


def _announce() -> None:
    """Tell the executor, which waits at the other end of our output, that the run has started."""
    try:
        os.write(1, b"+")
    except OSError:  # nobody waits any more: the coordinator was killed
        pass
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _read_all(file: int) -> bytes:
    parts = []
    while part := os.read(file, 65536):
        parts.append(part)
    return b"".join(parts)


if __name__ == "__main__":
    sys.exit(main())
