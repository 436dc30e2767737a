"""What is measured: samples beside their floor, and what is to be reached."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reach:
    """What is to be reached."""

    limit: float
    how: str = "under"
    """`times` the floor's median, `plus` it in the unit of the row, or `under` by itself."""
    at: int = 50
    """The percentile of the samples that counts."""

    def figure(self, values: Sequence[float], floor: Sequence[float]) -> float:
        """What is compared with the limit."""
        value = percentile(values, self.at)
        match self.how:
            case "times":
                return value / percentile(floor, 50)
            case "plus":
                return value - percentile(floor, 50)
            case _:
                return value

    def show(self, figure: float, unit: str) -> str:
        """A figure or the limit itself, for people."""
        match self.how:
            case "times":
                return f"{figure:.2f} x floor"
            case "plus":
                return f"floor {figure:+.{digits(figure)}f} {unit}"
            case _:
                return _show(figure, unit)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    name: str
    unit: str
    values: Sequence[float]
    reach: Reach | None = None
    """None: it is only told."""
    floor: Sequence[float] = ()
    floor_name: str = ""

    def describe(self) -> dict[str, Any]:
        """The row for machines; `reached` is None where nothing was to be."""
        told: dict[str, Any] = {
            "name": self.name,
            "unit": self.unit,
            **summary(self.values),
            "floor_name": self.floor_name,
            "floor": summary(self.floor) if self.floor else None,
            "figure": "",
            "reach": "",
            "reached": None,
        }
        if self.reach is not None:
            figure, at = self.reach.figure(self.values, self.floor), f"p{self.reach.at}: "
            told["figure"] = at + self.reach.show(figure, self.unit)
            told["reach"] = at + self.reach.show(self.reach.limit, self.unit)
            told["reached"] = figure <= self.reach.limit
        return told


def summary(values: Sequence[float]) -> dict[str, float]:
    """The number of samples, their median, and the best and worst that one may count on."""
    return {
        "n": len(values),
        "p5": percentile(values, 5),
        "p50": percentile(values, 50),
        "p95": percentile(values, 95),
    }


def percentile(values: Sequence[float], at: int) -> float:
    """The value below which `at` of a hundred lie, between two samples where none is there."""
    if at == 50:
        return statistics.median(values)
    ordered = sorted(values)
    place = (len(ordered) - 1) * at / 100
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def digits(value: float) -> int:
    """How many digits after the point a figure is worth."""
    return max(0, 2 - math.floor(math.log10(abs(value)))) if 1e-3 <= abs(value) < 100 else 0


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| figure | n | p50 | p95 | floor p50 | floor p95 | result | reach | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        floor, unit = row["floor"], row["unit"]
        cells = [
            row["name"] + (f" ({row['floor_name']})" if row["floor_name"] else ""),
            str(row["n"]),
            _show(row["p50"], unit),
            _show(row["p95"], unit),
            _show(floor["p50"], unit) if floor else "",
            _show(floor["p95"], unit) if floor else "",
            row["figure"],
            row["reach"],
            {True: "reached", False: "**missed**", None: ""}[row["reached"]],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _show(value: float, unit: str) -> str:
    return f"{value:.{digits(value)}f} {unit}".rstrip()
