"""The loop itself: real signals to ourselves, fakes for the world."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orch.coordinator.loop import Coordinator, Setup
from orch.coordinator.mailbox import Mailbox
from orch.core.announce import Occasion
from orch.core.model import Drain, Policy, RetryRequest, RunKey, StopRequest
from orch.core.state import Look, Snapshot
from orch.errors import ConfigError, TransientError
from orch.ports import Life
from tests.coordinator.test_mailbox import Scarce
from tests.fakes.announcer import FakeAnnouncer
from tests.fakes.ports import FakeWorld

KEY = RunKey("t-1", 1)


class Stage:
    """A coordinator on fakes whose every snapshot a test can answer."""

    def __init__(self, folder: Path, text: str, **policy: object) -> None:
        self.mailbox = Mailbox()
        self.world = FakeWorld(folder, text, wake=lambda reason: self.mailbox.post(Look(reason)))
        self.policy = Policy(agents=("claude",), poll_interval=0.05, grace_seconds=0.1).evolve(**policy)
        self.setup = Setup(self.world.ports, self.policy)
        self.answers: list[Callable[[Snapshot], bool]] = []
        self.reloads: list[Setup | ConfigError] = []
        self.entered: list[str] = []
        self.coordinator = self.coordinate(self.setup)

    def coordinate(self, setup: Setup, renew: Callable[[], bool] = lambda: False) -> Coordinator:
        return Coordinator(
            setup,
            presence=self.presence(),
            reload=self.reload,
            mailbox=self.mailbox,
            on_snapshot=self.show,
            renew=renew,
        )

    @contextlib.contextmanager
    def presence(self) -> Iterator[None]:
        self.entered.append("in")
        yield
        self.entered.append("out")

    def reload(self) -> Setup:
        answer = self.reloads.pop(0)
        if isinstance(answer, ConfigError):
            raise answer
        return answer

    def show(self, snapshot: Snapshot) -> None:
        """Real time passes for the real mailbox; the fake clock goes with it."""
        self.world.clock.advance(0.05)
        if self.answers and self.answers[0](snapshot):
            self.answers.pop(0)
            self.mailbox.post(Look("a test has answered"))

    def commit_and_end(self, snapshot: Snapshot) -> bool:
        """When the worker runs, let it commit and end."""
        # The coordinator has seen them: their start is over on the background thread too.
        seen = [run.key for run in snapshot.runs.values() if run.live and run.process]
        live = [key for key in self.world.executor.live if key in seen]
        for key in live:
            self.world.worktrees.edit(key.task, "file", "text")
            self.world.worktrees.commit(key.task, "Do it")
            self.world.executor.finish(key)
        return bool(live)


def send(number: signal.Signals) -> Callable[[Snapshot], bool]:
    """An answer that sends a signal once a worker runs."""

    def answer(snapshot: Snapshot) -> bool:
        if not any(run.process for run in snapshot.runs.values()):
            return False
        os.kill(os.getpid(), number)
        return True

    return answer


def test_until_idle(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n[] t-2: Then this {after:t-1}\n")
    stage.answers = [stage.commit_and_end, stage.commit_and_end]
    assert stage.coordinator.run(until_idle=True) == 0
    assert stage.world.executor.started == [RunKey("t-1", 1), RunKey("t-2", 1)]
    assert stage.entered == ["in", "out"]
    assert (stage.world.tasks.text or "").count("[✅") == 2


def test_what_nobody_can_start_is_said_and_is_idle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it {agent:codex}\n[] t-2: And this {agent:codex}\n")
    assert stage.coordinator.run(until_idle=True) == 0
    assert "there is no [agents.codex] in config.toml" in caplog.text


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_drains_and_leaves_the_worker(tmp_path: Path, number: signal.Signals, code: int) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    stage.answers = [send(number)]
    assert stage.coordinator.run() == code
    assert stage.world.executor.live == [KEY]
    assert stage.entered == ["in", "out"]


def test_a_second_signal_stops_the_worker(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n", drain=Drain.FINISH)
    stage.answers = [send(signal.SIGTERM), send(signal.SIGTERM)]
    assert stage.coordinator.run() == 0
    assert stage.world.executor.live == []
    assert "[]" in (stage.world.tasks.text or "")


def test_sighup_takes_new_settings_and_refuses_bad_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "orch")
    stage = Stage(tmp_path, "[] t-1: Do it\n[] t-2: This too\n", max_concurrent_workers=1)
    more = replace(stage.setup, policy=stage.policy.evolve(max_concurrent_workers=2))
    stage.reloads = [ConfigError("config.toml:1: nonsense"), more]

    def both_run(snapshot: Snapshot) -> bool:
        if len(stage.world.executor.live) < 2:
            return False
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    stage.answers = [send(signal.SIGHUP), send(signal.SIGHUP), both_run]
    assert stage.coordinator.run() == 0
    assert "not reloaded" in caplog.text
    assert "config.toml was reloaded" in caplog.text


def test_a_stop_is_carried_out_without_launching_anything(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n[] t-2: Not now\n", max_concurrent_workers=1)
    stage.answers = [send(signal.SIGTERM)]
    stage.coordinator.run()
    again = Stage(tmp_path, "", stop_seconds=0.1)
    again.world = stage.world
    again.setup = Setup(stage.world.ports, again.policy)
    coordinator = again.coordinate(again.setup)
    stage.world.requests.post(StopRequest("t-1", "enough"))
    # Neither a reload nor what somebody else asked for makes it a coordinator that launches.
    stage.world.requests.post(RetryRequest("t-2"))
    again.reloads = [replace(again.setup, policy=again.policy.evolve(max_concurrent_workers=9))]
    again.answers = [send(signal.SIGHUP)]
    coordinator.finish_stops(["t-1"])
    assert again.reloads == []
    assert stage.world.executor.live == []
    assert stage.world.executor.started == [KEY]
    assert "[⏰" in (stage.world.tasks.text or "")


def test_metrics_that_cannot_be_written_end_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    stage.world.metrics.fail("write", *[TransientError("disk full")] * 3)
    stage.answers = [stage.commit_and_end]
    assert stage.coordinator.run(until_idle=True) == 0
    assert "metrics.json was not written: disk full" in caplog.text


def test_the_lock_is_taken_again_when_that_is_possible(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    answers: Iterator[bool | TransientError] = iter([False, TransientError("disk full"), True])

    def renew() -> bool:
        answer = next(answers, False)
        if isinstance(answer, TransientError):
            raise answer
        return answer

    stage.coordinator = stage.coordinate(stage.setup, renew)
    stage.answers = [stage.commit_and_end]
    assert stage.coordinator.run(until_idle=True) == 0
    said = [record.getMessage() for record in caplog.records if record.name == "orch.coordinator.loop"]
    assert said[0] == "disk full"
    assert "were removed while it ran" in said[1]


class ScarceLog(logging.Handler):
    """Has no memory left for the first record."""

    def __init__(self) -> None:
        super().__init__()
        self.lacks = True

    def emit(self, record: logging.LogRecord) -> None:
        if self.lacks:
            self.lacks = False
            raise MemoryError


@pytest.mark.parametrize("lacking", ["the turn", "the log", "the snapshot"])
def test_what_lacks_memory_is_done_again_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lacking: str
) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    handler = ScarceLog()

    def lack_memory(snapshot: Snapshot) -> bool:
        if not send(signal.SIGTERM)(snapshot):
            return False
        if lacking == "the turn":
            stage.world.requests.fail("read", MemoryError(), MemoryError())
        elif lacking == "the log":
            logging.getLogger("orch.coordinator.record").addHandler(handler)
        else:
            stage.world.metrics.fail("write", MemoryError(), MemoryError())
        return True

    stage.answers = [lack_memory]
    with caplog.at_level(logging.INFO):
        assert stage.coordinator.run() == 0, "the signal was not lost"
    logging.getLogger("orch.coordinator.record").removeHandler(handler)
    assert "no more memory" in caplog.text
    assert [event.kind for event in stage.world.events.written] == ["launched", "draining"]


def test_to_see_whether_it_is_done_may_lack_memory_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    lacking = [MemoryError()]

    class ScarceAnnouncer(FakeAnnouncer):
        def __getattribute__(self, name: str) -> object:
            if name == "pending" and lacking:
                raise lacking.pop()
            return super().__getattribute__(name)

    ports = replace(stage.world.ports, announcer=ScarceAnnouncer())
    stage.coordinator = stage.coordinate(replace(stage.setup, ports=ports))
    stage.answers = [stage.commit_and_end]
    assert stage.coordinator.run(until_idle=True) == 0
    assert not lacking
    assert "no more memory" in caplog.text


def test_without_memory_to_wait_with_it_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    stage.mailbox.watch_with(Scarce())
    stage.answers = [stage.commit_and_end]
    assert stage.coordinator.run(until_idle=True) == 0
    assert "no more memory" in caplog.text


def test_a_saved_file_is_acted_on_at_once(tmp_path: Path) -> None:
    watched = tmp_path / "tasks.md"
    watched.write_text("x")
    stage = Stage(tmp_path, "", poll_interval=1000.0)
    stage.coordinator = stage.coordinate(replace(stage.setup, files=(watched,)))
    saved = threading.Event()

    def edit(snapshot: Snapshot) -> bool:
        if not saved.is_set():
            stage.world.tasks.edit("[] t-1: Do it\n")
            watched.write_text("saved")
            saved.set()
        return False

    def end_when_running(snapshot: Snapshot) -> bool:
        edit(snapshot)
        return send(signal.SIGTERM)(snapshot)

    stage.answers = [end_when_running]
    assert stage.coordinator.run() == 0
    assert stage.world.executor.started == [KEY]


def test_the_supervisor_is_told_of_the_start_the_end_and_a_reload(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    stage.reloads = [stage.setup, ConfigError("broken")]
    stage.answers = [send(signal.SIGHUP), send(signal.SIGHUP), stage.commit_and_end]
    assert stage.coordinator.run(until_idle=True) == 0
    told = stage.world.supervisor.told
    assert told[:2] == [Life.READY, Life.ALIVE]
    assert told.count(Life.RELOADING) == 2
    assert all(told[place + 1] is Life.READY for place, life in enumerate(told) if life is Life.RELOADING)
    assert told[-2:] == [Life.ALIVE, Life.STOPPING]
    assert stage.world.supervisor.status == "0 at work, 0 ready"


def test_the_loop_turns_as_often_as_the_watchdog_wants(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "", poll_interval=3600.0)
    stage.world.supervisor.interval = 0.05
    turns: list[Snapshot] = []

    def enough(snapshot: Snapshot) -> bool:
        turns.append(snapshot)
        if len(turns) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    stage.answers = [enough]
    assert stage.coordinator.run() == 0
    assert stage.world.supervisor.told == [Life.READY, Life.ALIVE, Life.STOPPING]


def test_until_idle_waits_for_the_hooks_of_the_last_events(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    announcer = stage.world.announcer
    announcer.hold = True

    def end_hook(_: Snapshot) -> bool:
        if not announcer.pending:
            return False
        announcer.end()
        return True

    stage.answers = [stage.commit_and_end, end_hook]
    assert stage.coordinator.run(until_idle=True) == 0
    assert [news.occasion for news in announcer.news] == [Occasion.PR_READY]
    assert announcer.closed


def test_a_drained_coordinator_closes_the_hooks(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "[] t-1: Do it\n")
    stage.world.announcer.hold = True
    stage.answers = [send(signal.SIGTERM)]
    assert stage.coordinator.run() == 0
    assert stage.world.announcer.closed
