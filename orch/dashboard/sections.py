"""The lists of the dashboard: what needs a person, the workers, the queue, pull requests, events."""

import time
from collections.abc import Sequence

from rich.text import Text

from orch.core.costs import Cost
from orch.core.model import Status
from orch.core.state import Snapshot
from orch.core.values import dataclass
from orch.dashboard import digest
from orch.dashboard.digest import Digest
from orch.dashboard.header import MARK
from orch.dashboard.lines import Cell, Column, headline, lay_out
from orch.dashboard.plain import price, span

DEEP = 40
"""Rows that are made of any list: more than a screen shows."""
OLD_PULLS = 3
"""Pull requests that are shown although nothing is left to be done with them."""
ACTIVITY = 100
"""Terminal columns of a section from which a worker's last line stands beside it, not below."""
ID = Column(16)
KIND_STYLE = {
    "launched": "cyan",
    "completed": "green",
    "merged": "green",
    "failed": "red",
    "error": "red",
    "blocked": "yellow",
    "stopped": "yellow",
    "stalled": "yellow",
    "retry": "yellow",
    "paused": "yellow",
}
STATE_STYLE = {"open": "green", "merged": "magenta"}
REVIEW_STYLE = {"checks failed": "red", "conflicts": "red", "checks run": "yellow"}


@dataclass(frozen=True, slots=True)
class Section:
    """A headline and the lines below it."""

    head: Text
    rows: Sequence[Text]
    hidden: int = 0
    """Rows of the list that were not even made."""
    lines_each: int = 1
    """Lines of one item. Where room is short only the first one is shown."""

    def cut(self, room: int) -> list[Text]:
        """At most `room` lines; the last one says how much is missing."""
        if room < 1:
            return []
        if room >= len(self.rows) and not self.hidden:
            return list(self.rows)
        rows = self.rows[:: self.lines_each]
        if room >= len(rows) and not self.hidden:
            return list(rows)
        kept = min(room - 1, len(rows))
        if kept == 0:
            return [rows[0]]
        return [*rows[:kept], Text(f"… and {len(rows) + self.hidden - kept} more", "dim")]


def draw_attention(snapshot: Snapshot, width: int) -> Section:
    """What a person should look at."""
    cells = [[Cell("!", "bold yellow"), Cell(notice)] for notice in snapshot.notices.values()]
    for name, issue in snapshot.awaiting.items():
        approve = f"waits for approval: {issue}  (orch approve {name})"
        cells.append([Cell("!", "bold yellow"), Cell(f"{name} {approve}")])
    for problem in snapshot.problems:
        place = f"tasks.md:{problem.line}: " if problem.line else "tasks.md: "
        cells.append([Cell("!", "bold yellow"), Cell(place + problem.message)])
    return _section("Needs a look", str(len(cells)), cells, [Column(1), Column(0)], width)


def draw_workers(known: Digest, now: float, width: int) -> Section:
    """The live workers: task, title, agent, phase, age, and what they do."""
    snapshot = known.snapshot
    workers = digest.list_workers(snapshot, now)
    count = f"{len(workers)} of {snapshot.max_workers}" if snapshot.max_workers else str(len(workers))
    head = headline("Workers", count, width)
    if not workers:
        return Section(head, [Text("none", "dim")])
    wide = width >= ACTIVITY
    columns = [Column(2), ID, Column(0), Column(12), Column(11), Column(7), Column(11)]
    if wide:
        columns.append(Column(0))
    cells = []
    for row in workers[:DEEP]:
        attempt = f" #{row.attempt}" if row.attempt > 1 else ""
        line = [
            Cell(MARK[Status.ACTIVE]),
            Cell(row.task, "bold"),
            Cell(row.title),
            Cell(row.agent + attempt, "cyan"),
            Cell(row.phase, "yellow" if row.phase in ("stopping", "stalled") else ""),
            Cell(span(row.age), "dim", right=True),
            Cell(price(Cost(row.cost_usd, row.tokens)), "dim", right=True),
        ]
        if wide:
            line.append(Cell(row.activity, "dim"))
        cells.append(line)
    lines = lay_out(cells, columns, width)
    hidden = max(0, len(workers) - DEEP)
    if wide:
        return Section(head, lines, hidden)
    pairs: list[Text] = []
    for first, row in zip(lines, workers, strict=False):
        pairs.append(first)
        below = [[Cell(""), Cell("└", "dim"), Cell(row.activity or "…", "dim")]]
        pairs += lay_out(below, [Column(2), Column(1), Column(0)], width)
    return Section(head, pairs, hidden, lines_each=2)


