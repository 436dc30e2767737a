"""What the command line asks of a coordinator, as files: they wait where no coordinator runs.

.orch/requests/stop-gh-471.json   one file for each kind and task, so that twice is once
.orch/requests/stop-all.json
.orch/requests/retry-gh-471.json
.orch/requests/approve-gh-471.json
.orch/requests/send-gh-471-0f3a.json   one for each message
.orch/requests/pause.json         `orch pause` and `orch resume`: the last one counts
.orch/requests/bad/               what could not be understood
.orch/pause.json                  there while the fleet is paused, with the reason
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from orch.adapters.store import atomic, records
from orch.core.model import (
    ApproveRequest,
    PauseRequest,
    Request,
    RetryRequest,
    SendRequest,
    StopRequest,
)
from orch.core.names import is_task_id
from orch.errors import PermanentError, TransientError

MESSAGE_ID = re.compile(r"[a-z0-9]{1,32}")
EVERY = "all"
"""Stands for «every task» in a file name. No task id: those have a dash and a number."""
SETTLED_SECONDS = 1.0
"""A file this young may still be being written by hand, so it is not called bad yet."""
LOCK_SECONDS = 2.0
"""The lock is held for milliseconds; after this, whoever holds it hangs."""
LOCK_STEP_SECONDS = 0.005

_KINDS = {StopRequest: "stop", RetryRequest: "retry", ApproveRequest: "approve"}


class _File(msgspec.Struct, frozen=True):
    """A request as it is written."""

    kind: str
    task: str = ""
    reason: str = ""
    now: bool = False
    fresh: bool = False
    paused: bool = False
    digest: str = ""
    text: str = ""
    id: str = ""
    restart: bool = False


class _Pause(msgspec.Struct, frozen=True):
    reason: str = ""


class RequestFiles:
    """The RequestStore on disk. `warn` gets one line for each file that was not understood."""

    def __init__(
        self, directory: Path, *, warn: Callable[[str], None], now: Callable[[], float] = time.time
    ) -> None:
        """`directory` is `.orch`; it is made when it is needed. `now` is seconds since the epoch."""
        self._folder = directory / "requests"
        self._pause = directory / "pause.json"
        self._warn = warn
        self._now = now
        self._told: set[tuple[str, int]] = set()

    def read(self) -> tuple[Request, ...]:
        """Every request that waits, the oldest first. Bad files are moved to `requests/bad/`.

        Raises TransientError where the folder cannot be read.
        """
        found = []
        for path in self._files():
            try:
                changed = path.lstat().st_mtime_ns
                request = self._understand(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise atomic.failure("read", path, error) from error
            except records.DamagedError as error:
                self._set_aside(path, error)
            except PermanentError as error:
                self._tell(path, error.message)
            except TransientError as error:
                if not isinstance(error.__cause__, PermissionError):
                    raise
                # Somebody else's file (sudo) will not get better: the others must not wait for it.
                self._tell(path, error.message)
            else:
                if request is not None:
                    found.append((changed, path.name, request))
        return tuple(request for _, _, request in sorted(found, key=lambda entry: entry[:2]))

    def post(self, request: Request) -> None:
        """Ask. It replaces what was asked before of the same kind for the same task.

        Raises PermanentError for a task id that is not well-formed, TransientError where the file
        cannot be written.
        """
        path = self._folder / _name(request)
        atomic.make_folder(self._folder, durable=True)
        with self._lock():
            atomic.write(path, records.encode(_file(request)), durable=True)

    def dismiss(self, request: Request) -> None:
        """Forget a request if it still reads the same. Nothing happens if it is gone.

        Raises TransientError where the file cannot be removed.
        """
        path = self._folder / _name(request)
        if not os.path.lexists(path):
            return
        with self._lock():
            try:
                same = self._understand(path) == request
            except PermanentError:
                return
            if same:
                atomic.remove(path, durable=True)

    def paused(self) -> str | None:
        """Why the fleet is paused, None while it is not.

        A file that cannot be understood pauses too: better to wait than to spend money against
        somebody's wish. Raises TransientError where it cannot be read.
        """
        try:
            pause = records.read(self._pause, _Pause)
        except PermanentError as error:
            return f"{error.message}; `orch resume` goes on"
        return None if pause is None else pause.reason or "paused"

    def set_paused(self, reason: str | None) -> None:
        """Remember that the fleet is paused and why, or that it is not. Raises TransientError."""
        if reason is None:
            atomic.remove(self._pause, durable=True)
        else:
            atomic.make_folder(self._pause.parent, durable=True)
            atomic.write(self._pause, records.encode(_Pause(reason)), durable=True)

    def _files(self) -> list[Path]:
        try:
            paths = list(self._folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise atomic.failure("read", self._folder, error) from error
        return [path for path in paths if path.suffix == ".json" and not path.name.startswith(".")]

    def _understand(self, path: Path) -> Request | None:
        """The request in a file, None where it is gone.

        Raises DamagedError for what is none, and for a request under a wrong name: nothing would
        ever dismiss it.
        """
        file = records.read(path, _File)
        if file is None:
            return None
        request = _request(file)
        if request is None or _name_or_nothing(request) != path.name:
            raise records.DamagedError(f"{path} is no request that orch knows")
        return request

    def _set_aside(self, path: Path, error: records.DamagedError) -> None:
        """Move a bad file to `bad/`, unless somebody is still writing it or has just replaced it."""
        try:
            with self._lock():
                if abs(self._now() - path.lstat().st_mtime) < SETTLED_SECONDS or not self._is_bad(path):
                    return
                bad = self._folder / "bad"
                bad.mkdir(exist_ok=True)
                target = bad / path.name
                if os.path.lexists(target):
                    target = bad / f"{path.stem}-{time.time_ns()}{path.suffix}"
                path.rename(target)
        except FileNotFoundError:
            return
        except (OSError, TransientError) as obstacle:
            # It stays where it is and is not obeyed; the other requests must not wait for it.
            self._tell(path, f"{error.message}; it could not be moved aside: {obstacle}")
        else:
            self._warn(f"{error.message}; moved to {target}")

    def _is_bad(self, path: Path) -> bool:
        try:
            self._understand(path)
        except records.DamagedError:
            return True
        except PermanentError:
            return False
        return False

    def _tell(self, path: Path, message: str) -> None:
        """Warn once for each version of a file that stays where it is."""
        try:
            version = (path.name, path.lstat().st_mtime_ns)
        except OSError:
            version = (path.name, 0)
        if version not in self._told:
            self._told.add(version)
            self._warn(message)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the folder's lock, so that «compare, then remove» is one step.

        The kernel lets go of it when its holder dies. Raises TransientError where it is not to be had.
        """
        path = self._folder / ".lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise atomic.failure("open", path, error) from error
        try:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _try_lock(descriptor, path):
                if time.monotonic() > deadline:
                    raise TransientError(f"{path} is held by another orch", hint="does one hang?")
                time.sleep(LOCK_STEP_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise atomic.failure("lock", path, error) from error
    return True


def _name(request: Request) -> str:
    """The file name of a request. Raises PermanentError for a task id that is not well-formed."""
    match request:
        case PauseRequest():
            return "pause.json"
        case StopRequest(task=""):
            return f"stop-{EVERY}.json"
        case StopRequest(task=task) | RetryRequest(task=task) | ApproveRequest(task=task) if is_task_id(task):
            return f"{_KINDS[type(request)]}-{task}.json"
        case SendRequest(task=task, id=name) if is_task_id(task) and MESSAGE_ID.fullmatch(name):
            return f"send-{task}-{name}.json"
    raise PermanentError(f"{request.task!r} is not a task id", hint="an id is like gh-471 or t-3")


def _name_or_nothing(request: Request) -> str:
    try:
        return _name(request)
    except PermanentError:
        return ""


def _file(request: Request) -> _File:
    match request:
        case PauseRequest():
            return _File("pause", reason=request.reason, paused=request.paused)
        case StopRequest():
            return _File("stop", request.task, request.reason, now=request.now)
        case RetryRequest():
            return _File("retry", request.task, fresh=request.fresh)
        case ApproveRequest():
            return _File("approve", request.task, digest=request.digest)
        case SendRequest(task, text, name, restart):
            return _File("send", task, text=text, id=name, restart=restart)


def _request(file: _File) -> Request | None:
    match file.kind:
        case "pause":
            return PauseRequest(file.paused, file.reason)
        case "stop":
            return StopRequest(file.task, file.reason, file.now)
        case "retry":
            return RetryRequest(file.task, file.fresh)
        case "approve" if file.digest:
            return ApproveRequest(file.task, file.digest)
        case "send":
            return SendRequest(file.task, file.text, file.id, file.restart)
    return None
