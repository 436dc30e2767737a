"""What claude's tokens cost, learned from what its own results told: at the end of a turn it tells the price.

No list of prices is kept here: it would be wrong with the next model.
"""

import heapq
import os
from collections.abc import Iterator
from pathlib import Path

from orch.adapters.agents import fields
from orch.adapters.agents.fields import Fields
from orch.adapters.agents.lines import edges

WRITE_WEIGHT, READ_WEIGHT, OUTPUT_WEIGHT = 1.25, 0.1, 5.0
"""What a token costs that is written to the cache, read from it, or written by the model, as a multiple of
one that is read: much the same for every model, and good enough until the turn's own price is known."""
USED = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
"""The tokens in an entry of `modelUsage`."""
RECALLED = 16
"""The runs of so many tasks are looked into for their prices."""
END_BYTES = 64 * 1024
"""Of their logs: a result is the last line."""


class Prices:
    """What a token of each model costs."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._prices: dict[str, float] = {}
        self._has_recalled = False

    def learn(self, model: str, usage: Fields) -> None:
        """Take in one entry of a result's `modelUsage`."""
        weighted = (
            fields.number(usage, "inputTokens")
            + WRITE_WEIGHT * fields.number(usage, "cacheCreationInputTokens")
            + READ_WEIGHT * fields.number(usage, "cacheReadInputTokens")
            + OUTPUT_WEIGHT * fields.number(usage, "outputTokens")
        )
        cost = fields.number(usage, "costUSD")
        if weighted and cost:
            self._prices[model] = cost / weighted

    def recall(self, runs: Path) -> "Prices":
        """Learn from the latest runs under `runs` (`.orch/runs`), the first time that it is asked for.

        A coordinator that has just started would otherwise not know what its workers cost.
        """
        if not self._has_recalled:
            self._has_recalled = True
            for log in _find_logs(runs):
                for result in map(fields.parse, edges(log, END_BYTES)[1]):
                    used = fields.below(result, "modelUsage")
                    for model in used.keys() - self._prices.keys():
                        self.learn(model, fields.below(used, model))
        return self

    def estimate(
        self, model: str, read: float = 0, cached: float = 0, reused: float = 0, written: float = 0
    ) -> float:
        """US dollars for so many tokens: read, written to the cache, read from it, written by the model.

        Those of a model that is not known cost as much as those of the dearest one that is.
        """
        price = self._prices.get(model) or max(list(self._prices.values()), default=0.0)
        weighted = read + WRITE_WEIGHT * cached + READ_WEIGHT * reused + OUTPUT_WEIGHT * written
        return price * weighted


def _find_logs(runs: Path) -> Iterator[Path]:
    """The logs of the runs of the tasks that were worked on last."""
    try:
        with os.scandir(runs) as entries:
            tasks = heapq.nlargest(RECALLED, ((entry.stat().st_mtime, entry.path) for entry in entries))
    except OSError:  # there are no runs, or one is just being removed
        return
    for _, task in tasks:
        yield from Path(task).glob("*/stdout.jsonl")
