"""Help without Rich: as fast as the rest, and grouped as people look for it."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

QUEUE = "The queue"
WORK = "The work of a task"
FLEET = "The fleet"
PROJECT = "The project"
PANELS = (FLEET, QUEUE, WORK, PROJECT)
"""The groups of commands, in the order in which help shows them."""


def examples(*lines: str) -> str:
    """An epilog that shows command lines as they are typed."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


class GroupedHelp(TyperGroup):
    """Lists the commands under their panels."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each panel. The arguments are Click's, wherever Typer keeps that."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        for panel in PANELS:
            rows: Sequence[tuple[str, str]] = [
                (name, command.get_short_help_str(70))
                for name, command in commands
                if command and getattr(command, "rich_help_panel", None) == panel
            ]
            if rows:
                with formatter.section(panel):
                    formatter.write_dl(rows)
