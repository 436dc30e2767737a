"""Each program once, at a size at which it measures nothing: so that none of them rots."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import PROGRAMS, RESULTS, describe_machine
from bench.rows import Row

SIZES: dict[str, dict[str, Any]] = {
    "start": {"repeats": 1},
    "react": {"repeats": 2},
    "stop": {"repeats": 1},
    "tick": {"repeats": 2, "largest": 400},
    "change": {"repeats": 2, "tasks": 50},
    "logs": {"megabytes": 1, "repeats": 1, "follows": 1},
    "worktree": {"files": 20, "repeats": 1},
    "fifty": {"tasks": 2, "workers": 2, "repeats": 1},
    "workers": {"workers": 2, "seconds": 0.1},
    "claude": {"lines": 40, "repeats": 1, "starts": 1, "workers": 2},
    "idle": {"tasks": 3, "seconds": 0.1, "settle": 0.1},
}


def test_every_program_is_known() -> None:
    modules = {path.stem for path in RESULTS.parent.glob("*.py") if "def measure(" in path.read_text()}
    assert modules == set(PROGRAMS) == set(SIZES)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_comes_to_its_end(name: str) -> None:
    rows: list[Row] = importlib.import_module(f"bench.{name}").measure(**SIZES[name])
    assert rows
    for row in rows:
        told = row.describe()
        assert all(value >= 0 for value in row.values)
        assert (told["reached"] is None) == (row.reach is None)


def test_a_program_prints_json_and_a_table() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.change", "--tasks", "10", "--repeats", "1"],
        cwd=RESULTS.parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    rows, end = json.JSONDecoder().raw_decode(done.stdout)
    assert rows[0]["n"] == 1
    assert done.stdout[end:].lstrip().startswith("| figure |")


def test_the_machine_is_described_without_its_name(tmp_path: Path) -> None:
    said = describe_machine(60)
    assert "cores" in said
    assert "/" not in said.replace("+00:00", "")
