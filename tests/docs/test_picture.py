"""The picture in the README can be made from the program, and is a picture."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.cli.command import DEADLINE, ENVIRONMENT
from tests.docs.picture import FILE

ROOT = Path(__file__).parents[2]
SMALL = """
import sys
from pathlib import Path
from orch.cli.demo_shop import make_shop
from tests.docs.picture import draw, watch
folder = Path(sys.argv[1])
shop = make_shop(folder)
(shop / "tasks.md").write_text("## Pending\\n\\n[] t-1: Bake\\n[] t-5: Choose a provider\\n")
draw(watch(shop), shop.name, write=(folder / "picture.svg").write_text)
"""


def words(file: Path) -> str:
    """What can be read in a picture."""
    text = file.read_text(encoding="utf-8")
    assert "@font-face" not in text, "it fetches nothing"
    return "".join(ET.fromstring(text).itertext()).replace("\xa0", " ")  # noqa: S314 - our own file


def test_it_can_be_made(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", SMALL, str(tmp_path)], cwd=ROOT, env=ENVIRONMENT, check=True, timeout=DEADLINE
    )
    shown = words(tmp_path / "picture.svg")
    assert "Bake" in shown
    assert str(tmp_path) not in shown


def test_the_one_that_is_shown_has_all_that_there_is_to_see() -> None:
    shown = words(FILE)
    for part in ("Workers", "Failed and blocked", "Pull requests", "Recent"):
        assert part in shown, "run tools/docs"
