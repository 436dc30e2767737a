"""Where the files of a project lie."""

from pathlib import Path

from orch.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Project:
    """The project root and every path that orch uses under it. Nothing here touches the disk.

    All but the folder of crash files: that one has to be found while config.toml cannot be read.
    """

    root: Path
    """The repository that orch works for: absolute, symbolic links resolved."""
    trees: Path
    """The folder of the worktrees, `[worktree] base_dir`: absolute, symbolic links resolved."""
    prompt: Path
    """The project's own prompt template, `[agent] prompt`. It may be missing."""
    continue_prompt: Path
    """The same for an attempt that goes on, `[agent] continue_prompt`."""

    @property
    def config_file(self) -> Path:
        """config.toml."""
        return self.root / CONFIG_NAME

    @property
    def tasks_file(self) -> Path:
        """tasks.md, the person's queue."""
        return self.root / "tasks.md"

    @property
    def directory(self) -> Path:
        """.orch, everything that orch keeps for itself."""
        return self.root / DIRECTORY_NAME

    @property
    def runs(self) -> Path:
        """The run directories, `<task>/<attempt>/` each."""
        return self.directory / "runs"

    @property
    def requests(self) -> Path:
        """What the command line asked a coordinator for."""
        return self.directory / "requests"

    @property
    def pulls(self) -> Path:
        """The pull requests of the local forge."""
        return self.directory / "pulls"

    @property
    def ledger_file(self) -> Path:
        """What orch remembers of issues."""
        return self.directory / "forge.json"

    @property
    def costs_file(self) -> Path:
        """What each run has cost, for good."""
        return self.directory / "costs.jsonl"

    @property
    def metrics_file(self) -> Path:
        """The counters, the health and the last events."""
        return self.directory / "metrics.json"

    @property
    def events_file(self) -> Path:
        """Everything that happened, a line each."""
        return self.directory / "events.jsonl"

    @property
    def hook_logs(self) -> Path:
        """What the [hooks] printed."""
        return self.directory / "hooks"

    @property
    def version_file(self) -> Path:
        """The version of everything in .orch."""
        return self.directory / "version"

    @property
    def lock_file(self) -> Path:
        """Locked for as long as a coordinator runs."""
        return self.directory / "coordinator.lock"

    @property
    def pid_file(self) -> Path:
        """The process id of the coordinator, for `kill`."""
        return self.directory / "coordinator.pid"

    @property
    def log_file(self) -> Path:
        """The coordinator's log."""
        return self.directory / "orch.log"


CONFIG_NAME = "config.toml"
DIRECTORY_NAME = ".orch"
