"""Workers on this machine, really started, stopped, lost and adopted."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from orch.adapters import tails
from orch.adapters.executors import guard, portable, processes
from orch.adapters.executors.exits import ExitWatch
from orch.adapters.executors.local import LocalExecutor, WorkerLimits
from orch.adapters.executors.run_files import RESERVED_BYTES
from orch.adapters.executors.verify import TAIL_LINES, VerifyCommand
from orch.core.model import EndReason, Process, RunKey
from orch.core.state import Absent, Alive, Ended, Gone
from orch.errors import PermanentError, TransientError
from orch.ports import Check, Command
from tests.adapters.workers import PATH, RUN, Place, is_gone, pid_in, place, until


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as made:
        yield made


# --- what an agent finds -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [{}, {"A": "1", "ODD": "a b\nc=\udcff"}, {"LC_CTYPE": "C"}, {"LC_ALL": "C"}]
)
def test_the_environment_is_what_was_given_and_the_run(here: Place, given: dict[str, str]) -> None:
    here.start("env", "-0", env=given)
    here.ended()
    printed = os.fsdecode((here.directory() / "stdout.jsonl").read_bytes())
    found = dict(line.split("=", 1) for line in printed.split("\0")[:-1])
    assert found == {**given, "ORCH_RUN_ID": here.executor.run_id(RUN)}


def test_it_works_in_the_worktree_and_reads_the_prompt(here: Place) -> None:
    prompt = "✅ " * 50_000
    here.script('pwd -P; cat; echo "to stderr" >&2', prompt)
    assert here.ended().exit.ok
    assert here.output() == f"{here.worktree.resolve()}\n{prompt}"
    assert (here.directory() / "stderr.log").read_text() == "to stderr\n"


def test_it_inherits_no_files_and_no_signal_settings(here: Place) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        here.script("ls /proc/self/fd; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; cat /proc/$$/stat")
        process = here.ended().process
    finally:
        signal.signal(signal.SIGHUP, before)
        os.close(reader)
        os.close(writer)
    *files, blocked, ignored, _, stat = here.output().splitlines()
    assert files == ["0", "1", "2", "3"]  # the last one is ls looking
    # 32 and 33 are the C library's own and cannot be set by anybody.
    settings = [int(line.split()[1], 16) & ~(0b11 << 31) for line in (blocked, ignored)]
    assert settings == [0, 0]
    assert process is not None
    pid, group, session = (int(stat.split()[field]) for field in (0, 4, 5))
    assert (pid, group, session) == (process.agent_pid, process.agent_pid, process.pid)


def test_nothing_secret_is_in_a_file_or_an_argument(here: Place) -> None:
    here.pipe("go")
    text = "cat /proc/$PPID/cmdline; read line < ../go"
    here.start("sh", "-c", text, env={"PATH": PATH, "TOKEN": "hunter2"})
    until(here.output)
    here.alive()
    (here.root / "go").write_text("\n")
    assert here.ended().exit.ok
    held = [path.read_text() for path in here.directory().iterdir()]
    assert not [text for text in held if "hunter2" in text]


def test_a_command_without_a_binary_says_so(here: Place) -> None:
    here.start("no-such-agent")
    ended = here.ended()
    assert (ended.exit.reason, ended.exit.code) == (EndReason.SPAWN, None)
    assert "'no-such-agent'" in ended.exit.message


@pytest.mark.parametrize("env", [{"A=B": "1"}, {"": "1"}, {"A": "\0"}])
def test_an_impossible_environment_is_refused(here: Place, env: dict[str, str]) -> None:
    with pytest.raises(PermanentError, match="cannot be in the environment"):
        here.start("true", env=env)
    with pytest.raises(PermanentError, match="zero byte"):
        here.start("echo", "a\0b")
    assert here.executor.probe(RUN) == Absent()


# --- starting ----------------------------------------------------------------------------------------


def test_a_launcher_that_cannot_publish_is_told_and_may_be_started_again(here: Place) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVED_BYTES - 1, hard))
    try:
        with pytest.raises(TransientError, match=r"started nothing: cannot write .*run.json: File too large"):
            here.script("true")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert here.executor.probe(RUN) == Absent()
    here.script("true")
    assert here.ended().exit.ok


def test_a_run_directory_that_somebody_removed_is_a_loss_and_no_fresh_start(here: Place) -> None:
    here.script("true")
    assert here.ended().exit.ok
    shutil.rmtree(here.directory())
    for _ in range(2):
        assert isinstance(here.executor.probe(RUN), Gone)
    runs = here.directory().parents[1]
    runs.rename(runs.with_name("away"))
    with pytest.raises(TransientError, match="is its disk mounted"):
        here.executor.probe(RUN)
    runs.with_name("away").rename(runs)


def test_what_keeps_a_launcher_from_being_started_is_told(here: Place) -> None:
    missing = RunKey("gh-2", 1)
    with pytest.raises(TransientError, match=r"cannot write .*/gh-2/1/prompt\.md"):
        here.start("true", run=missing)
    assert isinstance(here.executor.probe(missing), Gone)
    (here.directory() / "launcher.log").mkdir()
    with pytest.raises(TransientError, match=r"cannot start a launcher for gh-1/1: .*Is a directory"):
        here.start("true")
    assert here.executor.probe(RUN) == Absent()


def test_two_executors_start_a_run_once(here: Place) -> None:
    executors = [here.another() for _ in range(4)]
    command = Command(("sh", "-c", 'echo started >> "$D/starts"'), {"PATH": PATH, "D": str(here.root)})
    problems: list[Exception] = []

    def start(executor: LocalExecutor) -> None:
        try:
            executor.start(RUN, command, here.worktree, "do it")
        except TransientError as error:
            problems.append(error)

    threads = [threading.Thread(target=start, args=(one,)) for one in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for executor in executors:
        assert here.ended(executor=executor).exit.ok
    assert ((here.root / "starts").read_text(), problems) == ("started\n", [])


def test_the_same_run_of_two_projects_has_two_ids(here: Place) -> None:
    other = LocalExecutor(here.root / "other", limits=WorkerLimits(), wake=here.wakes.put)
    assert here.executor.run_id(RUN) != other.run_id(RUN)
    assert here.executor.run_id(RUN).endswith("-gh-1-1")


def test_a_run_that_was_started_is_left_as_it_is(here: Place) -> None:
    here.script("cat", prompt="the first")
    here.ended()
    here.another().start(RUN, Command(("sh",), {}), here.worktree, "the second")
    assert (here.directory() / "prompt.md").read_text() == here.output() == "the first"


# --- nothing is left ---------------------------------------------------------------------------------

LEFTOVERS = {
    "a background job": 'sleep 600 & echo $! > "$D/pid"',
    "a session of its own": "setsid sh -c 'echo $$ > \"$D/pid\"; exec sleep 600' &",
    "a daemon": "(setsid sh -c 'echo $$ > \"$D/pid\"; exec sleep 600' &)",
    "one that ignores SIGTERM": '(trap "" TERM; sh -c \'echo $$ > "$D/pid"; sleep 600; sleep 600\' &)',
    "one without its environment": '(setsid env -i D="$D" sh -c \'echo $$ > "$D/pid"; sleep 600\' &)',
    "a stopped one": "sh -c 'echo $$ > \"$D/pid\"; kill -STOP $$' &",
}


@pytest.mark.parametrize("what", LEFTOVERS)
def test_what_an_agent_leaves_is_ended(here: Place, what: str) -> None:
    here.pipe("go")
    here.script(LEFTOVERS[what] + '\nread line < "$D/go"; exit 4')
    pid = pid_in(here.root / "pid")
    here.alive()
    (here.root / "go").write_text("\n")
    ended = here.ended()
    assert (ended.exit.reason, ended.exit.code) == (EndReason.EXITED, 4)
    assert (is_gone(pid), here.left()) == (True, [])


@pytest.mark.parametrize("what", LEFTOVERS)
def test_a_stop_ends_it_all(tmp_path: Path, what: str) -> None:
    with place(tmp_path, WorkerLimits(grace_seconds=0.3)) as here:
        here.script(LEFTOVERS[what] + "\nsleep 600")
        pid = pid_in(here.root / "pid")
        agent = here.alive().agent_pid
        here.executor.end(RUN)
        ended = here.ended()
        assert (ended.exit.reason, ended.exit.signal) == (EndReason.STOPPED, signal.SIGTERM)
        assert (is_gone(pid), is_gone(agent), here.left()) == (True, True, [])


def test_a_stopped_launcher_is_ended_too(here: Place) -> None:
    here.script("exec sleep 600")
    process = here.alive()
    processes.send(process.pid, process.start_ticks, signal.SIGSTOP)
    here.executor.end(RUN)
    assert here.ended().exit.reason is EndReason.STOPPED


def test_the_limits_of_the_configuration_reach_the_launcher(tmp_path: Path) -> None:
    with place(tmp_path, WorkerLimits(timeout_seconds=0.2, max_log_mb=1, memory_mb=4000)) as here:
        here.script("exec sleep 600")
        ended = here.ended()
        assert (ended.exit.reason, ended.exit.signal) == (EndReason.TIMEOUT, signal.SIGTERM)


# --- the coordinator is killed -----------------------------------------------------------------------

COORDINATOR = """
import sys, time
from pathlib import Path
from orch.adapters.executors.local import LocalExecutor, WorkerLimits
from orch.core.model import RunKey
from orch.ports import Command
root = Path(sys.argv[1])
executor = LocalExecutor(root / "runs", limits=WorkerLimits(), wake=print)
env = {"PATH": sys.argv[2], "D": str(root)}
executor.start(RunKey("gh-1", 1), Command(("sh", "-c", sys.argv[3]), env), root / "tree", "do it")
print("started", flush=True)
time.sleep(600)
"""


def started_by_another(here: Place, text: str) -> "subprocess.Popen[bytes]":
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(here.root), PATH, text], stdout=subprocess.PIPE
    )
    assert coordinator.stdout is not None
    assert coordinator.stdout.readline() == b"started\n"
    return coordinator


def test_a_worker_outlives_its_coordinator_and_is_adopted(here: Place) -> None:
    here.pipe("go")
    with started_by_another(here, 'read code < "$D/go"; exit $code') as coordinator:
        coordinator.kill()
    process = here.alive()
    assert here.executor.probe(RUN) is here.executor.probe(RUN)
    (here.root / "go").write_text("8\n")
    assert here.wakes.get(timeout=60) == "the worker of gh-1/1 ended"
    ended = here.ended()
    assert (ended.exit.code, ended.process) == (8, process)


def test_an_adopted_worker_is_ended_on_request(here: Place) -> None:
    with started_by_another(here, "exec sleep 600") as coordinator:
        coordinator.kill()
    here.executor.end(RUN)
    assert here.ended().exit.reason is EndReason.STOPPED


def test_one_that_ended_in_between_is_read_from_its_file(here: Place) -> None:
    with started_by_another(here, "exit 9") as coordinator:
        until((here.directory() / "exit.json").exists)
        coordinator.kill()
    assert here.ended().exit.code == 9


def keeper_of(process: Process) -> int:
    agent = processes.look(process.agent_pid)
    assert agent is not None
    return agent.parent


@pytest.mark.parametrize("what", sorted(LEFTOVERS))
def test_a_lost_launcher_takes_everything_with_it(here: Place, what: str) -> None:
    here.script(LEFTOVERS[what] + "\nsleep 600")
    pid = pid_in(here.root / "pid")
    process = here.alive()
    processes.send(process.pid, process.start_ticks, signal.SIGKILL)
    # Nobody sweeps: there may be no coordinator.
    until(lambda: not start_of(pid) or not processes.is_alive(pid, start_of(pid)))
    until(lambda: not here.left())
    assert here.executor.probe(RUN) == Gone(process)


@pytest.mark.parametrize("what", sorted(LEFTOVERS))
def test_a_lost_keeper_ends_the_run(tmp_path: Path, what: str) -> None:
    with place(tmp_path, WorkerLimits(grace_seconds=0.3)) as here:
        here.script(LEFTOVERS[what] + "\nsleep 600")
        pid = pid_in(here.root / "pid")
        process = here.alive()
        os.kill(keeper_of(process), signal.SIGKILL)
        ended = here.ended()
        assert (ended.exit.reason, ended.exit.signal) == (EndReason.EXITED, signal.SIGKILL)
        assert (is_gone(pid), is_gone(process.agent_pid), here.left()) == (True, True, [])


@pytest.mark.parametrize("what", sorted(set(LEFTOVERS) - {"one without its environment", "a stopped one"}))
def test_what_lost_its_launcher_and_its_keeper_is_swept(here: Place, what: str) -> None:
    here.script(LEFTOVERS[what] + "\nsleep 600")
    pid = pid_in(here.root / "pid")
    here.executor.limits = WorkerLimits(grace_seconds=0.3)
    process = here.alive()
    keeper = keeper_of(process)
    processes.send(process.pid, process.start_ticks, signal.SIGSTOP)
    os.kill(keeper, signal.SIGKILL)
    processes.send(process.pid, process.start_ticks, signal.SIGKILL)
    until(lambda: here.executor.probe(RUN) == Gone(process))
    assert here.left()
    here.executor.sweep(RUN)
    until(lambda: not start_of(pid) or not processes.is_alive(pid, start_of(pid)))
    assert (here.left(), here.executor.probe(RUN)) == ([], Gone(process))


def test_a_swept_launcher_of_ours_is_no_zombie(here: Place) -> None:
    here.script("exec sleep 600")
    process = here.alive()
    processes.send(process.pid, process.start_ticks, signal.SIGKILL)
    here.executor.sweep(RUN)
    assert is_gone(process.pid)


def start_of(pid: int) -> int:
    stat = processes.look(pid)
    return stat.start_ticks if stat else 0


def test_a_reboot_is_an_interruption(here: Place) -> None:
    here.script("exec sleep 600")
    path = here.directory() / "run.json"
    process = here.alive()
    path.write_text(path.read_text().replace(process.boot_id, "before-the-reboot"))
    after = here.another()
    probe = after.probe(RUN)
    assert isinstance(probe, Ended)
    assert probe.exit.reason is EndReason.INTERRUPTED
    assert probe.exit.ended_at == pytest.approx(path.stat().st_mtime)
    after.end(RUN)
    assert here.alive() == process
    here.executor.end(RUN)
    here.ended()


def test_a_pid_that_was_given_again_is_not_taken_for_the_launcher(here: Place) -> None:
    here.script("true")
    here.ended()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        path = here.directory() / "run.json"
        text = path.read_text()
        mine = here.ended().process
        assert mine is not None
        path.write_text(text.replace(f'"pid": {mine.pid},', f'"pid": {stranger.pid},'))
        (here.directory() / "exit.json").unlink()
        after = here.another()
        assert isinstance(after.probe(RUN), Gone)
        after.end(RUN)
        after.sweep(RUN)
        assert stranger.poll() is None
        stranger.kill()


# --- what cannot be known is no death ----------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "\0" * 100, "\udcff"])
def test_a_damaged_run_json_is_not_a_death(here: Place, text: str) -> None:
    path = here.directory() / "run.json"
    path.write_bytes(os.fsencode(text))
    with pytest.raises(TransientError, match=r"run\.json is damaged"):
        here.executor.probe(RUN)
    with pytest.raises(TransientError, match=r"run\.json is damaged"):
        here.executor.end(RUN)
    (here.directory() / "exit.json").write_text('{"reason": "exited", "code": 2}')
    ended = here.ended()
    assert (ended.exit.code, ended.process) == (2, None)


def test_a_damaged_exit_json_is_not_a_death(here: Place) -> None:
    here.script("true")
    here.ended()
    (here.directory() / "exit.json").write_text('{"reason": "exit')
    with pytest.raises(TransientError, match=r"exit\.json is damaged"):
        here.another().probe(RUN)


def test_without_file_handles_nothing_is_said(here: Place) -> None:
    here.script("exec sleep 600")
    process = here.alive()
    adopted = here.another()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        for call in (adopted.probe, adopted.sweep, adopted.end):
            with pytest.raises(TransientError, match="Too many open files"):
                call(RUN)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert adopted.probe(RUN) == Alive(process)
    adopted.end(RUN)
    assert here.ended().exit.reason is EndReason.STOPPED


# --- sweeping ----------------------------------------------------------------------------------------


def test_a_sweep_spares_orch_itself_where_an_agent_started_it(here: Place) -> None:
    run_id = here.executor.run_id(RUN)
    text = (
        "import subprocess, sys; from pathlib import Path\n"
        "from orch.adapters.executors import portable\n"
        "victim = subprocess.Popen(['sleep', '600'])\n"
        f"left = [portable.sweep({run_id!r}, 5.0, proc=proc) for proc in (True, False)]\n"
        "print(left, victim.wait())"
    )
    # The shell in between carries the id too, and waits for its end.
    nested = subprocess.run(
        ["sh", "-c", '"$0" -c "$1"; exit 3', sys.executable, text],
        env={**os.environ, "ORCH_RUN_ID": run_id},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (nested.returncode, nested.stdout) == (3, f"[(), ()] {-signal.SIGTERM}\n"), nested.stderr


@pytest.mark.parametrize("proc", [True, False])
def test_a_sweep_ends_those_who_ignore_sigterm_and_nobody_else(here: Place, proc: bool) -> None:
    run_id = here.executor.run_id(RUN)
    text = "trap '' TERM; echo ready; while :; do sleep 600; done"
    with (
        subprocess.Popen(
            ["sh", "-c", text], env={"PATH": PATH, "ORCH_RUN_ID": run_id}, stdout=subprocess.PIPE
        ) as stubborn,
        subprocess.Popen(["sleep", "600"], env={"PATH": PATH, "ORCH_RUN_ID": f"{run_id}0"}) as other,
    ):
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        assert portable.sweep(run_id, 0.1, proc=proc) == ()
        assert (stubborn.wait(), other.poll()) == (-signal.SIGKILL, None)
        other.kill()


def test_without_start_ticks_a_launcher_is_known_by_its_program_and_time(here: Place) -> None:
    here.script("exec sleep 600")
    known = here.alive()
    process = Process(pid=known.pid, start_ticks=0, boot_id="", started_at=known.started_at)
    assert portable.lives(process)
    assert not portable.lives(Process(known.pid, 0, "", known.started_at - 3600))
    assert not portable.lives(Process(os.getpid(), 0, "", known.started_at))
    here.executor.end(RUN)
    here.ended()
    assert not portable.lives(process)


# --- being told --------------------------------------------------------------------------------------


def test_an_end_is_told_once_even_if_it_came_before() -> None:
    told: list[str] = []
    seen = threading.Semaphore(0)

    def tell(name: str) -> None:
        told.append(name)
        seen.release()

    watch = ExitWatch(tell)
    with subprocess.Popen(["sleep", "600"]) as child:
        start = start_of(child.pid)
        for _ in range(3):
            watch.watch("child", child.pid, lambda: processes.is_alive(child.pid, start))
        watch.watch("another with its pid", child.pid, lambda: False)
        assert seen.acquire(timeout=60)
        child.kill()
        assert seen.acquire(timeout=60)
    watch.watch("gone", child.pid, lambda: processes.is_alive(child.pid, start))
    assert seen.acquire(timeout=60)
    assert told == ["another with its pid", "child", "gone"]


# --- verify ------------------------------------------------------------------------------------------


def verify(here: Place, command: str, seconds: float = 60.0) -> VerifyCommand:
    return VerifyCommand(command, seconds, {"PATH": PATH, "D": str(here.root)})


def test_without_a_verify_command_all_is_well(here: Place) -> None:
    assert here.executor.check(RUN, here.worktree).ok


def test_the_tail_of_a_verify_command_is_kept_short(here: Place) -> None:
    lines = "for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5 6 7 8 9; do echo line $i.$j; done; done"
    here.executor.verify = verify(here, f"pwd -P; {lines}; echo done >&2; exit 3")
    check = here.executor.check(RUN, here.worktree)
    tail = check.tail.splitlines()
    assert (check.ok, tail[-2:], len(tail)) == (False, ["done", "(exit code 3)"], TAIL_LINES + 1)
    log = (here.directory() / "verify.log").read_text()
    assert log.startswith(f"{here.worktree.resolve()}\nline 1.1\n")
    here.executor.verify = verify(here, "printf '%09000d\\nlast\\n' 1; kill -9 $$")
    check = here.executor.check(RUN, here.worktree)
    assert (check.tail, len(check.tail) < tails.BYTES) == ("last\n(ended by signal 9)", True)
    here.executor.verify = verify(here, "true")
    assert here.executor.check(RUN, here.worktree).tail == ""
    assert (here.directory() / "verify.log").read_text() == ""


def test_a_verify_command_that_takes_too_long_is_ended_with_all_that_it_started(here: Place) -> None:
    here.executor.verify = verify(here, LEFTOVERS["a daemon"] + "\necho begun; sleep 600", 0.5)
    check = here.executor.check(RUN, here.worktree)
    assert (check.ok, check.tail) == (False, "begun\n(ran longer than its limit of 0.5 s)")
    assert here.left() == []


def test_what_a_verify_command_leaves_is_ended(here: Place) -> None:
    here.executor.verify = verify(here, LEFTOVERS["a daemon"] + '\nwhile ! test -s "$D/pid"; do :; done', 0)
    assert here.executor.check(RUN, here.worktree).ok
    assert here.left() == []


def test_a_verify_command_may_not_fill_the_disk(here: Place) -> None:
    here.executor.limits = WorkerLimits(max_log_mb=1)
    here.executor.verify = verify(here, "yes")
    check = here.executor.check(RUN, here.worktree)
    assert (check.ok, check.tail.endswith("\n(printed more than its limit of 1 MB)")) == (False, True)


def test_a_verify_command_that_cannot_be_run_says_so(here: Place) -> None:
    here.executor.verify = verify(here, "true")
    with pytest.raises(TransientError, match=r"cannot run the verify command in .*nowhere"):
        here.executor.check(RUN, here.root / "nowhere")


def test_what_a_verify_command_prints_is_clean(here: Place) -> None:
    token = "ghp_" + "a1" * 18
    here.executor.verify = verify(here, f"printf '\\033[31mred\\033[0m {token}\\n'; false")
    assert here.executor.check(RUN, here.worktree).tail == "red ***\n(exit code 1)"


@pytest.mark.parametrize(
    "command",
    [
        'echo "$$" > "$D/pid"; sleep 600',
        LEFTOVERS["a daemon"] + "\nsleep 600",
        "trap '' TERM; " + LEFTOVERS["one that ignores SIGTERM"] + "\nwhile :; do sleep 600; done",
        LEFTOVERS["a stopped one"] + "\nkill -STOP $$",
    ],
    ids=["a shell", "a daemon", "one that ignores SIGTERM", "a stopped one"],
)
def test_a_verify_command_is_stopped_with_all_that_it_started(here: Place, command: str) -> None:
    here.executor.limits = WorkerLimits(grace_seconds=0.3)
    here.executor.verify = verify(here, command, 0)
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(here.executor.check, RUN, here.worktree)
        pid = pid_in(here.root / "pid")
        here.executor.end(RUN)
        assert check.result(60) == Check(ok=False, tail="(stopped)")
    until(lambda: not (start := start_of(pid)) or not processes.is_alive(pid, start))
    assert here.left() == []


VERIFYING = """
import sys
from pathlib import Path
from orch.adapters.executors.local import LocalExecutor, WorkerLimits
from orch.adapters.executors.verify import VerifyCommand
from orch.core.model import RunKey
root = Path(sys.argv[1])
verify = VerifyCommand(sys.argv[3], 0, {"PATH": sys.argv[2], "D": str(root)})
executor = LocalExecutor(root / "runs", limits=WorkerLimits(grace_seconds=0.3), wake=print, verify=verify)
executor.check(RunKey("gh-1", 1), root / "tree")
"""


@contextmanager
def verifying(here: Place, command: str) -> Iterator[int]:
    """A coordinator that verifies, and is killed in the end; gives the pid that the command writes down."""
    with subprocess.Popen([sys.executable, "-c", VERIFYING, str(here.root), PATH, command]) as coordinator:
        yield pid_in(here.root / "pid")
        coordinator.kill()


def guard_of(here: Place) -> processes.Stat:
    """The guard of the verify command that is under way. Its keeper has the same command line."""
    (found,) = [
        stat
        for stat in processes.marked(here.executor.run_id(RUN))
        if guard.__file__.encode() in (processes.read(f"/proc/{stat.pid}/cmdline") or b"")
        and os.getsid(stat.pid) == stat.pid
    ]
    return found


@pytest.mark.parametrize("what", ["one that ignores SIGTERM", "one without its environment"])
def test_a_verify_command_ends_with_its_coordinator(here: Place, what: str) -> None:
    with verifying(here, LEFTOVERS[what] + "\ntrap '' TERM; while :; do sleep 600; done") as pid:
        guarding = guard_of(here)
    until(lambda: is_gone(pid) and is_gone(guarding.pid) and not here.left())


def test_a_verify_command_whose_guard_is_killed_is_noticed_at_once(here: Place) -> None:
    here.executor.verify = verify(here, LEFTOVERS["a daemon"] + "\nsleep 600", 0)
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(here.executor.check, RUN, here.worktree)
        pid_in(here.root / "pid")
        guard_of(here).send(signal.SIGKILL)
        with pytest.raises(TransientError, match=r"the verify command in .* lost its guard"):
            check.result(60)
    assert here.left() == []
    (here.root / "pid").unlink()
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(here.executor.check, RUN, here.worktree)
        pid_in(here.root / "pid")
        guard_of(here).send(signal.SIGTERM)
        with pytest.raises(TransientError, match="was ended from outside"):
            check.result(60)
    assert here.left() == []


@pytest.fixture
def left(here: Place) -> int:
    """The pid of a verify command whose coordinator was killed, and its guard and keeper too."""
    with verifying(here, 'echo $$ > "$D/pid"; sleep 600; sleep 600') as pid:
        guarding = guard_of(here)
        guarding.send(signal.SIGSTOP)
        command = processes.look(pid)
        assert command is not None
        os.kill(command.parent, signal.SIGKILL)
    guarding.send(signal.SIGKILL)
    until(lambda: not processes.is_alive(guarding.pid, guarding.start_ticks))
    assert processes.is_alive(pid, start_of(pid))
    return pid


DEAD = 'test ! -e /proc/{0} || grep -q "^State:.[ZX]" /proc/{0}/status'


def test_two_verify_commands_are_never_in_one_worktree(here: Place, left: int) -> None:
    here.executor.verify = verify(here, DEAD.format(left))
    assert here.executor.check(RUN, here.worktree).ok


def test_the_next_attempt_starts_alone(here: Place, left: int) -> None:
    second = RunKey(RUN.task, 2)
    here.claim(second)
    here.start("sh", "-c", DEAD.format(left), run=second)
    assert here.ended(second).exit.ok


# --- processes ---------------------------------------------------------------------------------------


def test_a_program_may_have_any_name(tmp_path: Path) -> None:
    odd = tmp_path / "x) S 1 (y"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "600"]) as child:
        until(lambda: (tmp_path / f"/proc/{child.pid}/comm").read_text() == "x) S 1 (y\n")
        stat = processes.look(child.pid)
        assert stat is not None
        assert (stat.parent, stat.dead) == (os.getpid(), False)
        assert child.pid in {found.pid for found in processes.descendants(os.getpid())}
        assert not processes.send(child.pid, stat.start_ticks + 1, signal.SIGKILL)
        assert processes.send(child.pid, stat.start_ticks, signal.SIGKILL)
    assert not processes.send(child.pid, stat.start_ticks, signal.SIGKILL)
    assert processes.pss_bytes(child.pid) is None


def test_a_look_that_fails_does_not_mean_that_nothing_is_there() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        looks = 0

        def find() -> list[processes.Stat]:
            nonlocal looks
            looks += 1
            if looks in {1, 3}:
                raise OSError(24, "Too many open files")
            stat = processes.look(child.pid)
            return [stat] if stat and not stat.dead else []

        assert list(processes.end(find, 30.0)) == []
        assert child.wait() == -signal.SIGTERM
    assert looks >= 4


def test_what_cannot_be_ended_is_given_back_in_time() -> None:
    class Stuck:
        pid = 4711

        def send(self, *numbers: int) -> bool:
            raise OSError(24, "Too many open files")

    def fail() -> list[Stuck]:
        raise OSError(24, "Too many open files")

    stuck = Stuck()
    assert processes.end(lambda: [stuck], 0.0, patience=0.05) == [stuck]
    with pytest.raises(OSError, match="Too many"):
        processes.end(fail, 0.0, patience=0.05)


def test_children_are_found_with_and_without_their_list() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        for listed in (True, False):
            assert child.pid in processes._children(os.getpid(), listed=listed)
        child.kill()
    assert processes._children(child.pid) == []
    assert {os.getpid(), os.getppid()} <= processes.ancestors(os.getpid())
