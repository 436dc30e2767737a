"""GraphQL's connections, people and errors."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.github.links import Links
from tests.github.shapes_repository import node
from tests.github.state import User

Node = dict[str, Any]
MAX_ITEMS = 100


class GraphError(Exception):
    """An error that only GraphQL has; `kind` is GitHub's word for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def connection(
    name: str, items: Sequence[Any], render: Callable[[Any], Node], **more: Any
) -> Callable[..., Node]:
    """A field that gives a page of a list. GitHub insists on `first` or `last`, of 100 at most."""

    def take(
        first: int | None = None,
        last: int | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> Node:
        size = first if first is not None else last
        if size is None:
            message = (
                f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
            )
            raise GraphError("MISSING_PAGINATION_BOUNDARIES", message)
        if not 1 <= size <= MAX_ITEMS:
            message = (
                f"Requesting {size} records on the `{name}` connection exceeds the limit of {MAX_ITEMS}."
            )
            raise GraphError("EXCESSIVE_PAGINATION", message)
        low = _position(after) + 1 if after else 0
        high = _position(before) if before else len(items)
        start, end = (low, min(low + size, high)) if first is not None else (max(low, high - size), high)
        nodes = [render(item) for item in items[start:end]]
        cursors = [str(at) for at in range(start, max(start, end))]
        return {
            **more,
            "totalCount": len(items),
            "nodes": nodes,
            "edges": [
                {"cursor": cursor, "node": found} for cursor, found in zip(cursors, nodes, strict=True)
            ],
            "pageInfo": {
                "hasNextPage": end < len(items),
                "hasPreviousPage": start > 0,
                "startCursor": cursors[0] if cursors else None,
                "endCursor": cursors[-1] if cursors else None,
            },
        }

    return take


def _position(cursor: str) -> int:
    if not cursor.isdecimal():
        raise GraphError("INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor.")
    return int(cursor)


def actor(links: Links, user: User) -> Node:
    return {
        "__typename": user.kind,
        "login": user.login,
        "id": node("U", user.id),
        "databaseId": user.id,
        "url": f"{links.site}/{user.login}",
    }
