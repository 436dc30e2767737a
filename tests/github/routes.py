"""Every operation of the REST API that the fake knows."""

from tests.github import rest_checks, rest_issues, rest_pulls, rest_repository
from tests.github.calls import Route

RATE_LIMIT = "GET /rate_limit"
"""Answered by the gate itself, which keeps the count."""

ROUTES: tuple[Route, ...] = tuple(
    route
    for module in (rest_repository, rest_issues, rest_pulls, rest_checks)
    for route in module.table.routes
)


def operations() -> frozenset[str]:
    """The operations that GitHub's description is trimmed to."""
    return frozenset({RATE_LIMIT, *(route.operation for route in ROUTES)})


def find(method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
    """Who answers a call, and the parameters in its path, still with the path as it was sent."""
    for route in ROUTES:
        parameters = route.match(method, raw_path)
        if parameters is not None:
            return route, parameters
    return None
