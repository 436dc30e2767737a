"""What real agents have printed, as the run directories of tests."""

import json
from dataclasses import dataclass
from pathlib import Path

from orch.core.model import EndReason, Exit

CLAUDE = Path(__file__).resolve().parents[1] / "data" / "claude"
NAMES = sorted(path.stem for path in CLAUDE.glob("*.jsonl"))


@dataclass(frozen=True)
class Transcript:
    """One run."""

    stdout: bytes
    stderr: str
    exit: Exit

    @property
    def lines(self) -> list[bytes]:
        return self.stdout.splitlines()

    def write(self, folder: Path, stdout: bytes | None = None) -> Path:
        """A run directory with it; `stdout` in place of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stdout.jsonl").write_bytes(self.stdout if stdout is None else stdout)
        (folder / "stderr.log").write_text(self.stderr)
        return folder


def transcript(name: str) -> Transcript:
    """A recorded run of the real claude."""
    meta = json.loads((CLAUDE / f"{name}.meta.json").read_text())
    exit = Exit(EndReason.EXITED, code=meta["exit_code"], ended_at=1_795_000_000.0)
    return Transcript((CLAUDE / f"{name}.jsonl").read_bytes(), meta["stderr"], exit)
