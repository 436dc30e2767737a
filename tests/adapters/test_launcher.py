"""The launcher itself: its orders, its fence, its limits, and what it does when the disk is full.

The tests of this file run it without -I -S, which shows in the coverage. test_local.py runs it as
it is.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.executors import launcher, processes, run_files
from orch.adapters.executors.limits import MEGABYTE, Limits
from orch.adapters.executors.orders import Orders
from tests.adapters.workers import PYTHON, is_gone, pid_in, until

ROOT = Path(launcher.__file__).parents[3]


@dataclass
class Desk:
    """A run directory and a worktree for one launcher."""

    root: Path
    run_id: str

    @property
    def directory(self) -> Path:
        return self.root / "run"

    def orders(self, *argv: str, **more: Any) -> bytes:
        return Orders(
            directory=str(self.directory), worktree=str(self.root / "tree"), argv=argv, **more
        ).encode()

    def launch(
        self, *argv: str, program: tuple[str, ...] = (launcher.__file__,), **more: Any
    ) -> "subprocess.Popen[bytes]":
        with tempfile.TemporaryFile(dir=self.root) as orders, (self.root / "log").open("ab") as log:
            orders.write(self.orders(*argv, **more))
            orders.seek(0)
            return subprocess.Popen(
                [sys.executable, *program],
                stdin=orders,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "ORCH_RUN_ID": self.run_id, "D": str(self.root)},
            )

    def run(self, *argv: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Launch, wait; gives the exit status and what exit.json says."""
        status = self.launch(*argv, **more).wait()
        return status, self.read("exit.json")

    def read(self, name: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.directory / name).read_bytes())
        return read

    def starts(self) -> int:
        counter = self.root / "starts"
        return len(counter.read_text().splitlines()) if counter.exists() else 0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, f"test-{os.getpid()}-{tmp_path.name}")
    made.directory.mkdir()
    (tmp_path / "tree").mkdir()
    (made.directory / "prompt.md").write_text("do it")
    yield made
    for stat in processes.marked(made.run_id):  # only of a test that failed
        stat.send(signal.SIGKILL)


def names(desk: Desk) -> set[str]:
    return {path.name for path in desk.directory.iterdir()}


# --- orders and files --------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", [None, "", "C", "-"])
@pytest.mark.parametrize("argv", [("a",), ("a", "", "b\nc", "\udcff", "x" * 300_000)])
def test_orders_arrive_as_they_were_given(locale: str | None, argv: tuple[str, ...]) -> None:
    given = Orders(
        directory="/d",
        worktree="/w e",
        argv=argv,
        agent="a",
        session_id="s",
        locale=locale,
        timeout=1.5,
        stall=2.5,
        memory=3,
        output=4,
        grace=0.25,
    )
    assert vars(Orders.decode(given.encode())) == vars(given)


def test_orders_with_a_zero_byte_are_refused() -> None:
    with pytest.raises(ValueError, match="zero byte"):
        Orders(directory="/d", worktree="/w", argv=["a\0b"]).encode()


@pytest.mark.parametrize(
    "record",
    [
        {"a": None, "b": 1, "c": 1.5, "d": "x"},
        {"argv": ("a", 'quo"te', "back\\slash", "line\nbreak\x00\x7f", "✅ 🟡")},
        {"empty": (), "": ""},
    ],
)
def test_what_is_written_is_json(record: Mapping[str, object]) -> None:
    as_lists = {key: [*value] if isinstance(value, tuple) else value for key, value in record.items()}
    assert json.loads(run_files.to_json(record)) == as_lists


def test_bytes_that_are_no_utf8_become_question_marks(tmp_path: Path) -> None:
    run_files.publish(str(tmp_path / "run.json"), {"argv": ("a\udcffb",)})
    assert json.loads((tmp_path / "run.json").read_bytes()) == {"argv": ["a?b"]}


