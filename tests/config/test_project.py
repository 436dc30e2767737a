"""Where things lie."""

from dataclasses import fields
from pathlib import Path

from orch.config import Project


def test_the_names_that_people_and_scripts_rely_on() -> None:
    project = Project(
        Path("/p"), Path("/p/trees"), Path("/p/worker_template.md"), Path("/p/continue_template.md")
    )
    assert project.config_file == Path("/p/config.toml")
    assert project.tasks_file == Path("/p/tasks.md")
    assert project.pid_file == Path("/p/.orch/coordinator.pid")
    assert project.metrics_file == Path("/p/.orch/metrics.json")
    assert project.runs == Path("/p/.orch/runs")
    assert project.requests == Path("/p/.orch/requests")


def test_everything_of_orchs_own_lies_under_one_folder_and_nothing_twice() -> None:
    project = Project(
        Path("/p"), Path("/p/trees"), Path("/p/worker_template.md"), Path("/p/continue_template.md")
    )
    given = {spec.name for spec in fields(Project)}
    derived = [name for name in dir(Project) if not name.startswith("_") and name not in given]
    paths = {name: getattr(project, name) for name in derived}
    outside = {name for name, path in paths.items() if not path.is_relative_to("/p/.orch")}
    assert outside == {"config_file", "tasks_file"}
    assert len(set(paths.values())) == len(paths)
