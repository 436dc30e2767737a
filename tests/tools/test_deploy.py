"""The scripts for another machine, over a real sshd on loopback that leads into a home of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import DEADLINE, ENVIRONMENT, running, wait_until
from tests.docs.runbook import read_fences, run_block

ROOT = Path(__file__).parents[2]
SSHD = shutil.which("sshd", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")
INSTALL_SECONDS = 300.0
"""pip fetches a dozen wheels."""

STUB = '#!/bin/sh\necho "$*" >> "$HOME/calls"\n'


class Pi:
    """Another machine: the same one, seen through ssh, with another home and a stub of systemctl."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "pi"
        self.home.mkdir()
        self._folder = folder
        tools = folder / "tools"
        tools.mkdir()
        for name in ("systemctl", "loginctl"):
            (tools / name).write_text(STUB)
            (tools / name).chmod(0o755)
        # Whoever logs in gets this home and a short PATH, as on a machine that is only reached by ssh.
        python = Path(sys.executable).resolve().parent
        self.path = f"{tools}:{python}:/usr/bin:/bin"
        pip = {name: value for name, value in ENVIRONMENT.items() if name.startswith("PIP_")}
        keep = " ".join(f"{name}={value}" for name, value in {**pip, "PIP_NO_COMPILE": "1"}.items())
        force = folder / "force"
        force.write_text(
            "#!/bin/sh\n"
            f"cd {self.home} && exec env -i HOME={self.home} PATH={self.path} USER=pi LC_ALL=C.UTF-8 {keep} "
            'GIT_CONFIG_NOSYSTEM=1 /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        force.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for name in ("host", "client"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(keygen, check=True)
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder / 'host'}\n"
            f"AuthorizedKeysFile {folder / 'client.pub'}\nStrictModes no\nPidFile none\nUsePAM no\n"
            f"PasswordAuthentication no\nPermitRootLogin yes\nForceCommand {force}\n"
        )
        known = f"[127.0.0.1]:{self.port} {(folder / 'host.pub').read_text()}"
        (folder / "known").write_text(known)
        options = f"-F none -p {self.port} -i {folder / 'client'} -o UserKnownHostsFile={folder / 'known'}"
        self.environment = {**ENVIRONMENT, "ORCH_SSH": f"ssh {options} -o IdentityAgent=none"}
        self.host = f"{getpass.getuser()}@127.0.0.1"

    def serve(self) -> "subprocess.Popen[bytes]":
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        with (self._folder / "sshd.log").open("wb") as log:
            return subprocess.Popen([str(SSHD), "-D", "-e", "-f", self._folder / "sshd_config"], stderr=log)

    def run(self, script: str, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [ROOT / "tools" / script, *arguments],
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )

    def calls(self) -> list[str]:
        """What systemctl and loginctl were asked for since the last time."""
        file = self.home / "calls"
        calls = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return calls

    def make_project(self) -> Path:
        project = self.home / "src" / "shop"
        project.mkdir(parents=True)
        for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message=Start"]):
            subprocess.run(["git", *words], cwd=project, env=ENVIRONMENT, check=True)
        return project


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pi]:
    missing = [name for name in ("ssh", "ssh-keygen", "rsync") if shutil.which(name) is None]
    if SSHD is None or missing:
        assert not os.environ.get("CI"), "CI has them: see .ci/run"
        pytest.skip(f"not here: {', '.join(missing) or 'sshd'}")
    pi = Pi(tmp_path_factory.mktemp("deploy").resolve())
    server = pi.serve()
    try:
        wait_until(lambda: server.poll() is not None or is_served(pi.port), "sshd listens")
        assert server.poll() is None
        yield pi
    finally:
        server.terminate()
        server.wait(DEADLINE)


