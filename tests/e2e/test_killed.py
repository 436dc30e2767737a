"""orch is killed again and again, at any moment: nothing is done twice, nothing is lost."""

import json
import random
import signal
import time
from collections import Counter

import pytest

from tests.e2e.projects import Project

KILLS = 8


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_at_any_moment(project: Project, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seed makes it replayable
    kinds = ["", "  please fail once", "  please litter", "  please block", "  please idle", ""]
    lines = []
    for number in range(1, 19):
        lines += [f"[] t-{number}: Task {number}", kinds[number % len(kinds)]]
    project.write_tasks(*filter(None, lines))
    met = 0
    for _ in range(KILLS * 5):
        child = project.start()
        # The moment of the kill is what is tried: the sleep waits for nothing.
        time.sleep(chance.uniform(0.0, 0.6))
        met += "[🟡" in project.tasks
        project.end(child, signal.SIGKILL)
        if met >= KILLS or project.tasks.count("[] ") == 0:
            break
    assert met >= 3, "the kills came too early or too late to prove anything"
    project.orch("run", "--plain", "--until-idle")
    launches = Counter(project.launches())
    assert set(launches.values()) == {1}, f"seed {seed}: started twice: {launches}"
    statuses = project.statuses()
    expected = {"  please block": "blocked", "  please idle": "failed"}
    assert statuses == {
        f"t-{number}": expected.get(kinds[number % len(kinds)], "completed") for number in range(1, 19)
    }, f"seed {seed}: {project.log()}"
    pulls = [pull["branch"] for pull in json.loads(project.orch("pr", "list", "--json"))]
    assert len(set(pulls)) == len(pulls) == sum(status == "completed" for status in statuses.values())
    for number in range(1, 19):
        if kinds[number % len(kinds)] == "  please litter":
            saved = project.git("for-each-ref", "--format=%(refname)", f"refs/orch/saved/t-{number}/")
            assert project.git("show", f"{saved.splitlines()[0]}:litter.txt") == "left over"
    assert project.leftovers() == []
    kept = {path.name for path in (project.root / "trees").iterdir() if not path.name.startswith(".")}
    assert kept == {name for name, status in statuses.items() if status != "completed"}
    assert project.git("status", "--porcelain", "--untracked-files=no") == ""
    project.git("fsck", "--no-dangling")
