"""orch clears a queue of programming tasks with coding agents, unattended."""

__version__ = "0.1.0"