def test_a_name_that_a_killed_launcher_left_is_not_written_through(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("the fence")
    os.link(path, f"{path}.{os.getpid()}.tmp")
    with pytest.raises(FileExistsError):
        run_files.publish(str(path), {"pid": 1})
    assert path.read_text() == "the fence"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("{}")
    run_files.replace(str(path), {"pid": 1})
    assert json.loads(path.read_bytes()) == {"pid": 1}
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        run_files.replace(str(tmp_path / "folder"), {"pid": 1})
    assert {entry.name for entry in tmp_path.iterdir()} == {"run.json", "folder"}


def test_exit_json_is_given_up_after_a_while(tmp_path: Path) -> None:
    pauses: list[float] = []
    gone = tmp_path / "gone"
    written = run_files.write_exit(str(gone / "exit.json"), str(gone / "kept"), {"code": 0}, pauses.append)
    assert not written
    assert pauses == [1.0] * run_files.WRITE_TRIES


def test_exit_json_is_never_given_up_while_it_has_a_place(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 2 * run_files.WRITE_TRIES:
            kept.rmdir()

    path = tmp_path / "exit.json"
    assert run_files.write_exit(str(path), str(kept), {"code": 0}, pause)
    assert json.loads(path.read_bytes()) == {"code": 0}


def test_a_log_is_cut_only_if_it_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("12345")
    run_files.cut(str(path), 5)
    assert path.read_text() == "12345"
    run_files.cut(str(path), 3)
    assert path.read_text() == "123"
    run_files.cut(str(tmp_path / "none"), 3)


# --- a whole run -------------------------------------------------------------------------------------


def test_it_tells_who_runs_and_how_it_ended(desk: Desk) -> None:
    text = 'cat run.json 2> "$D/none"; cat "$D/run/run.json" > "$D/seen"; cat > "$D/prompt"; exit 5'
    status, ended = desk.run("sh", "-c", text, agent="sh", session_id="s-1")
    assert status == 5
    assert (ended["reason"], ended["code"], ended["signal"], ended["message"]) == ("exited", 5, None, "")
    assert ended["ended_at"] > 0
    assert ended["peak_rss_bytes"] > 0
    assert (desk.root / "prompt").read_text() == "do it"
    run = desk.read("run.json")
    assert (run["agent"], run["session_id"], run["argv"]) == ("sh", "s-1", ["sh", "-c", text])
    assert run["boot_id"] == processes.boot_id()
    assert is_gone(run["pid"])
    assert is_gone(run["agent_pid"])
    assert names(desk) == {"prompt.md", "run.json", "exit.json", "stdout.jsonl", "stderr.log"}


def test_cpu_time_counts_that_of_grandchildren(desk: Desk) -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    _, ended = desk.run("sh", "-c", f'"{sys.executable}" -I -S -c "{burn}" & wait')
    assert ended["cpu_seconds"] >= 0.2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_that_ends_the_agent_is_told(desk: Desk, number: signal.Signals) -> None:
    status, ended = desk.run("sh", "-c", f"kill -{number.value} $$")
    assert (status, ended["reason"]) == (128 + number, "exited")
    assert (ended["code"], ended["signal"]) == (None, number)


def test_a_second_launcher_starts_nothing(desk: Desk) -> None:
    desk.run("sh", "-c", 'echo started >> "$D/starts"')
    before = desk.read("run.json"), desk.read("exit.json"), names(desk)
    assert desk.launch("sh", "-c", 'echo started >> "$D/starts"').wait() == launcher.TAKEN
    assert (desk.read("run.json"), desk.read("exit.json"), names(desk)) == before
    assert desk.starts() == 1


def test_of_eight_launchers_one_starts(desk: Desk) -> None:
    # Without coverage, so that they are as near to each other as they can be.
    alone = ("-I", "-S", launcher.__file__)
    racing = [desk.launch("sh", "-c", 'echo started >> "$D/starts"; exit 9', program=alone) for _ in range(8)]
    ends = sorted(one.wait() for one in racing)
    # Those that come late are refused, or ended before that with everything that carries the run's id.
    assert ends.count(9) == 1
    assert set(ends) <= {9, launcher.TAKEN, -signal.SIGTERM, -signal.SIGKILL}
    assert desk.starts() == 1
    assert not [name for name in names(desk) if name.endswith(".tmp")]


def test_without_a_run_directory_nothing_starts(desk: Desk) -> None:
    shutil.rmtree(desk.directory)
    assert desk.launch("sh", "-c", 'echo started >> "$D/starts"').wait() == launcher.FAILED
    assert "run.json: No such file" in (desk.root / "log").read_text()
    assert desk.starts() == 0


@pytest.mark.parametrize(
    ("argv", "what", "says"),
    [
        (("no-such-agent", "-p"), "", "cannot start 'no-such-agent': No such file"),
        (("./tree",), "", "cannot start './tree'"),
        (("true",), "tree", "cannot open .*/tree: No such file"),
        (("true",), "run/prompt.md", "cannot open .*/run/prompt.md: No such file"),
    ],
)
def test_what_cannot_be_started_says_why(desk: Desk, argv: tuple[str, ...], what: str, says: str) -> None:
    if what:
        (desk.root / what).rename(desk.root / "elsewhere")
    status, ended = desk.run(*argv)
    assert (status, ended["reason"], ended["code"], ended["signal"]) == (1, "spawn", None, None)
    assert pytest.approx(0) == ended["peak_rss_bytes"]
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(ended["message"])


def test_sigterm_ends_everything_and_waits_for_those_who_tidy_up(desk: Desk) -> None:
    text = (
        'trap "echo tidy > \\"$D/tidy\\"; exit 3" TERM; echo $$ > "$D/pid"; while :; do sleep 60 & wait; done'
    )
    child = desk.launch("sh", "-c", text, grace=30.0)
    pid = pid_in(desk.root / "pid")
    child.send_signal(signal.SIGHUP)
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 3
    assert (desk.root / "tidy").exists()
    assert is_gone(pid)
    ended = desk.read("exit.json")
    assert (ended["reason"], ended["code"]) == ("stopped", 3)


def test_one_that_ignores_sigterm_is_killed(desk: Desk) -> None:
    text = 'trap "" TERM; echo $$ > "$D/pid"; while :; do sleep 60; done'
    child = desk.launch("sh", "-c", text, grace=0.2)
    pid = pid_in(desk.root / "pid")
    child.send_signal(signal.SIGINT)
    assert child.wait() == 128 + signal.SIGKILL
    assert (desk.read("exit.json")["reason"], is_gone(pid)) == ("stopped", True)


@pytest.mark.parametrize(
    ("argv", "limit", "reason", "says"),
    [
        (("sleep", "600"), {"timeout": 0.2}, "timeout", "limit of 0.2 s"),
        (("sleep", "600"), {"stall": 0.4}, "stalled", "no output and no CPU time for 0."),
        (("yes",), {"output": 2 * MEGABYTE}, "output", "limit of 2 MB"),
        (
            (*PYTHON, "import time; kept = b'x' * 100_000_000; time.sleep(600)"),
            {"memory": 50 * MEGABYTE},
            "memory",
            "limit of 50 MB",
        ),
    ],
)
def test_each_limit_has_its_own_reason(
    desk: Desk, argv: tuple[str, ...], limit: dict[str, Any], reason: str, says: str
) -> None:
    status, ended = desk.run(*argv, **limit)
    assert (status, ended["reason"], ended["signal"]) == (128 + signal.SIGTERM, reason, signal.SIGTERM)
    assert says in ended["message"]
    assert (desk.directory / "stdout.jsonl").stat().st_size <= 2 * MEGABYTE
    if reason == "memory":
        assert ended["peak_rss_bytes"] >= 100_000_000


def test_exit_json_waits_for_a_disk_that_is_full(desk: Desk) -> None:
    go = desk.root / "go"
    os.mkfifo(go)
    child = desk.launch("sh", "-c", 'read code < "$D/go"; exit $code')
    until(lambda: (desk.directory / "run.json").exists() and desk.read("run.json")["agent_pid"])
    # No file may grow any more, nor be written: what a full disk is to a launcher.
    _, most = resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    go.write_text("4\n")
    # The log cannot grow either, so that its first try is only seen in the agent being gone.
    until(lambda: is_gone(desk.read("run.json")["agent_pid"]))
    assert not (desk.directory / "exit.json").exists()
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, most))
    assert child.wait() == 4
    assert desk.read("exit.json")["code"] == 4


