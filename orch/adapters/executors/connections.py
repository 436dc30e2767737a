"""Whether processes are connected to anybody else: who waits for an API does nothing, and is at work.

Standard library only, see processes.py. Without /proc (macOS) nothing is found.
"""

# pathlib would cost each launcher time and memory.
# ruff: noqa: PTH115, PTH208

import os

from orch.adapters.executors import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ESTABLISHED = b"01"
"""TCP_ESTABLISHED in <netinet/tcp.h>, as /proc/net/tcp has it (proc(5))."""

_MAPPED = b"0000000000000000FFFF0000"
"""How an IPv4 address begins that an IPv6 socket has."""


def reach_others(pids: "Sequence[int]") -> bool:
    """Whether any of these processes has a TCP connection whose other end is none of them.

    The other end may be on this machine: a model server, a proxy. Raises OSError where it could not look.
    """
    sockets: dict[str, set[bytes]] = {}
    tables: dict[str, int] = {}
    for pid in pids:
        if mine := set(_sockets(pid)):
            # A sandbox may have put it into a network of its own.
            try:
                network = os.readlink(f"/proc/{pid}/ns/net")
            except FileNotFoundError:
                continue
            sockets.setdefault(network, set()).update(mine)
            tables[network] = pid
    return any(_reach_others(inodes, tables[network]) for network, inodes in sockets.items())


def _reach_others(inodes: "set[bytes]", pid: int) -> bool:
    ends = set()
    for name in ("tcp", "tcp6"):
        for line in (processes.read(f"/proc/{pid}/net/{name}") or b"").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _ESTABLISHED and fields[9] in inodes:
                ends.add((fields[1].removeprefix(_MAPPED), fields[2].removeprefix(_MAPPED)))
    return any((there, here) not in ends for here, there in ends)


def _sockets(pid: int) -> "Iterator[bytes]":
    """The inodes of the sockets that a process has open."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or become another user's
        return
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if target.startswith("socket:["):
            yield target[8:-1].encode()