def is_served(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.timeout(600)
def test_deployed_twice_rolled_back_watched_and_stopped(pi: Pi) -> None:
    project = pi.make_project()

    dry = pi.run("deploy_to_pi.sh", "--dry-run", pi.host, "src/shop")
    assert dry.returncode == 0, dry
    assert "would run there" in dry.stdout
    assert not (pi.home / ".local").exists()

    first = pi.run("deploy_to_pi.sh", pi.host, "src/shop")
    assert first.returncode == 0, first
    orch = pi.home / ".local" / "bin" / "orch"
    assert orch.is_symlink()
    calls = pi.calls()
    assert any(call.startswith("--user restart orch-shop-") for call in calls), calls
    (unit,) = (pi.home / ".config" / "systemd" / "user").iterdir()
    assert "KillMode=process" in unit.read_text()
    assert "no coordinator" in first.stdout.lower(), "the status is printed"

    again = pi.run("deploy_to_pi.sh", pi.host, "src/shop")
    assert again.returncode == 0, again
    assert "installing" not in again.stdout
    assert any(call.startswith("--user start orch-shop-") for call in pi.calls()), (
        "unchanged: not started anew"
    )
    assert len(list((pi.home / ".local/share/orch/versions").iterdir())) == 1

    upgrade_as_the_runbook_says(pi, project)

    nothing = pi.run("deploy_to_pi.sh", "--roll-back", pi.host)
    assert nothing.returncode == 1
    assert "no version before this one" in nothing.stderr

    versions = pi.home / ".local" / "share" / "orch" / "versions"
    other = versions / "other"
    (other / "bin").mkdir(parents=True)
    (other / "bin" / "orch").write_text("#!/bin/sh\necho orch 0.0.9\n")
    (other / "bin" / "orch").chmod(0o755)
    (other / "installed").touch()
    os.utime(other / "installed", (1, 1))
    back = pi.run("deploy_to_pi.sh", "--roll-back", pi.host)
    assert back.returncode == 0, back
    assert "orch 0.0.9 is" in back.stdout
    roll_back_as_the_runbook_says(pi, project)
    assert orch.resolve().parent.parent.name != "other"

    asleep = pi.run("monitor_pi.sh", "--once", pi.host, "src/shop")
    assert asleep.returncode == 1
    assert "no coordinator runs" in asleep.stdout
    (project / "tasks.md").write_text("## Pending\n\n[] t-1: Wait\n")
    (project / "config.toml").write_text(
        '[agent]\ndefault = "slow"\n[agents.slow]\nkind = "command"\n'
        'command = ["sh", "-c", "while [ ! -e STOP ]; do sleep 0.1; done; exit 1"]\n'
    )
    with running(project, "run", "--plain"):
        wait_until(lambda: list(project.glob(".orch/runs/t-1/1/run.json")), "the worker runs")
        awake = pi.run("monitor_pi.sh", "--once", pi.host, "src/shop")
        assert awake.returncode == 0, awake
        assert "t-1" in awake.stdout
        stopped = pi.run("stop_worker.sh", f"{pi.host}:src/shop", "t-1")
        assert stopped.returncode == 0, stopped
        wait_until(lambda: list(project.glob(".orch/runs/t-1/1/outcome.json")), "the worker is stopped")


def follow(pi: Pi, project: Path, script: str) -> str:
    """Run a block of the RUNBOOK on that machine, as the person there would."""
    home = {"HOME": str(pi.home), "PATH": f"{pi.home}/.local/bin:{pi.path}"}
    return run_block(script, project, {**ENVIRONMENT, **home}, INSTALL_SECONDS)


def upgrade_as_the_runbook_says(pi: Pi, project: Path) -> None:
    (pi.home / "src" / "orch").symlink_to(ROOT)
    (script,) = read_fences(ROOT / "RUNBOOK.md")["Upgrade"]
    pull = "git -C ~/src/orch pull --ff-only"
    assert pull in script
    follow(pi, project, "mkdir -p .orch")
    said = follow(pi, project, script.replace(pull, ":"))  # that is the network
    assert "installing" not in said, "it is this very version"
    assert "no coordinator" in said
    assert (pi.home / "orch-before-upgrade").is_dir()


def roll_back_as_the_runbook_says(pi: Pi, project: Path) -> None:
    """From a made-up version that is in use back to the real one, which then does the rest."""
    back, state = read_fences(ROOT / "RUNBOOK.md")["Roll back"]
    follow(pi, project, back)
    (project / ".orch" / "version").write_text("99\n")
    follow(pi, project, state)
    assert not (project / ".orch" / "version").exists()
    assert (project / ".orch-newer").is_dir()


def test_a_host_that_cannot_be_used_is_told_and_left_alone(pi: Pi) -> None:
    gone = pi.run("deploy_to_pi.sh", pi.host, "src/no such 'project'")
    assert gone.returncode == 1
    assert "there is no src/no such 'project'" in gone.stderr
    refused = pi.run("deploy_to_pi.sh", pi.host, ORCH_SSH=f"ssh -F none -p {pi.port} -i /dev/null")
    assert refused.returncode == 1
    assert "cannot log in" in refused.stderr


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("deploy_to_pi.sh", []),
        ("deploy_to_pi.sh", ["--nonsense", "x"]),
        ("monitor_pi.sh", ["x"]),
        ("stop_worker.sh", []),
    ],
)
def test_wrong_usage(script: str, arguments: list[str]) -> None:
    done = subprocess.run([ROOT / "tools" / script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert script in done.stdout + done.stderr
