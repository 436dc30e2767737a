"""`orch service`: the unit that it writes, and what it has systemctl do (a stub that writes it down)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from orch.adapters.service import Service, Unit, enable_linger
from orch.errors import ConfigError, PermanentError
from tests.cli.command import DEADLINE, ENVIRONMENT, Done, argv, orch, running, wait_until

STUB = """#!/bin/sh
echo "${0##*/} $*" >> "$CALLS"
case "$*" in *"$FAIL"*) [ -z "$FAIL" ] || { echo "no bus" >&2; exit 1; } ;; esac
case "$*" in *status*) echo "active (running)"; exit 3 ;; esac
"""


class Machine:
    """A machine with a stub of systemd, and a home of its own."""

    def __init__(self, folder: Path, shop: Path, patch: pytest.MonkeyPatch) -> None:
        self.shop = shop
        self.home = folder / "home"
        self.calls_file = folder / "calls"
        tools = folder / "tools"
        tools.mkdir()
        self.home.mkdir()
        for name in ("systemctl", "loginctl"):
            (tools / name).write_text(STUB)
            (tools / name).chmod(0o755)
        patch.setenv("PATH", f"{tools}:{ENVIRONMENT['PATH']}")
        patch.setenv("HOME", str(self.home))
        patch.setenv("CALLS", str(self.calls_file))
        patch.delenv("XDG_CONFIG_HOME", raising=False)
        self._patch = patch
        self.fail("")

    def fail(self, command: str) -> None:
        """Have systemctl and loginctl refuse what has these words in it."""
        self._patch.setenv("FAIL", command)

    def orch(self, *arguments: str) -> Done:
        return orch(self.shop, *arguments)

    def calls(self) -> list[str]:
        """What the stubs were asked for since the last time."""
        if not self.calls_file.exists():
            return []
        text = self.calls_file.read_text()
        self.calls_file.unlink()
        return text.splitlines()

    @property
    def units(self) -> list[Path]:
        return list((self.home / ".config" / "systemd" / "user").glob("*"))


@pytest.fixture
def machine(tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, shop, monkeypatch)


def test_install_does_what_it_says_and_again_only_what_is_missing(machine: Machine) -> None:
    first = machine.orch("service", "install")
    assert first.code == 0, first
    (unit,) = machine.units
    name = unit.name
    assert machine.calls()[:3] == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {name}",
        f"systemctl --user restart {name}",
    ]
    assert f"write {unit}" in first.out
    again = machine.orch("service", "install")
    assert again.code == 0
    assert f"systemctl --user start {name}" in machine.calls(), "what is unchanged is not started anew"
    assert "write" not in again.out
    machine.orch("service", "install", "--no-start")
    assert not [call for call in machine.calls() if "start" in call]


def test_a_dry_run_does_nothing(machine: Machine) -> None:
    done = machine.orch("service", "install", "--dry-run")
    assert done.code == 0
    assert "would systemctl --user enable" in done.out
    assert "KillMode=process" in done.out
    assert not machine.units
    machine.orch("service", "install")
    machine.calls()
    assert "would remove" in machine.orch("service", "uninstall", "--dry-run").out
    assert machine.units
    assert machine.calls() == []


def test_uninstall_stops_it_and_removes_the_unit(machine: Machine) -> None:
    machine.orch("service", "install")
    (unit,) = machine.units
    machine.calls()
    assert machine.orch("service", "uninstall").code == 0
    assert machine.calls() == [
        f"systemctl --user disable --now {unit.name}",
        "systemctl --user daemon-reload",
    ]
    assert not machine.units
    assert "is not installed" in machine.orch("service", "uninstall").out


def test_status_is_that_of_systemctl(machine: Machine) -> None:
    done = subprocess.run(
        argv("service", "status"),
        cwd=machine.shop,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 3
    assert "active (running)" in done.stdout


def test_what_systemctl_refuses_is_told_and_lingering_is_not_needed(machine: Machine) -> None:
    machine.fail("enable orch")
    done = machine.orch("service", "install")
    assert done.code == 1
    assert "failed with exit code 1: no bus" in done.err
    machine.fail("enable-linger")
    lingering = machine.orch("service", "install")
    assert lingering.code == 0
    assert "warning" in lingering.err


def test_without_systemd_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    service = Service(make_unit(tmp_path), units=tmp_path / "units")
    with pytest.raises(ConfigError, match="does not run systemd"):
        service.install()[-1].do()
    with pytest.raises(PermanentError, match="there is no loginctl"):
        enable_linger("somebody").do()


def test_an_orch_that_works_by_hand_is_in_the_way(machine: Machine) -> None:
    with running(machine.shop, "run", "--plain") as process:
        wait_until((machine.shop / ".orch" / "coordinator.pid").exists, "orch runs")
        done = machine.orch("service", "install")
    assert done.code == 1
    assert f"orch run (pid {process.pid}) works on this project already" in done.err
    assert not machine.units


def test_a_service_of_the_machine_is_for_a_user_that_exists(machine: Machine) -> None:
    assert "there is no user" in machine.orch("service", "install", "--system", "--user", "no-such").err
    done = machine.orch("service", "install", "--system", "--user", "nobody", "--dry-run")
    assert "User=nobody" in done.out
    assert "WantedBy=multi-user.target" in done.out
    if os.getuid() == 0:
        refused = machine.orch("service", "install", "--system")
        assert "agents should not run as root" in refused.err


# --- the unit itself ------------------------------------------------------------------------------


def make_unit(root: Path, account: str = "", **more: object) -> Unit:
    values: dict[str, object] = {
        "root": root,
        "orch": [sys.executable],
        "path": "/usr/bin:/bin",
        "keys": root / "keys",
        "stop_seconds": 60.0,
        "account": account,
        **more,
    }
    return Unit(**values)  # type: ignore[arg-type]


def settings(text: str) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")


@pytest.mark.parametrize("name", ["shop", 'a "b" %h $HOME \\x', "größe 日本"])
@pytest.mark.parametrize("account", ["", "root"])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, name: str, account: str) -> None:
    root = tmp_path / name
    root.mkdir()
    unit = make_unit(root, account)
    assert "@USER" not in unit.text()
    assert settings(unit.text())["KillMode"] == "process"
    assert ("User" in settings(unit.text())) == bool(account)
    if shutil.which("systemd-analyze") is None:
        assert not os.environ.get("CI"), "CI has systemd: see .ci/run"
        pytest.skip("systemd-analyze is not here")
    file = tmp_path / unit.name
    file.write_text(unit.text())
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_two_projects_of_one_name_are_two_services(tmp_path: Path) -> None:
    one, other = make_unit(tmp_path / "a" / "shop"), make_unit(tmp_path / "b" / "shop")
    assert one.name != other.name
    assert one.name.startswith("orch-shop-")


@pytest.mark.parametrize("name", ["two\nlines", "tab\t", "ends with \\"])
def test_a_folder_that_no_unit_can_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot stand in a unit file"):
        make_unit(tmp_path / name).text()


def test_a_unit_that_a_person_has_changed_is_written_again(tmp_path: Path) -> None:
    service = Service(make_unit(tmp_path), units=tmp_path / "units")
    assert service.uninstall() == []
    service.install()[0].do()
    assert service.install()[0].says.endswith("daemon-reload")
    service.file.write_text("mine")
    assert service.install()[0].says == f"write {service.file}"


def test_the_template_in_tools_is_the_one_that_is_used() -> None:
    root = Path(__file__).parents[2]
    assert (root / "tools" / "orch.service").read_text() == (root / "orch/adapters/orch.service").read_text()
