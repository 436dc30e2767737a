"""The view of a Snapshot for machines: `orch status --json`."""

from typing import Any

from orch.core.forge import Usage
from orch.core.metrics import Metrics, percentile
from orch.core.model import Parking
from orch.core.state import Snapshot
from orch.dashboard import digest
from orch.dashboard.plain import encodable


def make_report(snapshot: Snapshot, now: float) -> dict[str, Any]:
    """The snapshot as plain JSON data. Times in seconds, moments in seconds since the epoch.

    What is not there is null; text is valid Unicode. `now` is in seconds since the epoch.
    """
    tasks = digest.list_tasks(snapshot)
    coordinator = None
    if snapshot.pid:
        coordinator = {"pid": snapshot.pid, "uptime_seconds": _uptime(snapshot, now)}
    report: dict[str, Any] = {
        "health": str(snapshot.health),
        "paused": snapshot.paused is not None,
        "paused_reason": snapshot.paused,
        "draining": snapshot.draining,
        "coordinator": coordinator,
        "counts": {str(status): count for status, count in digest.count_tasks(snapshot).items()},
        "workers": [_worker(row) for row in digest.list_workers(snapshot, now)],
        "tasks": [_task(row) for row in tasks],
        "limits": [_limit(snapshot.parked[lane]) for lane in sorted(snapshot.parked)],
        "today": _today(snapshot),
        "metrics": _metrics(snapshot.metrics),
        "events": [
            {
                "at": event.at,
                "kind": event.kind,
                "message": event.message,
                "task": event.task,
                "attempt": event.attempt,
            }
            for event in snapshot.metrics.history
        ],
        "problems": [{"line": problem.line, "message": problem.message} for problem in snapshot.problems],
        "notices": list(snapshot.notices.values()),
        "forge": {
            "awaiting": [{"id": name, "issue": text} for name, text in snapshot.awaiting.items()],
            "requests": _usage(snapshot.usage),
        },
    }
    cleaned: dict[str, Any] = _clean(report)
    return cleaned


def _uptime(snapshot: Snapshot, now: float) -> float:
    return round(max(0.0, now - snapshot.started_at), 3)


def _usage(usage: Usage | None) -> dict[str, float] | None:
    """The requests to the forge: charged and left until `resets_at`, and sent since the coordinator began."""
    if usage is None:
        return None
    return {"used": usage.used, "left": usage.left, "resets_at": usage.resets_at, "sent": usage.sent}


def _task(row: digest.TaskRow) -> dict[str, Any]:
    return {
        "id": row.id or None,
        "title": row.title,
        "status": str(row.status),
        "priority": row.priority,
        "attempt": row.attempt,
        "worker": row.worker or None,
        "branch": row.branch or None,
        "commit": row.commit or None,
        "pr_url": row.pr_url or None,
        "review": row.review or None,
        "error": row.error or None,
        "waiting": row.waiting or None,
    }


def _worker(row: digest.WorkerRow) -> dict[str, Any]:
    return {
        "worker": row.worker,
        "task": row.task,
        "title": row.title,
        "agent": row.agent,
        "phase": row.phase,
        "follow_up": row.follow_up or None,
        "attempt": row.attempt,
        "pid": row.pid or None,
        "branch": row.branch,
        "age_seconds": round(row.age, 3),
        "activity": row.activity,
        "cost_usd": round(row.cost_usd, 6),
        "tokens": row.tokens,
        "turns": row.turns,
    }


def _limit(parking: Parking) -> dict[str, Any]:
    """An agent that is parked. `until` is when it is tried again, where nobody knows the end (`known`)."""
    return {
        "agent": parking.lane,
        "limit": parking.limit,
        "since": parking.since,
        "until": parking.until,
        "known": not parking.tries,
    }


def _today(snapshot: Snapshot) -> dict[str, Any]:
    spent = digest.spent_today(snapshot)
    return {"day": snapshot.spending.day, "usd": round(spent.usd, 6), "tokens": spent.tokens}


def _metrics(metrics: Metrics) -> dict[str, Any]:
    """The counters, under the names and rounded as they are in metrics.json."""
    rate = digest.rate_success(metrics)
    return {
        "workers_launched": metrics.workers_launched,
        "workers_completed": metrics.workers_completed,
        "workers_failed": metrics.workers_failed,
        "workers_blocked": metrics.workers_blocked,
        "prs_created": metrics.prs_created,
        "worktree_errors": metrics.worktree_errors,
        "github_api_errors": metrics.github_api_errors,
        "forge_errors": metrics.forge_errors,
        "attempts": metrics.attempts,
        "success_rate": None if rate is None else round(rate, 3),
        "durations": _percentiles(metrics.durations),
        "queue_waits": _percentiles(metrics.queue_waits),
    }


def _percentiles(samples: tuple[float, ...]) -> dict[str, float | None]:
    return {"p50": percentile(samples, 0.5), "p95": percentile(samples, 0.95), "samples": len(samples)}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
