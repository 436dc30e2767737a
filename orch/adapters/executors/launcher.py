"""The launcher: starts one agent, watches it, ends everything it left, says how it ended.

It is run by `python -I -S` (see launching.py), one for each worker, in a session of its own, so that
neither the death of the coordinator nor that of the terminal stops anything. Orders come on
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
import sys
import time

if not __package__:  # run as a script: only our own package is added, behind the standard library
    _here = os.path.abspath(__file__)
    sys.path.append(_here.removesuffix("/orch/adapters/executors/launcher.py"))

from orch.adapters.executors import keeper, processes, run_files
from orch.adapters.executors.limits import Limits
from orch.adapters.executors.orders import Orders
from orch.adapters.executors.worker import Signals, Worker, supervise

TAKEN = 73
"""Exit status: run.json was there, nothing was started (EX_CANTCREAT of sysexits.h)."""

FAILED = 74
"""Exit status: run.json could not be written, nothing was started (EX_IOERR)."""


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
    worker = Worker(run_id, signals)

    def start() -> None:
        pid = _start(worker, orders)
        try:
            run_files.replace(f"{directory}/run.json", {**record, "agent_pid": pid})
        except OSError as error:  # a convenience for people only
            run_files.complain(f"cannot add the agent's pid to run.json: {error.strerror}")

    exit = supervise(worker, _limits(orders), start, grace=orders.grace, output=orders.output)
    run_files.write_exit(f"{directory}/exit.json", reserved, exit, signals.wait)
    code, number = exit["code"], exit["signal"]
    return code if isinstance(code, int) else 128 + number if isinstance(number, int) else 1


def _limits(orders: Orders) -> Limits:
    return Limits(
        timeout=orders.timeout,
        stall=orders.stall,
        memory=orders.memory,
        output=orders.output,
        files=(f"{orders.directory}/stdout.jsonl", f"{orders.directory}/stderr.log"),
        sign=f"{orders.directory}/stall.json",
        linger=orders.linger,
        last_words=orders.last_words,
        root=os.getpid(),
        now=time.monotonic(),
    )


def _start(worker: Worker, orders: Orders) -> int:
    """Start the agent in its worktree, its prompt on standard input; gives its pid.

    Raises OSError with a message.
    """
    environment = dict(os.environb)
    environment.pop(b"LC_CTYPE", None)
    if orders.locale is not None:
        environment[b"LC_CTYPE"] = os.fsencode(orders.locale)
    files: list[int] = []
    try:
        for name, flags in (
            ("prompt.md", os.O_RDONLY),
            ("stdout.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT),
            ("stderr.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT),
        ):
            path = f"{orders.directory}/{name}"
            files.append(os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        os.chdir(orders.worktree)
        return keeper.spawn(worker, orders.argv, environment, files, grace=orders.grace)
    except OSError as error:
        if error.filename is not None:
            raise OSError(f"cannot open {error.filename}: {error.strerror}") from error
        raise
    finally:
        for file in files:
            os.close(file)
        os.chdir("/")


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
