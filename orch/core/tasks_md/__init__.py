"""Reads and changes tasks.md without touching a byte that need not change. Pure."""

from orch.core.tasks_md.document import Document, parse, parse_again
from orch.core.tasks_md.edit import apply
from orch.core.tasks_md.grammar import bullet_text, plain_title, render_mark, task_line
from orch.core.tasks_md.merge import merge
from orch.core.tasks_md.origin import find_origin, is_same_task, restore

__all__ = [
    "Document",
    "apply",
    "bullet_text",
    "find_origin",
    "is_same_task",
    "merge",
    "parse",
    "parse_again",
    "plain_title",
    "render_mark",
    "restore",
    "task_line",
]
