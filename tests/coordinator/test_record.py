"""What is logged."""

from pathlib import Path

import pytest

from orch.coordinator.record import record
from orch.core.metrics import Event
from orch.core.state import State
from tests.fakes.ports import FakeWorld


@pytest.fixture
def said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> "Recorder":
    caplog.set_level("INFO", "orch")
    return Recorder(FakeWorld(tmp_path), caplog)


class Recorder:
    """Records one state after another."""

    def __init__(self, world: FakeWorld, log: pytest.LogCaptureFixture) -> None:
        self._world = world
        self._log = log
        self._state = State()

    def after(self, state: State) -> list[str]:
        """The lines that are logged when this state comes."""
        self._log.clear()
        record(self._world.ports, self._state, state)
        self._state = state
        return self._log.messages


def test_a_notice_is_logged_when_it_begins_and_when_it_is_over(said: Recorder) -> None:
    assert said.after(State(notices={"resources": "10 MB free"})) == ["10 MB free"]
    assert said.after(State(notices={"resources": "9 MB free"})) == [], "the same, with other figures"
    assert said.after(State()) == ["over: 9 MB free"]


def test_what_the_history_tells_is_not_logged_twice(said: Recorder) -> None:
    state = State(notices={"agent: sh": "sh is missing"})
    told = state.evolve(events=(Event(1.0, "problem", "sh is missing"),))
    assert said.after(told) == ["problem sh is missing"]


def test_events_go_into_the_event_log_and_to_the_hooks_once(tmp_path: Path) -> None:
    world = FakeWorld(tmp_path)
    event = Event(1.0, "paused", "lunch")
    state = State(paused="lunch", events=(event,))
    record(world.ports, State(), state)
    calm = state.evolve(events=())
    record(world.ports, state, calm)
    assert world.events.written == [event]
    assert [(news.occasion, news.message) for news in world.announcer.news] == [("paused", "lunch")]
