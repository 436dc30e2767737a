"""`orch cost`: what was spent."""

import json
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orch.cli import help as texts
from orch.cli.place import Place
from orch.core.costs import Cost, Expense
from orch.dashboard.plain import printable

if TYPE_CHECKING:
    from orch.wiring import Project

app = typer.Typer()
TOTAL = "total"


class By(StrEnum):
    """What is added up."""

    DAY = "day"
    TASK = "task"
    AGENT = "agent"


@app.command(
    rich_help_panel=texts.FLEET,
    epilog=texts.examples(
        "orch cost",
        "orch cost --by task",
        "orch cost --by agent --json | jq .total.usd",
    ),
)
def cost(
    context: typer.Context,
    *,
    by: Annotated[By, typer.Option("--by", help="What is added up.")] = By.DAY,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what was spent: dollars and tokens, as far as the agents tell.

    Every run ever counts, also those whose files were removed since. What the workers of this moment have
    used so far is counted as today's.
    """
    from orch import wiring

    place: Place = context.obj
    project = place.open(lenient=True)
    found = wiring.expenses(project)
    if as_json:
        typer.echo(json.dumps(_report(project, found, by), indent=2, ensure_ascii=True))
        return
    for line in _lines(project, found, by):
        typer.echo(line)


def group(expenses: Sequence[Expense], by: By) -> Mapping[str, Sequence[Expense]]:
    """The expenses by what they have in common: days and agents in order, tasks with the dearest first."""
    groups: dict[str, list[Expense]] = {}
    for expense in expenses:
        groups.setdefault(_key(expense, by), []).append(expense)
    if by is By.TASK:
        return dict(sorted(groups.items(), key=lambda item: (-add_up(item[1]).usd, item[0])))
    return dict(sorted(groups.items()))


def add_up(expenses: Sequence[Expense]) -> Cost:
    """What they come to together."""
    return sum((Cost(expense.usd, expense.tokens) for expense in expenses), Cost())


def _key(expense: Expense, by: By) -> str:
    match by:
        case By.DAY:
            return time.strftime("%Y-%m-%d", time.localtime(expense.ended_at))
        case By.TASK:
            return expense.task
        case By.AGENT:
            return f"{expense.agent} {expense.model}".strip()


def _lines(project: "Project", expenses: Sequence[Expense], by: By) -> list[str]:
    groups = group(expenses, by)
    if not groups:
        return ["Nothing was spent yet."]
    rows = [(name, *_columns(members)) for name, members in groups.items()]
    rows.append((TOTAL, *_columns(expenses)))
    header = (by.value, "runs", "tokens", "dollars")
    widths = [max(len(printable(row[place])) for row in (header, *rows)) for place in range(4)]
    lines = []
    for row in (header, *rows):
        first, *others = (printable(cell) for cell in row)
        figures = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join((f"{first:<{widths[0]}}", *figures)))
    lines[0] = typer.style(lines[0], dim=True)
    lines[-1] = typer.style(lines[-1], bold=True)
    day = project.config.budget.budget().day
    if day.usd is not None:
        lines.append(f"today ${_today(expenses).usd:.2f} of ${day.usd:.2f}")
    return lines


def _columns(expenses: Sequence[Expense]) -> tuple[str, str, str]:
    total = add_up(expenses)
    return str(len(expenses)), f"{total.tokens:,}", f"{total.usd:.2f}"


def _today(expenses: Sequence[Expense]) -> Cost:
    today = time.strftime("%Y-%m-%d")
    return add_up([expense for expense in expenses if _key(expense, By.DAY) == today])


def _report(project: "Project", expenses: Sequence[Expense], by: By) -> dict[str, Any]:
    budget = project.config.budget.budget()
    return {
        "by": by.value,
        "rows": [{by.value: name, **_figures(members)} for name, members in group(expenses, by).items()],
        "total": _figures(expenses),
        "today": {
            "usd": round(_today(expenses).usd, 6),
            "tokens": _today(expenses).tokens,
            "budget_usd": budget.day.usd,
            "budget_tokens": budget.day.tokens,
        },
    }


def _figures(expenses: Sequence[Expense]) -> dict[str, Any]:
    total = add_up(expenses)
    return {"runs": len(expenses), "usd": round(total.usd, 6), "tokens": total.tokens}
