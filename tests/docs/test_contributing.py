"""CONTRIBUTING.md names what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_file_and_script_that_is_named_is_there() -> None:
    for path in re.findall(r"\b((?:orch|tests|tools|docs)/[\w./]*\w)", TEXT):
        if "my_" not in path:
            assert (ROOT / path).exists(), path


def test_every_script_for_developers_is_named() -> None:
    for script in (ROOT / "tools").iterdir():
        text = script.read_text()
        if script.suffix or "/usr/bin/env bash" not in text.partition("\n")[0]:
            continue
        if script.name not in {"demo", "setup", "install", "contracts"}:
            assert f"tools/{script.name}" in TEXT, script.name


@pytest.mark.parametrize("port", ["Agent", "Forge"])
def test_the_methods_of_a_port_are_all_named(port: str) -> None:
    source = (ROOT / "orch" / "ports.py").read_text()
    body = source.split(f"class {port}(Protocol):")[1].split("\nclass ")[0]
    section = TEXT.split(f"## A new {port.lower()}")[1].split("\n## ")[0]
    for method in re.findall(r"def (\w+)\(", body):
        assert re.search(rf"\b{method}\b", section), method


def test_pre_commit_calls_what_is_there() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    for entry in re.findall(r"entry: (\S+)", text):
        assert (ROOT / entry).exists() or entry.startswith(".venv/bin/"), entry
