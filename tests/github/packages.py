"""GitHub's published contracts: which packages, where they lie, and whether they are there.

`tools/contracts` fetches them into `.cache/contracts/`, which git ignores. Nothing of them is committed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "contracts"
REMEDY = "run tools/contracts"


@dataclass(frozen=True)
class Package:
    """One npm package, and the only file of it that is kept."""

    name: str
    version: str
    integrity: str
    """The base64 of the archive's SHA-512, as the registry publishes it."""
    member: str
    """The file in the archive."""

    @property
    def kept(self) -> str:
        """The name of the kept file. A new version is a new name."""
        plain = self.name.rpartition("/")[2]
        return f"{plain}-{self.version}{Path(self.member).suffix}"


REST = Package(
    "@octokit/openapi",
    "23.0.2",
    "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==",
    "package/generated/api.github.com.json",
)
GRAPH = Package(
    "@octokit/graphql-schema",
    "15.26.1",
    "RFDC2MpRBd4AxSRvUeBIVeBU7ojN/SxDfALUd7iVYOSeEK3gZaqR2MGOysj4Zh2xj2RY5fQAUT+Oqq7hWTraMA==",
    "package/schema.graphql",
)
WEBHOOKS = Package(
    "@octokit/webhooks-examples",
    "7.6.1",
    "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ==",
    "package/api.github.com/index.json",
)
PACKAGES = (REST, GRAPH, WEBHOOKS)
TRIMMED = "rest.json"


def digest(operations: frozenset[str]) -> str:
    """What the trimmed description is made of: these operations, this version, the code that trims."""
    trimming = Path(__file__).with_name("trimming.py").read_bytes()
    asked = json.dumps([sorted(operations), REST.integrity])
    return hashlib.sha256(asked.encode() + trimming).hexdigest()


def missing(operations: frozenset[str], folder: Path = FOLDER) -> str:
    """Why the contracts cannot be used, or ''."""
    for package in PACKAGES:
        if not (folder / package.kept).is_file():
            return f"{package.name} {package.version} is not in {folder.name}/: {REMEDY}"
    try:
        made_of = read_rest(folder)["made_of"]
    except (OSError, ValueError, KeyError):
        return f"{TRIMMED} cannot be read: {REMEDY}"
    return "" if made_of == digest(operations) else f"{TRIMMED} is of other operations: {REMEDY}"


def required() -> bool:
    """Whether missing contracts are an error: CI must not pass because it could not look."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


@cache
def read_rest(folder: Path = FOLDER) -> Mapping[str, Any]:
    """The trimmed REST description: `operations`, `schemas` and `made_of`."""
    found: dict[str, Any] = json.loads((folder / TRIMMED).read_bytes())
    return found


def read_graph(folder: Path = FOLDER) -> str:
    """GitHub's GraphQL schema, whole."""
    return (folder / GRAPH.kept).read_text()


def read_webhooks(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """`{name, description, examples}` of each webhook event, with real payloads."""
    found: list[dict[str, Any]] = json.loads((folder / WEBHOOKS.kept).read_bytes())
    return found
