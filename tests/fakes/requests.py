"""A RequestStore in memory."""

from orch.core.model import PauseRequest, Request, SendRequest, StopRequest
from orch.core.names import is_task_id
from orch.errors import PermanentError
from tests.fakes.failing import Failing


class FakeRequestStore(Failing):
    """The RequestStore of a test: one request for each kind and task, the oldest first."""

    def __init__(self, reason: str | None = None) -> None:
        super().__init__()
        self._requests: dict[tuple[type, str], Request] = {}
        self._paused = reason

    def read(self) -> tuple[Request, ...]:
        self._enter("read")
        return tuple(self._requests.values())

    def post(self, request: Request) -> None:
        self._enter("post")
        key = _key(request)
        self._requests.pop(key, None)
        self._requests[key] = request

    def dismiss(self, request: Request) -> None:
        self._enter("dismiss")
        key = _key(request)
        if self._requests.get(key) == request:
            del self._requests[key]

    def paused(self) -> str | None:
        self._enter("paused")
        return self._paused

    def set_paused(self, reason: str | None) -> None:
        self._enter("set_paused")
        self._paused = reason


def _key(request: Request) -> tuple[type, str]:
    if isinstance(request, PauseRequest):
        return PauseRequest, ""
    everyone = isinstance(request, StopRequest) and not request.task
    if not everyone and not is_task_id(request.task):
        raise PermanentError(f"{request.task!r} is not a task id")
    return type(request), request.task + (request.id if isinstance(request, SendRequest) else "")
