"""GraphQL, on GitHub's published schema: what a query may ask, and how its errors look."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from tests.github import packages
from tests.github.errors import ApiError
from tests.github.graph_lists import GraphError
from tests.github.graph_nodes import Nodes
from tests.github.links import Links, stamp
from tests.github.state import User
from tests.github.traffic import Allowance
from tests.github.world import World


@cache
def schema() -> GraphQLSchema:
    """GitHub's schema, read once; it takes about a second."""
    return build_schema(packages.read_graph(), assume_valid=True, no_location=True)


@lru_cache(maxsize=64)
def _read(query: str) -> tuple[DocumentNode | None, Sequence[GraphQLError]]:
    """A query, None where it is none, and what is wrong with it."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, [error]
    return document, validate(schema(), document)


def _query(body: Any) -> str:
    query = body.get("query") if isinstance(body, Mapping) else None
    return query if isinstance(query, str) else ""


class Graph:
    """Answers queries. What the fake or GitHub's schema does not know goes to `violations`."""

    def __init__(self, world: World, allowance: Allowance, violations: list[str]) -> None:
        self._world = world
        self._allowance = allowance
        self._violations = violations

    def check(self, body: Any) -> None:
        """Hold a query against the schema. GitHub would not carry out what it does not know."""
        self._violations += [f"GraphQL: {error.message}" for error in _read(_query(body))[1]]

    def answer(self, body: Any, actor: User, links: Links) -> dict[str, Any]:
        """The JSON for a POST to /graphql."""
        document, errors = _read(_query(body))
        if document is None or errors:
            return {"errors": [_shape(error) for error in errors]}
        return self._execute(document, body, Nodes(self._world, actor, links))

    def _execute(self, document: DocumentNode, body: Mapping[str, Any], nodes: Nodes) -> dict[str, Any]:
        root = {**nodes.root(), "rateLimit": self._rate_limit}
        result = execute_sync(
            schema(),
            document,
            root,
            variable_values=body.get("variables") or {},
            operation_name=body.get("operationName"),
            field_resolver=self._resolve,
        )
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [_shape(error) for error in result.errors]
            for error in result.errors:
                if not isinstance(error.original_error, ApiError | GraphError):
                    self._violations.append(f"GraphQL: {error.message}")
        return answer

    def _rate_limit(self, **_: Any) -> dict[str, Any]:
        shape = self._allowance.shape()
        return {**shape, "cost": 1, "nodeCount": 1, "resetAt": stamp(shape["reset"])}

    def _resolve(self, source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        """A field of a node. Null is never invented: a field that the fake has not is an error."""
        if not isinstance(source, Mapping) or info.field_name not in source:
            raise GraphQLError(f"the fake GitHub has no {info.parent_type.name}.{info.field_name}")
        value: Any = source[info.field_name]
        if callable(value):
            return value(**arguments)
        if arguments:
            raise GraphQLError(f"the fake GitHub ignores the arguments of {info.field_name}")
        return value


def _shape(error: GraphQLError) -> dict[str, Any]:
    """An error as GitHub writes it: the kind stands beside the message."""
    shape: dict[str, Any] = {"message": error.message}
    if error.path:
        shape["path"] = list(error.path)
    if error.locations:
        shape["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    match error.original_error:
        case GraphError() as problem:
            return {"type": problem.kind, **shape}
        case ApiError() as problem:
            kinds = {403: "FORBIDDEN", 404: "NOT_FOUND"}
            return {"type": kinds.get(problem.status, "UNPROCESSABLE"), **shape, "message": problem.message}
    return shape
