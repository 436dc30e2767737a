"""What every program here has in common: its options, its folder, its output."""

import argparse
import inspect
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec

from bench.rows import Row, table

Given = ParamSpec("Given")

Measure = Callable[..., Sequence[Row]]
"""Measures, and gives rows. Its keyword parameters, all with a default, are the program's options."""


def run(measure: Measure) -> None:
    """Be the program of a `measure`: print its rows as JSON, then as a table."""
    parser = argparse.ArgumentParser(description=(inspect.getdoc(measure) or "").partition("\n")[0])
    for name, parameter in inspect.signature(measure).parameters.items():
        kind = type(parameter.default)
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            default=parameter.default,
            metavar=kind.__name__.upper(),
            help=f"default: {parameter.default}",
        )
    rows = [row.describe() for row in measure(**vars(parser.parse_args()))]
    sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n\n" + table(rows) + "\n")


@contextmanager
def scratch() -> Iterator[Path]:
    """A new folder on a real disk (TMPDIR says where), removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="orch-bench-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def timed(work: Callable[Given, object], *arguments: Given.args, **named: Given.kwargs) -> float:
    """The milliseconds that some work takes."""
    began = time.perf_counter()
    work(*arguments, **named)
    return (time.perf_counter() - began) * 1000
