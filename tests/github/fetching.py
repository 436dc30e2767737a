"""Fetches GitHub's published contracts for the tests; `tools/contracts` starts it.

Uses the npm registry of this machine's configuration: through `npm pack` where npm is, else by HTTP.
Every archive is checked against the hash that is written down here, wherever it came from.
"""

import base64
import configparser
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import requests

from tests.github.packages import FOLDER, PACKAGES, REST, TRIMMED, Package, digest, missing, read_rest
from tests.github.routes import operations
from tests.github.trimming import trim

SECONDS = 300


class FetchError(Exception):
    """A package could not be had, or is not what it should be."""


def fetch(folder: Path = FOLDER) -> bool:
    """Make the folder complete; False where it was already. Raises FetchError."""
    wanted = operations()
    if not missing(wanted, folder):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if not (folder / package.kept).is_file():
            _write(folder / package.kept, extract(package, _archive(package)))
    trimmed = trim(json.loads((folder / REST.kept).read_bytes()), wanted)
    _write(folder / TRIMMED, json.dumps({"made_of": digest(wanted), **trimmed}).encode())
    read_rest.cache_clear()
    for path in folder.iterdir():
        if path.name not in {TRIMMED, *(package.kept for package in PACKAGES)}:
            path.unlink()  # An earlier version, or what a killed run has left.
    return True


def extract(package: Package, archive: bytes) -> bytes:
    """The kept file of an archive. Raises FetchError where the archive has another hash."""
    found = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if found != package.integrity:
        raise FetchError(f"{package.name} {package.version} has the hash {found}, not {package.integrity}")
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        member = tar.extractfile(package.member)
        if member is None:
            raise FetchError(f"{package.name} {package.version} has no file {package.member}")
        return member.read()


def _archive(package: Package) -> bytes:
    _say(f"fetching {package.name} {package.version}")
    npm = shutil.which("npm")
    return _pack(npm, package) if npm else download(registry(os.environ), package)


def _pack(npm: str, package: Package) -> bytes:
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(
            [npm, "pack", "--silent", f"{package.name}@{package.version}"],
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        archives = list(Path(work).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise FetchError(f"npm pack {package.name}@{package.version} failed: {done.stderr.strip()}")
        return archives[0].read_bytes()


def registry(environment: Mapping[str, str]) -> str:
    """The registry that npm is told to use: by its variable, or by the person's .npmrc.

    Raises FetchError where neither says: npm's own default is known to npm alone.
    """
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if environment.get(name):
            return environment[name].rstrip("/")
    settings = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), allow_no_value=True
    )
    npmrc = environment.get("NPM_CONFIG_USERCONFIG") or Path(environment.get("HOME", "/")) / ".npmrc"
    try:
        settings.read_string("[npm]\n" + Path(npmrc).read_text())
    except (OSError, configparser.Error):
        settings.read_string("[npm]")
    if told := settings["npm"].get("registry"):
        return told.strip('"').rstrip("/")
    raise FetchError("no npm registry is configured: install npm, or set NPM_CONFIG_REGISTRY")


def download(base: str, package: Package) -> bytes:
    """The archive from a registry, unchecked. Raises FetchError."""
    plain = package.name.rpartition("/")[2]
    url = f"{base}/{package.name}/-/{plain}-{package.version}.tgz"
    try:
        answer = requests.get(url, timeout=SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise FetchError(f"{package.name} {package.version} cannot be fetched: {error}") from error
    return answer.content


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)


def _say(text: str) -> None:
    sys.stderr.write(f"contracts: {text}\n")


def main() -> int:
    """Exit code 0 where the contracts are there now."""
    try:
        if fetch():
            _say(f"complete in {FOLDER}")
    except (FetchError, OSError, subprocess.TimeoutExpired) as error:
        _say(f"{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
