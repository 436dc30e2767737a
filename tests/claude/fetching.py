"""Fetches the real claude binary for the tests; `tools/claude` starts it.

Uses the npm registry of this machine's configuration: through `npm pack` where npm is, else by HTTP. The
archive is checked against the hash that is written down here, wherever it came from. It is never held in
memory: it has 170 MB, the program in it 380.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import requests

from tests.claude.binary import BINARY, FOLDER, PACKAGE, is_for_this_machine, missing
from tests.github.fetching import FetchError, registry

SECONDS = 900
PIECE = 1024 * 1024


def fetch() -> bool:
    """Make the binary be there; False where it was already. Raises FetchError."""
    if not is_for_this_machine():
        raise FetchError(missing())
    if not missing():
        return False
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as work:
        archive = _fetch(Path(work))
        _check(archive)
        with tarfile.open(archive, "r:gz") as tar:
            member = tar.extractfile(PACKAGE.member)
            if member is None:
                raise FetchError(f"{PACKAGE.name} {PACKAGE.version} has no file {PACKAGE.member}")
            program = Path(work) / "claude"
            with program.open("wb") as file:
                shutil.copyfileobj(member, file, PIECE)
        program.chmod(0o755)
        program.replace(BINARY)
    for path in FOLDER.iterdir():
        if path != BINARY:  # An earlier version, or what a killed run has left.
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return True


def _check(archive: Path) -> None:
    digest = hashlib.sha512()
    with archive.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    found = base64.b64encode(digest.digest()).decode()
    if found != PACKAGE.integrity:
        raise FetchError(f"{PACKAGE.name} {PACKAGE.version} has the hash {found}, not {PACKAGE.integrity}")


def _fetch(work: Path) -> Path:
    _say(f"fetching {PACKAGE.name} {PACKAGE.version}, 170 MB")
    npm = shutil.which("npm")
    return _pack(npm, work) if npm else _download(work)


def _pack(npm: str, work: Path) -> Path:
    done = subprocess.run(
        [npm, "pack", "--silent", f"{PACKAGE.name}@{PACKAGE.version}"],
        cwd=work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    archives = list(work.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise FetchError(f"npm pack {PACKAGE.name}@{PACKAGE.version} failed: {done.stderr.strip()}")
    return archives[0]


def _download(work: Path) -> Path:
    plain = PACKAGE.name.rpartition("/")[2]
    url = f"{registry(os.environ)}/{PACKAGE.name}/-/{plain}-{PACKAGE.version}.tgz"
    archive = work / "claude.tgz"
    try:
        with requests.get(url, timeout=SECONDS, stream=True) as answer, archive.open("wb") as file:
            answer.raise_for_status()
            for piece in answer.iter_content(PIECE):
                file.write(piece)
    except requests.RequestException as error:
        raise FetchError(f"{PACKAGE.name} {PACKAGE.version} cannot be fetched: {error}") from error
    return archive


def _say(text: str) -> None:
    sys.stderr.write(f"claude: {text}\n")


def main() -> int:
    """Exit code 0 where the binary is there now."""
    try:
        if fetch():
            _say(f"{PACKAGE.version} is in {BINARY}")
    except (FetchError, OSError, subprocess.TimeoutExpired, tarfile.TarError) as error:
        _say(f"{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
