"""Claude as a worker: reading its stream, and how soon and with how much memory the real one is at work.

The stream is made of lines that the real claude has printed. The real claude is there after tools/claude; it
talks to an API of our own on loopback. Without it only the stream is measured.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import program
from bench.rows import Reach, Row
from bench.world import World, make_world, queue, wait_for
from orch.adapters.agents.claude_stream import ClaudeProgress
from orch.adapters.agents.progress import Logs
from tests.claude.binary import BINARY, missing
from tests.claude.messages_api import Ask, MessagesApi, Reply, Say, bash, messages_api
from tests.claude.world import KEY, commit

RECORDED = Path(__file__).parents[1] / "tests" / "data" / "claude" / "commit.jsonl"
FLOOR = "Python's bare line loop"
BARE = "a bare claude -p"
AGENT = """
[agents.claude]
command = ["{binary}"]
[agents.claude.env]
ANTHROPIC_BASE_URL = "{url}"
ANTHROPIC_API_KEY = "{key}"
IS_SANDBOX = "1"
"""


def measure(lines: int = 400_000, repeats: int = 5, starts: int = 5, workers: int = 6) -> Sequence[Row]:
    """How fast claude's stream is read; how soon it asks its API, and its memory, beside a bare claude."""
    with program.scratch() as folder:
        rows = _measure_stream(folder, lines, repeats)
        if reason := missing():
            sys.stderr.write(f"without the real claude: {reason}\n")
            return rows
        with messages_api(_answer) as api:
            return [*rows, *_measure_worker(folder, api, starts, workers)]


def _measure_stream(folder: Path, lines: int, repeats: int) -> Sequence[Row]:
    first, *middle, last = RECORDED.read_bytes().splitlines(keepends=True)
    run = folder / "run"
    run.mkdir()
    log = run / "stdout.jsonl"
    with log.open("wb") as file:
        # In pieces: what this process has ever held counts as memory of all that it starts.
        file.write(first)
        for _ in range(lines // len(middle)):
            file.writelines(middle)
        file.write(last)
    count = 2 + lines // len(middle) * len(middle)
    read, floor, again = [], [], []
    for _ in range(repeats):
        floor.append(_cpu_seconds(_loop, log) * 1e6 / count)
        logs = Logs(lambda _: ClaudeProgress())
        read.append(_cpu_seconds(logs.activity, run) * 1e6 / count)
        again.append(program.timed(logs.activity, run))
    size = log.stat().st_size / count
    log.unlink()
    return [
        Row(f"CPU for a line of {size:.0f} bytes of claude's stream", "µs", read, Reach(10), floor, FLOOR),
        Row("the activity of a worker that has printed nothing new", "ms", again, Reach(1)),
    ]


def _cpu_seconds(work: Callable[[Path], object], path: Path) -> float:
    """What some work takes of one core."""
    began = time.process_time()
    work(path)
    return time.process_time() - began


def _loop(path: Path) -> None:
    with path.open("rb") as file:
        for _ in file:
            pass


def _answer(ask: Ask) -> Reply:
    return bash(commit(f"of-{ask.session[:8]}")) if ask.turn == 0 else Say("done")


def _measure_worker(folder: Path, api: MessagesApi, starts: int, workers: int) -> Sequence[Row]:
    world = make_world(folder, "exit 0\n", workers=workers)
    config = world.root / "config.toml"
    text = config.read_text().replace('default = "sh"', 'default = "claude"')
    config.write_text(text + AGENT.format(binary=BINARY, url=api.url, key=KEY))
    asked, bare, peaks, bare_peaks = [], [], [], []
    with world.coordinator():
        for number in range(1, starts + 1):
            seconds, peak = _run_bare(world, api)
            bare.append(seconds * 1000)
            bare_peaks.append(peak)
            before, began = len(api.asks), time.monotonic()
            world.save(queue([f"[] t-{number}: Say hello"]))
            wait_for((world.root / ".orch" / "runs" / f"t-{number}" / "1" / "outcome.json").exists)
            asked.append((api.asks[before].at - began) * 1000)
        names = [f"t-{number}" for number in range(starts + 1, starts + 1 + workers)]
        world.save(queue([f"[] {name}: Say hello" for name in names]))
        for name in names:
            run = world.root / ".orch" / "runs" / name / "1"
            wait_for((run / "outcome.json").exists)
            peaks.append(json.loads((run / "exit.json").read_bytes())["peak_rss_bytes"] / 2**20)
    return [
        Row("saved task to first request of claude", "ms", asked, Reach(500, "plus"), bare, BARE),
        Row(f"memory of a worker, {workers} at once", "MB", peaks, Reach(30, "plus"), bare_peaks, BARE),
    ]


def _run_bare(world: World, api: MessagesApi) -> tuple[float, float]:
    """Seconds to the first request of a claude that nobody looks after, and megabytes at its peak."""
    env = {
        **world.environment,
        "ANTHROPIC_BASE_URL": api.url,
        "ANTHROPIC_API_KEY": KEY,
        "IS_SANDBOX": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    words = ["-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "bypassPermissions"]
    tree = world.signs.parent / f"bare-{len(api.asks)}"
    world.git("clone", "-q", str(world.root), str(tree))
    before, began = len(api.asks), time.monotonic()
    child = subprocess.Popen(
        [BINARY, *words], cwd=tree, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    if child.stdin is None:
        raise AssertionError
    child.stdin.write(b"Say hello.")
    child.stdin.close()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, str(BINARY))
    return api.asks[before].at - began, used.ru_maxrss / 1024


if __name__ == "__main__":
    program.run(measure)