def test_nobody_needs_to_wait_for_its_start(desk: Desk) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with tempfile.TemporaryFile() as orders:
        orders.write(desk.orders("sh", "-c", "exit 2"))
        orders.seek(0)
        environment = {**os.environ, "ORCH_RUN_ID": desk.run_id}
        command = [sys.executable, launcher.__file__]
        child = subprocess.Popen(command, stdin=orders, stdout=writer, env=environment)
    os.close(writer)
    assert child.wait() == 2


GROUP = """
import os, sys
from orch.adapters.executors.worker import Signals, Worker
worker = Worker("none", Signals())
worker.spawn(("sh", "-c", sys.argv[2]), os.environb, (0, 2, 2))
worker._signals.wait(60)
worker.reap()
first = worker.status
worker._end_group(float(sys.argv[1]))
worker.reap()
print(first, worker.status)
"""


@pytest.mark.parametrize(
    ("text", "grace", "status"),
    [
        # The signal tells that the agent is as far as it gets without us.
        ("kill -USR1 $PPID; sleep 600", 60.0, (None, signal.SIGTERM)),
        ("sleep 600 & exit 0", 60.0, (0, 0)),
        ("trap '' TERM; kill -USR1 $PPID; while :; do sleep 600; done", 0.1, (None, signal.SIGKILL)),
    ],
)
def test_without_proc_the_process_group_is_ended(
    desk: Desk, text: str, grace: float, status: tuple[int | None, int]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", GROUP, str(grace), text],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "ORCH_RUN_ID": desk.run_id},
        check=True,
    )
    assert ended.stdout.decode() == f"{status[0]} {int(status[1])}\n", ended.stderr
    until(lambda: not processes.marked(desk.run_id))


