"""Runs every program here, one after the other, and writes RESULTS.md. tools/bench starts it."""

import argparse
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.rows import table

PROGRAMS = {
    "start": "Start-up",
    "react": "Reaction",
    "stop": "Stop",
    "tick": "A turn of the loop",
    "change": "Changing tasks.md",
    "logs": "Logs",
    "worktree": "Worktrees of a large repository",
    "fifty": "Fifty tasks",
    "workers": "Many workers",
    "claude": "Claude as a worker",
    "idle": "Doing nothing",
}
"""The modules that measure, with the heading of each."""

RESULTS = Path(__file__).with_name("RESULTS.md")

HEAD = """# How fast orch is

Written by `tools/bench`, from one run on one machine; do not edit. Each figure stands beside a floor that was
measured in the same run, in turns with it: compare the ratio, not the milliseconds, with those of another
machine. What each program does stands at its top.

    tools/bench                                      # all of it, in under 12 minutes
    .venv/bin/python -m bench.react --repeats 100    # one program by itself; --help lists its options
"""


def main() -> int:
    """Run the programs that are named, or all, and write the results of all to a file."""
    parser = argparse.ArgumentParser(prog="tools/bench", description=main.__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to write; default: %(default)s")
    options = parser.parse_args()
    if unknown := set(options.programs) - set(PROGRAMS):
        parser.error(f"there is no program {', '.join(sorted(unknown))}")
    began, parts, failed = time.monotonic(), [], []
    for name in options.programs or PROGRAMS:
        sys.stdout.write(f"{name}...\n")
        sys.stdout.flush()
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{name}"], stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            failed.append(name)
            continue
        rows: list[dict[str, Any]] = json.JSONDecoder().raw_decode(done.stdout)[0]
        sys.stdout.write(table(rows) + "\n\n")
        parts.append(f"## {PROGRAMS[name]}\n\n`python -m bench.{name}`\n\n{table(rows)}\n")
    if not options.programs and not failed:
        text = "\n".join([HEAD, describe_machine(time.monotonic() - began), *parts])
        options.results.write_text(text)
        sys.stdout.write(f"wrote {options.results}\n")
    if failed:
        sys.stdout.write(f"these did not come to their end: {', '.join(failed)}\n")
    return 1 if failed else 0


def describe_machine(seconds: float) -> str:
    """What the figures depend on, without anything that would tell this machine from its like."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    lines = [
        f"- {dt.datetime.now(dt.UTC):%Y-%m-%d}, orch at {_say('git', 'rev-parse', '--short', 'HEAD')}",
        f"- {_processor()}, {os.cpu_count()} cores, {memory:.0f} GB of memory",
        f"- {platform.system()} {_number(platform.release())}, Python {platform.python_version()}, "
        + _say("git", "version"),
        f"- the whole run took {seconds / 60:.1f} minutes; the load average was {load:.1f} at its end",
    ]
    return "\n".join(lines) + "\n"


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _number(release: str) -> str:
    """The version without what a distributor or a cloud adds to it."""
    found = re.match(r"\d+\.\d+(\.\d+)?", release)
    return found[0] if found else release


def _say(*argv: str) -> str:
    here = Path(__file__).parent
    return subprocess.run(argv, cwd=here, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
