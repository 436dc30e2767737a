"""What is in the wheel and in the sdist, built as pip builds them."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import orch

ROOT = Path(__file__).parents[2]
BUILT = ("orch", "tests", "tools", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, built from a copy: other tests write into the checkout."""
    copy = tmp_path_factory.mktemp("packages") / "orch"
    copy.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "data")
    for name in BUILT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=unwanted, symlinks=True)
        else:
            shutil.copy(source, copy / name)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", "dist"], cwd=copy, check=True, capture_output=True
    )
    return copy / "dist"


def wheel(dist: Path) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_whole_package_and_nothing_else(dist: Path) -> None:
    with wheel(dist) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "orch").rglob("*") if path.is_file()}
    assert names == {name for name in files if "__pycache__" not in name}
    assert not [name for name in names if "test" in name.split("/")]


def test_the_wheel_says_what_it_is(dist: Path) -> None:
    with wheel(dist) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        told = HeaderParser().parsestr(archive.read(name).decode())
        entry = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
    assert told["Version"] == orch.__version__
    assert told["Requires-Python"] == ">=3.11"
    assert "dev" in told.get_all("Provides-Extra", [])
    assert "orch = orch.cli.main:main" in entry
    always = [need for need in told.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert not [need for need in always if need.startswith(("pytest", "mypy", "ruff"))]


def test_the_sdist_holds_what_a_packager_needs(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        owners = {(member.uid, member.gid) for member in archive}
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO", "tools/test", "orch/__init__.py"} <= names
    assert any(name.startswith("tests/core/") for name in names)
    assert not [name for name in names if name.startswith((".orch/", "trees/", ".venv/"))]
    assert owners == {(0, 0)}, "reproducible: whoever builds it"
