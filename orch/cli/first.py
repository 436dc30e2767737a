"""orch as the first process of a container: somebody has to bury the dead.

The kernel gives every orphan of a container to its process 1, sends that one no signal that it does not
expect, and kills all others when it ends. A coordinator must not do that work itself: it would take from
subprocess, and from git, the exit codes that they wait for. So process 1 becomes a small parent that does
nothing else.
"""

import os
import signal
import sys

FORWARDED = frozenset(
    {
        *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT),
        *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT),
    }
)
"""What is sent to process 1 and meant for orch."""


def run_beside_init(*, process: int | None = None) -> None:
    """If this is process 1, go on in a child of it, and stay behind as init until the child is over.

    Returns at once in any other process, and in the child. In process 1 it never returns: it ends with the
    child's exit code, or with 128 and the signal that ended it. Call it before any thread is started.
    """
    if (os.getpid() if process is None else process) != 1:
        return
    # Blocked before there is a child, so that no signal is lost; the child takes the old mask back.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*FORWARDED, signal.SIGCHLD})
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os._exit(_keep(child))


def _keep(child: int) -> int:
    """Forward signals and reap, until the child is over. Gives the exit code."""
    while True:
        told = signal.sigwaitinfo({*FORWARDED, signal.SIGCHLD})
        if told.si_signo == signal.SIGCHLD:
            status = _reap(child)
            if status is not None:
                return status
        elif told.si_code <= 0:
            # Sent by a process. What the terminal sends (^C) has the whole group, the child too, already.
            os.kill(child, told.si_signo)


def _reap(child: int) -> int | None:
    """Bury all that are dead. Gives the exit code of the child, None while it lives."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code
