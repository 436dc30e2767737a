"""`tools/chaos`: storms with many seeds, figures, and how to replay what was found."""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.edits import storm_edits
from tests.chaos.engine import EVENTS, GIT_EVENTS, Chaos, Report

STORM_SECONDS = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long to go on (20)")
    parser.add_argument("--seed", type=int, help="only this one, once")
    parser.add_argument("--storm", type=float, default=STORM_SECONDS, help="seconds of each storm (20)")
    parser.add_argument("--tasks", type=int, default=24, help="tasks at the start of each storm (24)")
    parser.add_argument("--gits", action="store_true", help="kill git commands above all")
    parser.add_argument("--edits", type=int, help="only so many edits of tasks.md, no kills")
    asked = parser.parse_args()
    deadline = time.monotonic() + asked.minutes * 60
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    if asked.edits is not None:
        return _storm_edits(asked.edits, seed)
    reports = []
    while True:
        reports.append(_storm(seed, asked.storm, asked.tasks, gits=asked.gits))
        if asked.seed is not None or time.monotonic() > deadline:
            break
        seed += 1
    _say(_sum_up(reports))
    return 1 if any(report.findings for report in reports) else 0


def _storm(seed: int, seconds: float, tasks: int, *, gits: bool) -> Report:
    folder = Path(tempfile.mkdtemp(prefix=f"orch-chaos-{seed}-"))
    report = Chaos(folder, seed, seconds=seconds, tasks=tasks, events=GIT_EVENTS if gits else EVENTS).run()
    kills = sum(count for event, count in report.events.items() if event.startswith("kill"))
    _say(
        f"seed {seed}: {kills} kills ({report.gits} gits), {report.edits.total()} edits, "
        f"{report.launches} launches, {report.seconds:.0f} s ({report.settle_seconds:.0f} s to settle), "
        f"{len(report.findings)} findings"
    )
    for finding in report.findings:
        _say(f"  FOUND {finding}")
    if report.findings:
        replay = f"--seed {seed} --storm {seconds:g} --tasks {tasks}{' --gits' if gits else ''}"
        _say(f"  replay: tools/chaos {replay}; kept: {folder}")
    else:
        shutil.rmtree(folder)
    return report


def _storm_edits(count: int, seed: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix=f"orch-edits-{seed}-"))
    report = storm_edits(folder, count, seed)
    _say(
        f"seed {seed}: {report.edits} edits, {report.changes} changes by orch, {report.added} orch add, "
        f"{len(report.lost)} edits lost"
    )
    if report.lost or report.problems:
        _say(f"  FOUND lost: {report.lost}, {report.problems}; kept: {folder}")
        _say(f"  replay: tools/chaos --edits {count} --seed {seed}")
        return 1
    shutil.rmtree(folder)
    return 0


def _sum_up(reports: list[Report]) -> str:
    events, edits = Counter[str](), Counter[str]()
    for report in reports:
        events += report.events
        edits += report.edits
    left = sum(line.startswith("processes:") for report in reports for line in report.faults)
    lines = [
        f"storms: {len(reports)}, launches: {sum(report.launches for report in reports)}",
        *(f"{event}: {count}" for event, count in sorted(events.items())),
        f"git commands killed: {sum(report.gits for report in reports)}",
        f"edits made: {edits.total()}",
        *(f"  {kind}: {count}" for kind, count in sorted(edits.items())),
        f"edits lost: {sum(len(report.lost) for report in reports)}",
        f"runs started twice: {sum(report.twice for report in reports)}",
        f"processes left: {left}",
        f"findings: {sum(len(report.findings) for report in reports)}",
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
