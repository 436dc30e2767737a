"""The contract of the Executor, for the fake and the real one."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest

from orch.adapters.executors import processes
from orch.adapters.executors.verify import VerifyCommand
from orch.core.model import EndReason, Exit, Process, RunKey
from orch.core.state import Absent, Alive, Ended, Gone, Probe
from orch.errors import OrchError, PermanentError
from orch.ports import Check, Command, Executor
from tests.adapters.workers import PATH, RUN, Place, place, until
from tests.fakes.executor import FakeExecutor

PROMPT = "do it"
SECOND = RunKey("gh-1", 2)


class World(Protocol):
    """What a test may do to the workers of either executor."""

    executor: Executor
    worktree: Path

    def command(self) -> Command:
        """One that runs until `finish`."""

    def finish(self, run: RunKey, code: int) -> None: ...
    def kill_launcher(self, run: RunKey) -> None: ...
    def fence(self, run: RunKey) -> None: ...
    def starts(self) -> int: ...
    def woken(self) -> bool: ...
    def verify(self, *, ok: bool) -> None: ...
    def verify_for_ever(self) -> None: ...
    def is_verifying(self) -> bool: ...


class FakeWorld:
    def __init__(self) -> None:
        self.wakes: list[str] = []
        self.fake = FakeExecutor(wake=self.wakes.append)
        self.executor: Executor = self.fake
        self.worktree = Path("/fake/tree")

    def command(self) -> Command:
        return Command(("agent",), {}, "a-session")

    def finish(self, run: RunKey, code: int) -> None:
        self.fake.finish(run, Exit(EndReason.EXITED, code=code))

    def kill_launcher(self, run: RunKey) -> None:
        self.fake.lose(run)

    def fence(self, run: RunKey) -> None:
        self.fake.processes[run] = Process(0, 0, "", 5.0)

    def starts(self) -> int:
        return len(self.fake.started)

    def woken(self) -> bool:
        return bool(self.wakes)

    def verify(self, *, ok: bool) -> None:
        self.fake.check_result = Check(ok=ok, tail="it says no")

    def verify_for_ever(self) -> None:
        self.fake.checks_wait = True

    def is_verifying(self) -> bool:
        return bool(self.fake.checked)


class RealWorld:
    def __init__(self, here: Place) -> None:
        self.here = here
        self.executor: Executor = here.executor
        self.worktree = here.worktree
        self.claimed = here.claim(SECOND)

    def command(self) -> Command:
        go = self.here.pipe("go") if not (self.here.root / "go").exists() else self.here.root / "go"
        text = 'echo started >> "$D/starts"; read code < "$D/go"; exit $code'
        assert go.is_fifo()
        return Command(("sh", "-c", text), {"PATH": PATH, "D": str(self.here.root)}, "a-session")

    def finish(self, run: RunKey, code: int) -> None:
        (self.here.root / "go").write_text(f"{code}\n")

    def kill_launcher(self, run: RunKey) -> None:
        alive = self.executor.probe(run)
        assert isinstance(alive, Alive)
        until(self.starts)
        processes.send(alive.process.pid, alive.process.start_ticks, signal.SIGKILL)

    def fence(self, run: RunKey) -> None:
        (self.here.directory(run) / "run.json").write_text(
            '{"version": 1, "pid": 0, "start_ticks": 0, "boot_id": "", "started_at": 5.0}'
        )

    def starts(self) -> int:
        counter = self.here.root / "starts"
        return len(counter.read_text().splitlines()) if counter.exists() else 0

    def woken(self) -> bool:
        return bool(self.here.wakes.get(timeout=60))

    def verify(self, *, ok: bool) -> None:
        self.here.executor.verify = VerifyCommand(
            "true" if ok else "echo it says no; false", 60, {"PATH": PATH}
        )

    def verify_for_ever(self) -> None:
        self.here.executor.verify = VerifyCommand("echo begun; sleep 600", 0, {"PATH": PATH})

    def is_verifying(self) -> bool:
        log = self.here.directory() / "verify.log"
        return log.exists() and log.read_text() == "begun\n"


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
    else:
        with place(tmp_path) as here:
            yield RealWorld(here)


def over(world: World, run: RunKey = RUN) -> Ended:
    probe = until(lambda: isinstance(seen := world.executor.probe(run), Ended) and seen)
    assert isinstance(probe, Ended)
    return probe


def test_a_run_that_was_never_started_is_absent(world: World) -> None:
    assert world.executor.probe(RUN) == Absent()


def test_a_worker_lives_until_it_ends_and_says_how(world: World) -> None:
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    alive = world.executor.probe(RUN)
    assert isinstance(alive, Alive)
    assert alive.process.pid > 0
    assert alive.process.session_id == "a-session"
    world.finish(RUN, 7)
    ended = over(world)
    assert (ended.exit.reason, ended.exit.code, ended.exit.ok) == (EndReason.EXITED, 7, False)
    assert ended.process is not None
    assert ended.process.pid == alive.process.pid
    assert world.executor.probe(RUN) == ended


def test_the_end_of_a_probed_run_wakes(world: World) -> None:
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    assert isinstance(world.executor.probe(RUN), Alive)
    world.finish(RUN, 0)
    assert world.woken()


def test_a_run_starts_once(world: World) -> None:
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    world.finish(RUN, 0)
    over(world)
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    assert over(world).exit.ok
    assert world.starts() == 1


def test_a_fenced_run_never_starts(world: World) -> None:
    world.fence(RUN)
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    ended = world.executor.probe(RUN)
    assert isinstance(ended, Ended)
    assert (ended.exit.reason, ended.process) == (EndReason.STOPPED, None)
    world.executor.end(RUN)
    assert world.starts() == 0


def test_a_worker_is_ended_on_request(world: World) -> None:
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    world.executor.end(RUN)
    world.executor.end(RUN)
    ended = over(world)
    assert (ended.exit.reason, ended.exit.code, ended.exit.signal) == (EndReason.STOPPED, None, 15)


def test_a_run_that_does_not_live_can_be_ended_and_swept_in_vain(world: World) -> None:
    world.executor.end(RUN)
    world.executor.sweep(RUN)
    assert world.executor.probe(RUN) == Absent()


def test_a_lost_launcher_is_noticed_and_swept(world: World) -> None:
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    world.kill_launcher(RUN)
    gone = until(lambda: probe if isinstance(probe := world.executor.probe(RUN), Gone) else None)
    world.executor.end(RUN)
    world.executor.sweep(RUN)
    assert world.executor.probe(RUN) == gone
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    assert world.starts() == 1


def test_each_attempt_is_a_run_of_its_own(world: World) -> None:
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    world.executor.end(RUN)
    over(world)
    assert world.executor.probe(SECOND) == Absent()
    world.executor.start(SECOND, world.command(), world.worktree, PROMPT)
    assert isinstance(world.executor.probe(SECOND), Alive)
    world.finish(SECOND, 0)
    assert over(world, SECOND).exit.ok


@pytest.mark.parametrize("ok", [True, False])
def test_the_verify_command_says_what_it_found(world: World, ok: bool) -> None:
    world.verify(ok=ok)
    check = world.executor.check(RUN, world.worktree)
    assert check.ok is ok
    assert ok or "it says no" in check.tail


def test_a_verify_command_is_ended_on_request(world: World) -> None:
    world.verify_for_ever()
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(world.executor.check, RUN, world.worktree)
        until(world.is_verifying)
        world.executor.end(RUN)
        world.executor.end(RUN)
        found = check.result(60)
    assert (found.ok, found.tail.splitlines()[-1]) == (False, "(stopped)")


def test_a_run_that_was_told_to_end_is_not_verified_any_more(world: World) -> None:
    world.verify(ok=True)
    world.executor.start(RUN, world.command(), world.worktree, PROMPT)
    world.executor.end(RUN)
    over(world)
    assert world.executor.check(RUN, world.worktree) == Check(ok=False, tail="(stopped)")
    assert world.executor.check(SECOND, world.worktree).ok


@pytest.mark.parametrize("run", [RunKey("../etc", 1), RunKey("gh-1/../..", 1), RunKey("gh-1", 0)])
@pytest.mark.parametrize("method", ["start", "probe", "end", "sweep", "check"])
def test_what_is_no_run_is_refused(world: World, run: RunKey, method: str) -> None:
    arguments = {"start": (world.command(), world.worktree, PROMPT), "check": (world.worktree,)}.get(
        method, ()
    )
    with pytest.raises(PermanentError, match="not the name of a run"):
        getattr(world.executor, method)(run, *arguments)


def test_an_empty_command_is_refused(world: World) -> None:
    with pytest.raises(PermanentError, match="empty"):
        world.executor.start(RUN, Command((), {}), world.worktree, PROMPT)


# --- the fake alone ----------------------------------------------------------------------------------


def test_the_fake_fails_when_it_is_told_to() -> None:
    fake = FakeExecutor()
    fake.fail("start")
    fake.fail("probe", PermanentError("no"), PermanentError("never"))
    for _ in range(2):
        with pytest.raises(PermanentError):
            fake.probe(RUN)
    with pytest.raises(OrchError, match="start failed"):
        fake.start(RUN, Command(("agent",), {}), Path("/tree"), PROMPT)
    assert (fake.probe(RUN), fake.live) == (Absent(), [])


def test_the_fake_can_restart_its_machine() -> None:
    fake = FakeExecutor()
    fake.start(RUN, Command(("agent",), {}), Path("/tree"), PROMPT)
    assert fake.live == [RUN]
    fake.reboot()
    probe: Probe = fake.probe(RUN)
    assert isinstance(probe, Ended)
    assert (probe.exit.reason, fake.live) == (EndReason.INTERRUPTED, [])


def test_a_worker_of_the_fake_may_be_slow_to_end() -> None:
    fake = FakeExecutor()
    fake.obedient = False
    fake.start(RUN, Command(("agent",), {}), Path("/tree"), PROMPT)
    fake.end(RUN)
    assert isinstance(fake.probe(RUN), Alive)
    fake.finish(RUN, Exit(EndReason.STOPPED, code=0))
    assert (fake.ended, isinstance(fake.probe(RUN), Ended)) == ([RUN], True)
