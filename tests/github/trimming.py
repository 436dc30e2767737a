"""Makes a small file of JSON schemas out of GitHub's OpenAPI description (OpenAPI 3.0).

    {"operations": {"GET /user": {"parameters": {"path": {}, "query": {}}, "body": null | schema,
                                  "body_required": false, "responses": {"200": null | schema}}},
     "schemas": {"issue": schema}}

An OpenAPI 3.0 schema is JSON Schema draft 4 with `nullable`, which is turned into a second type.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

PLACE = "#/components/schemas/"
NEW_PLACE = "contract:#/schemas/"
# What only people read, or what belongs to OpenAPI.
DROPPED = frozenset(
    {"description", "title", "example", "examples", "externalDocs", "deprecated", "readOnly", "nullable"}
)


def trim(document: Mapping[str, Any], operations: Iterable[str]) -> Json:
    """The operations ("GET /user") and every schema that they lead to.

    Raises KeyError where the description does not know an operation.
    """
    trimmed = {name: _operation(document, name) for name in sorted(operations)}
    schemas: Json = {}
    wanted = _references(trimmed)
    while wanted:
        name = wanted.pop()
        if name not in schemas:
            schemas[name] = convert(document["components"]["schemas"][name])
            wanted |= _references(schemas[name])
    return {"operations": trimmed, "schemas": dict(sorted(schemas.items()))}


def _operation(document: Mapping[str, Any], name: str) -> Json:
    method, _, path = name.partition(" ")
    item = document["paths"][path]
    found = item[method.lower()]
    parameters: dict[str, Json] = {"path": {}, "query": {}}
    for given in [*item.get("parameters", []), *found.get("parameters", [])]:
        parameter = _resolve(document, given)
        if parameter["in"] in parameters:
            parameters[parameter["in"]][parameter["name"]] = {
                "schema": convert(parameter["schema"]),
                "required": parameter.get("required", False),
            }
    body = found.get("requestBody", {})
    return {
        "parameters": parameters,
        "body": _json_schema(body),
        "body_required": body.get("required", False),
        "responses": {
            status: _json_schema(_resolve(document, answer)) for status, answer in found["responses"].items()
        },
    }


def _json_schema(holder: Mapping[str, Any]) -> Json | None:
    """The schema of a body or an answer, None where it has none."""
    content = holder.get("content", {}).get("application/json", {})
    return convert(content["schema"]) if "schema" in content else None


def _resolve(document: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in value:
        found: Any = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        value = found
    return value


def convert(schema: Mapping[str, Any]) -> Json:
    """A schema of OpenAPI 3.0 as one of JSON Schema draft 4."""
    converted = _convert_inside(schema)
    return _with_null(converted) if schema.get("nullable") else converted


def _convert_inside(schema: Mapping[str, Any]) -> Json:
    converted: Json = {}
    for key, value in schema.items():
        if key in DROPPED or key.startswith("x-"):
            continue
        if key == "$ref":
            # Draft 4 looks at nothing beside a reference.
            return {"$ref": value.replace(PLACE, NEW_PLACE)}
        if key == "properties":
            converted[key] = {name: convert(inner) for name, inner in value.items()}
        elif key in {"oneOf", "anyOf", "allOf"}:
            converted[key] = [convert(inner) for inner in value]
        elif key in {"items", "not"} or (key == "additionalProperties" and isinstance(value, dict)):
            converted[key] = convert(value)
        else:
            converted[key] = value
    return converted


def _with_null(schema: Json) -> Json:
    if set(schema) & {"$ref", "oneOf", "anyOf", "allOf"} or "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]} if schema else {}
    schema["type"] = [schema["type"], "null"]
    if "enum" in schema and None not in schema["enum"]:
        # Exception 1: GitHub lists nullable enums without null, and does answer null.
        schema["enum"] = [*schema["enum"], None]
    return schema


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"].removeprefix(NEW_PLACE)} if isinstance(value.get("$ref"), str) else set()
        return found.union(*(_references(inner) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(_references(inner) for inner in value))
    return set()