def draw_queue(known: Digest, now: float, width: int) -> Section:  # noqa: ARG001 - one shape for all
    """What starts next, then what waits and for what."""
    rows, total, waiting = digest.list_queue(known, DEEP)
    cells = [
        [
            Cell(f"p{row.priority}", "bold" if row.priority < 2 else "dim"),
            Cell(row.id or "new", "dim" if row.waiting else "bold"),
            Cell(row.title, "dim" if row.waiting else ""),
            Cell(row.waiting, "yellow"),
        ]
        for row in rows
    ]
    columns = [Column(2), ID, Column(0), Column(max(14, width // 3))]
    count = f"{total}, {waiting} of them waiting" if waiting else str(total)
    return _section("Queue", count, cells, columns, width, hidden=total - len(rows))


def draw_pulls(known: Digest, now: float, width: int) -> Section:  # noqa: ARG001 - one shape for all
    """The pull requests."""
    pulls = digest.list_pulls(known, min(DEEP, known.open_pulls + OLD_PULLS))
    cells = [
        [
            Cell(f"#{row.number}", "bold"),
            Cell(row.task),
            Cell(row.title),
            Cell(row.review or row.state, REVIEW_STYLE.get(row.review.split(",")[0], STATE_STYLE[row.state])),
        ]
        for row in pulls
    ]
    wide = max((len(row.review) for row in pulls), default=0)
    columns = [Column(7), ID, Column(0), Column(max(7, min(wide, width // 3)))]
    count = f"{known.open_pulls} of {len(known.pulls)} open"
    hidden = max(0, known.open_pulls - DEEP)
    return _section("Pull requests", count, cells, columns, width, hidden=hidden)


def draw_failures(known: Digest, now: float, width: int) -> Section:  # noqa: ARG001 - one shape for all
    """The failed and blocked tasks and why: a person has to act."""
    rows = digest.list_failed(known, DEEP)
    cells = [
        [Cell(MARK[row.status]), Cell(row.id or "new", "bold"), Cell(row.error or row.title)] for row in rows
    ]
    columns = [Column(2), ID, Column(0)]
    total = len(known.failed)
    return _section("Failed and blocked", str(total), cells, columns, width, hidden=total - len(rows))


def draw_events(known: Digest, now: float, width: int) -> Section:
    """What happened, the newest first."""
    history = known.snapshot.metrics.history
    cells = [
        [
            Cell(_moment(event.at, now), "dim"),
            Cell(event.kind, KIND_STYLE.get(event.kind, "")),
            Cell(event.task, "bold"),
            Cell(event.message),
        ]
        for event in list(reversed(history))[:DEEP]
    ]
    columns = [Column(8), Column(10), ID, Column(0)]
    return _section("Recent", "", cells, columns, width, hidden=max(0, len(history) - DEEP))


def _moment(at: float, now: float) -> str:
    """The local time of today, or the date."""
    then, today = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%b %d", then)


def _section(
    title: str,
    count: str,
    cells: Sequence[Sequence[Cell]],
    columns: Sequence[Column],
    width: int,
    hidden: int = 0,
) -> Section:
    return Section(headline(title, count, width), lay_out(cells, columns, width), hidden)


LEFT = (draw_workers, draw_queue)
RIGHT = (draw_failures, draw_pulls, draw_events)
ALL = (draw_workers, draw_failures, draw_queue, draw_pulls, draw_events)
"""The most important first: the last ones give way on a small screen."""
