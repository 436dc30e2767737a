"""GitHub's errors, as it words them."""

from collections.abc import Mapping, Sequence
from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"


class ApiError(Exception):
    """An error that GitHub answers. `errors` is what 422 gives beside its message: objects or sentences."""

    def __init__(self, status: int, message: str, errors: Sequence[Mapping[str, Any] | str] = ()) -> None:
        super().__init__(f"{status} {message}" + (f": {list(errors)}" if errors else ""))
        self.status = status
        self.message = message
        self.errors = tuple(errors)

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"message": self.message}
        if self.errors:
            body["errors"] = list(self.errors)
        return {**body, "documentation_url": DOCUMENTATION, "status": str(self.status)}


def not_found() -> ApiError:
    return ApiError(404, "Not Found")


def gone() -> ApiError:
    return ApiError(410, "This issue was deleted")


def forbidden(message: str = "Resource not accessible by personal access token") -> ApiError:
    return ApiError(403, message)


def invalid(resource: str, field: str, code: str = "invalid", **more: Any) -> ApiError:
    """422 for one field; `code` is invalid, missing_field, already_exists ..."""
    return ApiError(422, "Validation Failed", [{"resource": resource, "field": field, "code": code, **more}])


def refused(resource: str, message: str) -> ApiError:
    """422 with a sentence of its own."""
    return ApiError(422, "Validation Failed", [{"resource": resource, "code": "custom", "message": message}])
