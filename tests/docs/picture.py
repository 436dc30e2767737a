"""Draws docs/dashboard.svg: a real orch that works on the queue of the demo. `tools/docs` calls it."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from orch import wiring
from orch.cli.demo_shop import make_shop
from orch.core.counts import count_statuses
from orch.core.model import Status
from orch.core.state import Snapshot
from orch.dashboard.digest import make_digest
from orch.dashboard.view import View

FILE = Path(__file__).parents[2] / "docs" / "dashboard.svg"
WIDTH = 110
HINT = "^C ends orch, its workers go on"


def watch(shop: Path) -> Snapshot:
    """Clear the queue of the demo; gives the moment at which there was most to see."""
    seen: list[Snapshot] = []
    wiring.build(wiring.open_project(shop), on_snapshot=seen.append, refresh=0.5).run(until_idle=True)
    return max(seen, key=_interest)


def _interest(snapshot: Snapshot) -> tuple[int, ...]:
    counts = count_statuses(snapshot.document)
    shown = sum(bool(counts[status]) for status in Status)
    return shown, len(snapshot.live), sum(map(bool, snapshot.activity.values())), counts[Status.COMPLETED]


def draw(snapshot: Snapshot, name: str, *, write: Callable[[str], object]) -> None:
    """Write the dashboard as SVG, without a link to fonts of somebody else's server."""
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, height=30, file=nowhere, force_terminal=True)
        console.print(View(make_digest(snapshot, None), snapshot.at, name, None, HINT))
    svg = console.export_svg(title=f"orch run - {name}", theme=MONOKAI, unique_id="orch")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    write(svg.replace("Fira Code", "monospace"))


def main(file: Path = FILE) -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as folder:
        shop = make_shop(Path(folder).resolve())
        draw(watch(shop), shop.name, write=lambda svg: file.write_text(svg, encoding="utf-8"))


if __name__ == "__main__":
    main()
