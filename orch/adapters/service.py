"""orch as a service of systemd: writes the unit of one project, and has systemctl do the rest."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from orch.adapters.store import atomic
from orch.core.values import dataclass
from orch.errors import ConfigError, PermanentError
from orch.ports import Step

TEMPLATE = "orch.service"
SYSTEM_UNITS = Path("/etc/systemd/system")
SECONDS = 120.0
"""For one call of systemctl: stopping waits until orch has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What the unit of a project says."""

    root: Path
    orch: Sequence[str]
    """How orch is started: a program and its first arguments."""
    path: str
    """$PATH of the service."""
    keys: Path
    """The file with the keys for the agents. It need not be there."""
    stop_seconds: float
    """orch may take so long to end."""
    account: str = ""
    """Who it runs as, for a service of the machine; '' for one of the person that installs it."""

    @property
    def name(self) -> str:
        """`orch-shop-1a2b3c.service`: two projects of one name are two services."""
        word = re.sub(r"[^A-Za-z0-9]+", "-", self.root.name).strip("-")[:40] or "project"
        return f"orch-{word}-{hashlib.sha256(str(self.root).encode()).hexdigest()[:6]}.service"

    def text(self) -> str:
        """The unit file. Raises ConfigError for a path that no unit file can hold."""
        values = {
            "PROJECT": _plain(self.root.name),
            "ACCOUNT": _plain(self.account),
            "ORCH": " ".join(map(_argument, self.orch)),
            "ROOT": _argument(str(self.root)),
            "FOLDER": _plain(str(self.root)),
            "PATH": _word(f"PATH={self.path}"),
            "KEYS": _plain(str(self.keys)),
            "STOP_SECONDS": f"{self.stop_seconds:.0f}",
        }
        template = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
        keep, drop = ("@SYSTEM@", "@USER@") if self.account else ("@USER@", "@SYSTEM@")
        lines = []
        for number, line in enumerate(template.splitlines()):
            if line.startswith(drop) or number < 3:  # the first three are for those who do it by hand
                continue
            lines.append(re.sub("@([A-Z_]+)@", lambda found: values[found[1]], line.removeprefix(keep)))
        head = (
            "# Written by `orch service install`, which overwrites it; for your own changes: systemctl edit."
        )
        return "\n".join([head, *lines, ""])


class Service:
    """The service of one project: a unit file and what systemctl makes of it."""

    def __init__(self, unit: Unit, *, units: Path) -> None:
        """`units` is the folder of unit files. One with an account belongs to the machine."""
        self._unit = unit
        self._system = bool(unit.account)
        self.file = units / unit.name

    @property
    def name(self) -> str:
        """The name of the unit."""
        return self._unit.name

    @property
    def text(self) -> str:
        """What the unit file is to say."""
        return self._unit.text()

    def install(self, *, start: bool = True) -> Sequence[Step]:
        """The steps that install the service, or bring it up to date. Raises ConfigError as Unit.text."""
        text = self._unit.text().encode()
        is_new = not self.file.is_file() or self.file.read_bytes() != text
        steps = [Step(f"write {self.file}", lambda: self._write(text))] if is_new else []
        steps.append(self._systemctl("daemon-reload"))
        steps.append(self._systemctl("enable", self.name))
        if start:
            # Started anew it has the new unit; its workers go on meanwhile.
            steps.append(self._systemctl("restart" if is_new else "start", self.name))
        return steps

    def uninstall(self) -> Sequence[Step]:
        """The steps that remove the service. None where it is not installed."""
        if not self.file.is_file():
            return []
        return [
            self._systemctl("disable", "--now", self.name),
            Step(f"remove {self.file}", lambda: atomic.remove(self.file)),
            self._systemctl("daemon-reload"),
        ]

    def status(self) -> int:
        """Show on standard output how it does. Gives the exit code of systemctl: 0 it runs, 3 it does not."""
        command = self._command("--no-pager", "--lines=10", "status", self.name)
        return subprocess.run(command, check=False, timeout=SECONDS).returncode

    def _write(self, text: bytes) -> None:
        atomic.make_folder(self.file.parent)
        atomic.write(self.file, text, durable=True)

    def _systemctl(self, *arguments: str) -> Step:
        words = ("systemctl", *self._scope(), *arguments)
        return Step(" ".join(words), lambda: _run(self._command(*arguments)))

    def _scope(self) -> tuple[str, ...]:
        return () if self._system else ("--user",)

    def _command(self, *arguments: str) -> list[str]:
        program = shutil.which("systemctl")
        if program is None:
            raise ConfigError(
                "there is no systemctl: this system does not run systemd",
                hint="have its own supervisor keep `orch run --plain` running",
            )
        return [program, *self._scope(), *arguments]


def enable_linger(account: str) -> Step:
    """Services of a person run without a session of theirs. Refused, it only says so."""

    def enable() -> None:
        program = shutil.which("loginctl")
        if program is None:
            raise PermanentError(
                "there is no loginctl", hint="services of a person then end with their session"
            )
        _run([program, "enable-linger", account])

    return Step(f"loginctl enable-linger {account}", enable, optional=True)


def _run(command: Sequence[str]) -> None:
    """Raises PermanentError with what it says where a command fails."""
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise PermanentError(f"{' '.join(command)} took more than {SECONDS:g} s") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        raise PermanentError(f"{' '.join(command)} failed with exit code {done.returncode}: {said}")


def _plain(value: str) -> str:
    """A value that is taken as it is, to the end of its line (systemd.unit(5))."""
    if not value.isprintable() or value != value.strip() or value.endswith("\\"):
        raise ConfigError(f"{value!r} cannot stand in a unit file", hint="rename the folder")
    return value.replace("%", "%%")


def _word(value: str) -> str:
    """A value of several words, as one."""
    if not value.isprintable():
        raise ConfigError(f"{value!r} cannot stand in a unit file", hint="rename the folder")
    escaped = value.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _argument(value: str) -> str:
    """A word of a command line, where $ would mean a variable."""
    return _word(value).replace("$", "$$")
