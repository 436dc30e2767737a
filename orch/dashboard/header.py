"""The top and the bottom of the dashboard: who runs, how it goes, how much is done."""

from collections.abc import Mapping

from rich.text import Text

from orch.core.metrics import Health, percentile
from orch.core.model import Status
from orch.core.state import Snapshot
from orch.dashboard import digest
from orch.dashboard.digest import Digest
from orch.dashboard.lines import Cell, Column, lay_out, spread
from orch.dashboard.plain import price, printable, span

HEALTH_STYLE = {
    Health.OK: "green",
    Health.WARNING: "yellow",
    Health.DEGRADED: "red",
    Health.CRITICAL: "bold red",
}
MARK = {
    Status.PENDING: "⚪",
    Status.ACTIVE: "🟡",
    Status.COMPLETED: "✅",
    Status.FAILED: "❌",
    Status.BLOCKED: "⏰",
    Status.SKIPPED: "💤",
}
"""Those of tasks.md, where it has any. All are two columns wide in every terminal."""


def draw(known: Digest, now: float, name: str, width: int) -> list[Text]:
    """The lines above the sections."""
    snapshot, counts = known.snapshot, known.counts
    title = Text.assemble(("orch", "bold cyan"), " ", (printable(name), "bold"))
    lines = [spread(title, _coordinator(snapshot, now), width), _progress(counts, width)]
    if sum(counts.values()):
        words = [f"{MARK[status]} {count} {status}" for status, count in counts.items() if count]
        lines += lay_out([[Cell("   ".join(words))]], [Column(0)], width)
    banner = _banner(snapshot)
    if banner:
        lines += lay_out([[Cell(banner, "bold yellow")]], [Column(0)], width)
    return [*lines, Text("")]


def _coordinator(snapshot: Snapshot, now: float) -> Text:
    health = Text.assemble(("●", HEALTH_STYLE[snapshot.health]), f" {snapshot.health}")
    if not snapshot.pid:
        return Text.assemble(health, ("   no coordinator runs", "yellow"))
    up = span(now - snapshot.started_at)
    words = f"   pid {snapshot.pid}   up {up}"
    if snapshot.usage is not None:
        words += f"   GitHub: {snapshot.usage.used} requests used, {snapshot.usage.left} left"
    return Text.assemble(health, (words, "dim"))


def _progress(counts: Mapping[Status, int], width: int) -> Text:
    total = sum(counts.values())
    if not total:
        return Text('The queue is empty.  Add a task:  orch add "Fix the login"', "dim")
    done = counts[Status.COMPLETED]
    label = f" {done} of {total} done"
    bar = max(10, width - len(label))
    filled = bar * done // total
    return Text.assemble(("━" * filled, "green"), ("─" * (bar - filled), "dim"), label)


def _banner(snapshot: Snapshot) -> str:
    if snapshot.draining:
        return "Draining: nothing new is started.  ^C once more stops the workers."
    if snapshot.paused is not None:
        reason = snapshot.paused.removeprefix("paused ")
        return f"Paused{': ' if reason else ''}{reason}  (orch resume goes on)"
    return ""


def draw_footer(snapshot: Snapshot, hint: str, width: int) -> list[Text]:
    """The lines below the sections."""
    metrics = snapshot.metrics
    words = []
    if spent := digest.spent_today(snapshot):
        words.append(f"today {price(spent)}")
    rate = digest.rate_success(metrics)
    if rate is not None:
        words.append(f"{rate:.0%} of the last {len(metrics.recent)} done")
    half, most = percentile(metrics.durations, 0.5), percentile(metrics.durations, 0.95)
    if half is not None and most is not None:
        words.append(f"p50 {span(half)}  p95 {span(most)}")
    if not words and not hint:
        return []
    left = Text("   ".join(words), "dim")
    return [Text(""), spread(left, Text(printable(hint), "dim"), width)]
