"""Who has a conversation open: two processes that go on with the same one do not notice each other."""

import os

import psutil  # type: ignore[import-untyped]


def find_holder(session_id: str) -> int:
    """The pid of a process that names the conversation in its arguments, 0 where there is none.

    This process and those that it comes from are not meant. Takes a look at every process: some
    milliseconds, at a launch only. Processes of other users may not be seen.
    """
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or ()
        if process.pid not in mine and any(session_id in word for word in words):
            return int(process.pid)
    return 0
