"""Tells systemd how the coordinator does: the protocol of sd_notify(3), which is a few datagrams."""

import contextlib
import math
import socket
import time

from orch.ports import Life

ALIVE_SECONDS = 1.0
"""Not oftener than this: the loop may turn many times a second."""
MARGIN = 3
"""The loop says that it is alive this often in the time after which systemd takes it for dead."""


class NobodySupervisor:
    """The Supervisor where nobody supervises."""

    interval = math.inf

    def tell(self, life: Life, status: str = "") -> None:
        """See `Supervisor`."""


class SystemdSupervisor:
    """The Supervisor of a service with `Type=notify`."""

    def __init__(self, address: str, watchdog: float = 0.0) -> None:
        """`address` is $NOTIFY_SOCKET; `watchdog` the seconds of WatchdogSec=, 0 for none."""
        # An @ stands for the NUL byte of the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.interval = watchdog / MARGIN if watchdog else math.inf
        self._said: tuple[Life, str] | None = None
        self._said_at = -math.inf

    def tell(self, life: Life, status: str = "") -> None:
        """See `Supervisor`. Where nobody listens, nothing happens."""
        now = time.monotonic()
        if life is Life.ALIVE and now - self._said_at < min(ALIVE_SECONDS, self.interval / 2):
            return
        if life is Life.STOPPING and self._said is not None and self._said[0] is life:
            return
        lines = {
            Life.READY: ["READY=1"],
            Life.ALIVE: ["WATCHDOG=1"],
            Life.RELOADING: [
                "RELOADING=1",
                f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}",
            ],
            Life.STOPPING: ["STOPPING=1"],
        }[life]
        if status:
            lines.append(f"STATUS={' '.join(status.split())}")
        self._said, self._said_at = (life, status), now
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(0)
            sender.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)
