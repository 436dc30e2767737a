"""`.orch/metrics.json`: what the coordinator counts, for scripts, `orch status` and the next start.

The keys are relied upon (issue 2, number 11); new ones may come, none goes away. It is written
atomically but not synced to the disk at every change: a power loss may cost counters, never work.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from orch.adapters.store import atomic, records
from orch.core.counts import count_statuses
from orch.core.forge import Usage
from orch.core.metrics import Event, Metrics, percentile
from orch.core.model import Run, Status
from orch.core.state import Snapshot
from orch.core.tasks_md import Document

REFRESH_SECONDS = 5.0
"""While nothing but time passes, the file is written this often: a reader sees that we live."""
SHOWN = 100
"""Waiting tasks and notices that are written; a queue of thousands would make each write slow."""


class _Samples(msgspec.Struct, frozen=True):
    durations: tuple[float, ...] = ()
    queue_waits: tuple[float, ...] = ()
    recent: tuple[bool, ...] = ()


class _Kept(msgspec.Struct, frozen=True):
    """The part of the file that the next start goes on with."""

    workers_launched: int = 0
    workers_completed: int = 0
    workers_failed: int = 0
    workers_blocked: int = 0
    prs_created: int = 0
    worktree_errors: int = 0
    github_api_errors: int = 0
    forge_errors: int = 0
    attempts: int = 0
    capacity: int | None = None
    history: tuple[Event, ...] = ()
    samples: _Samples = _Samples()


class _Coordinator(msgspec.Struct, frozen=True):
    pid: int = 0


class SeenForge(msgspec.Struct, frozen=True):
    """What the coordinator last saw at the forge: see Snapshot."""

    usage: Usage | None = None
    awaiting: Mapping[str, str] = {}
    reviews: Mapping[str, str] = {}


class _Told(msgspec.Struct, frozen=True):
    """The part of the file that `orch status` cannot find out by itself."""

    coordinator: _Coordinator = _Coordinator()
    notices_about: Mapping[str, str] = {}
    forge: SeenForge = SeenForge()


class MetricsFile:
    """The MetricsStore on disk. `warn` gets one line where the file is damaged."""

    def __init__(self, path: Path, *, warn: Callable[[str], None]) -> None:
        """`path` is `.orch/metrics.json`; its folder is made when it is needed."""
        self._path = path
        self._warn = warn
        self._written: Mapping[str, Any] = {}
        self._written_at = 0.0
        self._counted: Document | None = None
        self._counts: Mapping[Status, int] = count_statuses(None)

    def read(self) -> Metrics | None:
        """The counters that were last written, None where there are none or they cannot be read.

        Raises PermanentError for a file of a newer orch: writing would destroy what it knows.
        """
        try:
            kept = records.read(self._path, _Kept)
        except records.DamagedError as error:
            self._warn(f"{error.message}; counting starts again")
            return None
        if kept is None:
            return None
        fields = {name: getattr(kept, name) for name in _Kept.__struct_fields__ if name != "samples"}
        return Metrics(**fields, **msgspec.structs.asdict(kept.samples))

    def notices(self, pid: int) -> Mapping[str, str]:
        """What the coordinator with this pid last had to say, by what it is about.

        Raises TransientError where the file cannot be read, PermanentError for one of a newer orch.
        """
        told = self._told()
        return told.notices_about if told.coordinator.pid == pid else {}

    def forge(self) -> SeenForge:
        """What the last coordinator saw of the forge. Raises as `notices`."""
        return self._told().forge

    def _told(self) -> _Told:
        try:
            return records.read(self._path, _Told) or _Told()
        except records.DamagedError:
            return _Told()  # `read` warns of it.

    def write(self, snapshot: Snapshot) -> None:
        """Write what the snapshot says, if anything but the time changed or 5 seconds passed.

        Raises TransientError where it cannot be written; the file before is then still whole.
        """
        said = self._describe(snapshot)
        age = abs(snapshot.at - self._written_at)
        if said == self._written and age < REFRESH_SECONDS:
            return
        timed = {
            "uptime_seconds": round(snapshot.at - snapshot.started_at, 1) if snapshot.started_at else 0.0,
            "last_update": _iso(snapshot.at),
        }
        atomic.make_folder(self._path.parent)
        atomic.write(self._path, records.encode({**timed, **said}))
        self._written, self._written_at = said, snapshot.at

    def _describe(self, snapshot: Snapshot) -> dict[str, Any]:
        """Everything in the file but the time."""
        metrics = snapshot.metrics
        if snapshot.document is not self._counted:
            self._counted, self._counts = snapshot.document, count_statuses(snapshot.document)
        recent = metrics.recent
        return {
            "health": snapshot.health.value,
            "paused": snapshot.paused,
            "coordinator": {"pid": snapshot.pid, "started_at": snapshot.started_at},
            "counts": {status.value: count for status, count in self._counts.items()},
            "workers_launched": metrics.workers_launched,
            "workers_completed": metrics.workers_completed,
            "workers_failed": metrics.workers_failed,
            "workers_blocked": metrics.workers_blocked,
            "prs_created": metrics.prs_created,
            "worktree_errors": metrics.worktree_errors,
            "github_api_errors": metrics.github_api_errors,
            "forge_errors": metrics.forge_errors,
            "attempts": metrics.attempts,
            "capacity": metrics.capacity,
            "success_rate": round(sum(recent) / len(recent), 3) if recent else None,
            "durations": _summary(metrics.durations),
            "queue_waits": _summary(metrics.queue_waits),
            "workers": [_worker(snapshot.runs[task]) for task in sorted(snapshot.live)],
            "notices": list(islice(snapshot.notices.values(), SHOWN)),
            "notices_about": dict(islice(snapshot.notices.items(), SHOWN)),
            "waiting": dict(islice(snapshot.waiting.items(), SHOWN)),
            "forge": {
                "usage": snapshot.usage,
                "awaiting": dict(islice(snapshot.awaiting.items(), SHOWN)),
                "reviews": dict(islice(snapshot.reviews.items(), SHOWN)),
            },
            "samples": {
                "durations": metrics.durations,
                "queue_waits": metrics.queue_waits,
                "recent": recent,
            },
            "history": metrics.history,
        }


def _worker(run: Run) -> dict[str, Any]:
    process = run.process
    return {
        "task": run.key.task,
        "attempt": run.key.attempt,
        "worker": run.key.worker,
        "phase": run.phase.value,
        "pid": process.pid if process else None,
        "agent": run.claim.agent,
        "started_at": process.started_at if process else None,
        "branch": run.claim.branch,
    }


def _summary(samples: tuple[float, ...]) -> dict[str, float | None]:
    """The percentiles in seconds, None where there are no samples."""
    return {"p50": percentile(samples, 0.5), "p95": percentile(samples, 0.95), "samples": len(samples)}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
