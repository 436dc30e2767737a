"""`tools/soak`: thousands of short tasks through one coordinator, which must not grow."""

import argparse
import shutil
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.e2e.projects import Project, make_project

GROWTH = 0.05
"""Share by which the memory may be larger at the end than at the first sample."""
WARM_TASKS = 100
"""After so many everything was imported and every buffer was needed once."""
SAMPLES = 20
SAMPLE_SECONDS = 0.1
STUCK_SECONDS = 120.0
"""Without a new launch for so long, nothing will come any more."""

AGENT = r"""#!/bin/sh
echo "$ORCH_TASK_ID/$ORCH_ATTEMPT $$" >> "$LAUNCHES"
echo "$ORCH_TASK_ID" > "$ORCH_TASK_ID.txt"
git add -A && git commit -qm "$ORCH_TASK_ID"
"""


@dataclass(frozen=True)
class Sample:
    """What a coordinator used at a time."""

    finished: int
    rss_mb: float
    files: int
    """Open at least, over a moment: what a git call needs comes and goes."""
    seconds: float

    def __str__(self) -> str:
        used = f"{self.rss_mb:.1f} MB, {self.files} open files"
        return f"after {self.finished} tasks, {self.seconds:.0f} s: {used}"


def soak(folder: Path, tasks: int, workers: int = 8) -> tuple[Sample, Sample]:
    """Run so many tasks in `folder`, which is empty; samples after a tenth of them (WARM_TASKS at least) and
    at the end.

    Raises RuntimeError where it gets stuck.
    """
    project = make_project(folder)
    (folder / "agent.sh").write_text(AGENT)
    config = project.root / "config.toml"
    table = f"[coordinator]\nmax_concurrent_workers = {workers}"
    config.write_text(config.read_text().replace("[coordinator]", table))
    project.write_tasks(*(f"[] t-{number}: Task {number}" for number in range(1, tasks + 1)))
    began = time.monotonic()
    child = project.start()
    try:
        process = psutil.Process(child.pid)
        _wait(project, max(tasks // 10, WARM_TASKS))
        first = _sample(project, process, began)
        _wait(project, tasks)
        return first, _sample(project, process, began)
    finally:
        project.end(child, signal.SIGTERM)


def find_growth(first: Sample, last: Sample) -> list[str]:
    """What has grown more than it may."""
    found = []
    if last.rss_mb > first.rss_mb * (1 + GROWTH):
        found.append(f"memory grew by {last.rss_mb / first.rss_mb - 1:.1%}")
    if last.files > first.files:
        found.append(f"open files grew by {last.files - first.files}")
    return found


def _wait(project: Project, finished: int) -> None:
    seen, since = -1, time.monotonic()
    while (now := _finished(project)) < finished:
        if now > seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > STUCK_SECONDS:
            raise RuntimeError(f"stuck at {now} of {finished} tasks:\n{project.log()[-2000:]}")
        time.sleep(0.05)


def _finished(project: Project) -> int:
    return project.tasks.count("[✅")


def _sample(project: Project, process: psutil.Process, began: float) -> Sample:
    finished, memory, files = _finished(project), [], []
    for _ in range(SAMPLES):
        memory.append(process.memory_info().rss / 2**20)
        files.append(process.num_fds())
        time.sleep(SAMPLE_SECONDS)
    return Sample(finished, statistics.median(memory), min(files), time.monotonic() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/soak", description=__doc__)
    parser.add_argument("--tasks", type=int, default=5000, help="how many (5000)")
    parser.add_argument("--workers", type=int, default=8, help="how many at once (8)")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="orch-soak-"))
    first, last = soak(folder, asked.tasks, asked.workers)
    growth = find_growth(first, last)
    sys.stdout.write(f"{first}\n{last}\n{asked.tasks / last.seconds:.1f} tasks a second\n")
    sys.stdout.write("".join(f"FOUND {line}\n" for line in growth))
    shutil.rmtree(folder)
    return 1 if growth else 0


if __name__ == "__main__":
    sys.exit(main())