# --- killed at every step ----------------------------------------------------------------------------

KILLER = """
import os, signal, sys
left = int(sys.argv[1])
steps = {"open", "os.link", "os.remove", "os.rename", "os.truncate", "os.posix_spawn", "os.chdir"}
def watch(event, arguments):
    global left
    if event in steps and not str(arguments[0]).startswith("/proc"):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
sys.path.append(sys.argv[2])
from orch.adapters.executors import launcher
sys.addaudithook(watch)
sys.exit(launcher.main())
"""


def test_killed_at_any_step_it_leaves_whole_files_and_starts_once(desk: Desk) -> None:
    agent = ("sh", "-c", 'echo started >> "$D/starts"; exit 6')
    met = set()
    step = 0
    status = -signal.SIGKILL
    while status == -signal.SIGKILL:
        for path in (*desk.directory.glob("*.*json*"), *desk.directory.glob("*.log"), desk.root / "starts"):
            path.unlink(missing_ok=True)
        child = desk.launch(*agent, program=("-I", "-S", "-c", KILLER, str(step), str(ROOT)))
        status = child.wait()
        for stat in processes.marked(desk.run_id):
            stat.send(signal.SIGKILL)
        until(lambda: not processes.marked(desk.run_id))
        published, finished = (desk.directory / "run.json").exists(), (desk.directory / "exit.json").exists()
        met.add((published, finished))
        assert published or not desk.starts()
        assert not published or desk.read("run.json")["pid"] == child.pid
        assert not finished or desk.read("exit.json")["code"] == 6
        again = desk.launch(*agent, program=("-I", "-S", launcher.__file__)).wait()
        assert again == (launcher.TAKEN if published else 6)
        assert desk.starts() <= 1
        step += 1
    assert status == 6
    assert met == {(False, False), (True, False), (True, True)}


# --- limits ------------------------------------------------------------------------------------------


def limits(**more: Any) -> Limits:
    return Limits(**{"timeout": 0, "stall": 0, "memory": 0, "output": 0, "files": (), "now": 100.0, **more})


def test_without_limits_there_is_nothing_to_look_at() -> None:
    free = limits(root=1)
    assert (free.seconds_left(500.0), free.exceeded(500.0)) == (None, None)


def test_it_looks_again_in_time_for_the_nearest_limit() -> None:
    both = limits(root=1, timeout=10.0, output=5)
    assert both.seconds_left(100.0) == pytest.approx(1.0)
    assert both.exceeded(109.8) is None
    assert both.seconds_left(109.8) == pytest.approx(0.2)
    assert both.seconds_left(111.0) == pytest.approx(0.0)
    assert limits(root=1, stall=8.0).seconds_left(100.0) == pytest.approx(2.0)


def test_shared_memory_is_counted_once() -> None:
    fork = (
        "import os, time\nkept = b'x' * 60_000_000\n"
        "for _ in range(3):\n if not os.fork(): break\nos.write(1, b'.')\ntime.sleep(600)"
    )
    with subprocess.Popen([*PYTHON, fork], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert len(child.stdout.read(4)) == 4
        tree = [child.pid, *(stat.pid for stat in processes.descendants(child.pid))]
        stats = [stat for stat in map(processes.look, tree) if stat is not None]
        assert sum(stat.rss_bytes for stat in stats) > 200_000_000
        sharing = limits(root=os.getpid(), memory=150_000_000)
        assert sharing.exceeded(102.0) is None
        assert 60_000_000 < sharing.peak_bytes < 150_000_000
        for stat in stats:
            stat.send(signal.SIGKILL)


# --- what it costs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["launcher", "guard"])
def test_it_loads_next_to_nothing(program: str) -> None:
    look = (
        f"import sys; sys.path.append(sys.argv[1]); import orch.adapters.executors.{program}; "
        "print(*sys.modules)"
    )
    loaded = subprocess.run([*PYTHON, look, str(ROOT)], check=True, capture_output=True, text=True).stdout
    dear = {"argparse", "collections", "contextlib", "ctypes", "dataclasses", "enum", "json", "logging"}
    dear |= {"msgspec", "pathlib", "psutil", "re", "signal", "subprocess", "threading", "typing"}
    assert dear.isdisjoint(loaded.split())
