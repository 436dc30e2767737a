"""Holds requests and answers against GitHub's own OpenAPI description."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from tests.github import packages

# --- the reviewed exceptions --------------------------------------------------------------------------
# Exception 1 is in trimming.py: nullable enums are listed without null, and GitHub does answer null.

# Exception 2: GitHub takes labels as a bare array, which only the text of the description says.
# PyGithub sends them so.
BARE_ARRAYS: dict[str, dict[str, Any]] = {
    "POST /repos/{owner}/{repo}/issues/{issue_number}/labels": {
        "type": "array",
        "minItems": 1,
        "items": {"type": "string"},
    },
}

# Exception 3: conditional requests work for every GET
# (https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api), but 304 is
# listed for few, and not for lists of issues.
NOT_MODIFIED = "304"

# Exception 4: authentication, permission, rate limits and a moved repository concern every operation; the
# description lists them for some. Their bodies are held against the general error.
ANYWHERE = frozenset({"301", "307", "401", "403", "404", "422", "429"})
GENERAL_ERROR = {"$ref": "contract:#/schemas/basic-error"}

# Exception 5: the labels of a pull request in a list are described as if they always had a text, but
# GitHub answers null for a label without one, as everywhere else.
NULL_DESCRIPTION = ("pull-request-simple", "labels", "description")


class Contract:
    """GitHub's description, trimmed to the operations of the fake."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._operations: Mapping[str, Any] = description["operations"]
        schemas = dict(description["schemas"])
        name, items, field = NULL_DESCRIPTION
        if name in schemas:
            schemas[name] = _nullable_field(schemas[name], items, field)
        resource = {"$schema": "http://json-schema.org/draft-04/schema#", "schemas": schemas}
        self._registry = jsonschema_rs.Registry([("contract:", resource)], draft=jsonschema_rs.Draft4)
        self._validators: dict[tuple[str, str], jsonschema_rs.Draft4Validator] = {}

    def check_parameters(
        self, operation: str, parameters: Mapping[str, str], query: Mapping[str, str]
    ) -> list[str]:
        """What is wrong with the path and the query of a request, in sentences."""
        known = self._operations[operation]
        found = []
        for place, values in (("path", parameters), ("query", query)):
            described = known["parameters"][place]
            for name, text in values.items():
                if name not in described:
                    found.append(f"{operation}: no {place} parameter {name} is known")
                else:
                    schema = described[name]["schema"]
                    found += self._errors(operation, f"{place} {name}", schema, _typed(text, schema))
            found += [
                f"{operation}: the {place} parameter {name} is missing"
                for name, parameter in described.items()
                if parameter["required"] and name not in values
            ]
        return found

    def check_body(self, operation: str, body: Any) -> list[str]:
        """What is wrong with the parsed JSON of a request, None where it has none."""
        known = self._operations[operation]
        if body is None:
            return [f"{operation}: the body is missing"] if known["body_required"] else []
        if known["body"] is None:
            return [f"{operation}: a body was sent where none is known"]
        if operation in BARE_ARRAYS and isinstance(body, list):
            return self._errors(operation, "bare array", BARE_ARRAYS[operation], body)
        return self._errors(operation, "body", known["body"], body)

    def check_answer(self, operation: str, status: int, body: Any) -> list[str]:
        """What is wrong with an answer, in sentences."""
        known, code = self._operations[operation]["responses"], str(status)
        if code == NOT_MODIFIED:
            return [] if body is None else [f"{operation}: 304 with a body"]
        if code not in known and code not in ANYWHERE:
            return [f"{operation}: {status} is not known; known are {', '.join(known)}"]
        schema = known.get(code) or (GENERAL_ERROR if code in ANYWHERE else None)
        if schema is None:
            return [] if body is None else [f"{operation}: {status} with a body where none is known"]
        return self._errors(operation, f"answer {code}", schema, body)

    def _errors(self, operation: str, part: str, schema: dict[str, Any], value: Any) -> list[str]:
        key = (operation, part)
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.Draft4Validator(
                schema, registry=self._registry, validate_formats=True
            )
        found = []
        for error in self._validators[key].iter_errors(value):
            place = "/".join(str(step) for step in error.instance_path)
            found.append(f"{operation}: {part} at /{place}: {error.message[:300]}")
        return found


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    """The value that a text in an address means, itself where it means none of the asked type."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "integer" in kinds and text.removeprefix("-").isdecimal():
        return int(text)
    if "boolean" in kinds and text in {"true", "false"}:
        return text == "true"
    return text.split(",") if "array" in kinds else text


def _nullable_field(schema: Mapping[str, Any], items: str, field: str) -> Mapping[str, Any]:
    entry = schema["properties"][items]["items"]
    widened = {**entry["properties"], field: {"type": ["string", "null"]}}
    changed = {**schema["properties"][items], "items": {**entry, "properties": widened}}
    return {**schema, "properties": {**schema["properties"], items: changed}}


@cache
def load() -> Contract:
    """The contract, read and prepared once."""
    return Contract(packages.read_rest())
