"""docs/architecture.md is kept true: its rooms are those of the contracts, its ports those of the code."""

import re
import tomllib
from pathlib import Path
from typing import Protocol

from orch import ports

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def rows(head: str) -> list[list[str]]:
    """The cells of the table under this head."""
    table = TEXT.split(head, 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_rooms_are_those_of_the_contracts() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    told = [re.findall(r"`\(?(\w+)\)?`", rooms) for _, rooms, _ in rows("| layer | rooms")]
    assert told == [re.findall(r"\w+", layer) for layer in layers]


def test_a_room_in_parentheses_is_one_that_is_not_there() -> None:
    for _, rooms, _ in rows("| layer | rooms"):
        for planned, name in re.findall(r"`(\(?)(\w+)\)?`", rooms):
            is_there = (ROOT / "orch" / name).is_dir() or (ROOT / "orch" / f"{name}.py").is_file()
            assert is_there == (not planned), name


def test_every_port_is_listed_with_its_adapter_and_its_fake() -> None:
    known = {
        name
        for name, value in vars(ports).items()
        if isinstance(value, type) and issubclass(value, Protocol) and value.__module__ == ports.__name__
    }
    listed = set()
    for names, adapter, fake in rows("| port | adapter"):
        listed |= set(re.findall(r"`(\w+)`", names))
        for path in re.findall(r"`([^`]+)`", adapter + fake):
            assert (ROOT / path).exists(), path
    assert listed == known


def test_every_file_that_is_named_is_there() -> None:
    for path in re.findall(r"`((?:orch|tests|tools)/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists(), path
