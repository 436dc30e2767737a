"""Which tasks could start, and why the others wait."""

import pytest

from orch.core.graph import make_plan
from orch.core.model import Status
from tests.core.documents import document, task


def test_urgent_first_then_by_place() -> None:
    plan = make_plan(
        document(task("t-1"), task("t-2", priority=0), task("t-3"), task("t-4", priority=1)), "completed"
    )
    assert plan.ready == ("t-2", "t-4", "t-1", "t-3")


@pytest.mark.parametrize(
    ("status", "fields", "unblock_on", "why"),
    [
        (Status.COMPLETED, {}, "completed", None),
        (Status.COMPLETED, {}, "merged", "waits for t-1 to be merged"),
        (Status.COMPLETED, {"Merged": "today"}, "merged", None),
        (Status.FAILED, {}, "completed", "waits for t-1, which is failed"),
        (Status.BLOCKED, {}, "completed", "waits for t-1, which is blocked"),
        (Status.SKIPPED, {}, "completed", "waits for t-1, which is skipped"),
        (Status.ACTIVE, {}, "completed", "waits for t-1"),
        (Status.PENDING, {}, "completed", "waits for t-1"),
    ],
)
def test_a_dependency(status: Status, fields: dict[str, str], unblock_on: str, why: str | None) -> None:
    plan = make_plan(document(task("t-1", status, fields=fields), task("t-2", after=("t-1",))), unblock_on)
    assert plan.waiting.get("t-2") == why
    assert ("t-2" in plan.ready) is (why is None)


def test_several_parents_are_all_needed() -> None:
    plan = make_plan(
        document(
            task("t-1", Status.COMPLETED),
            task("t-2"),
            task("t-3", after=("t-1", "t-2", "t-9")),
            task("t-4", after=("t-1",)),
        ),
        "completed",
    )
    assert plan.waiting == {"t-3": "waits for t-2; waits for t-9, which is not in tasks.md"}
    assert plan.ready == ("t-2", "t-4")


def test_bare_numbers_mean_the_only_task_with_that_number() -> None:
    tasks = (
        task("gh-7", Status.COMPLETED),
        task("t-8", Status.COMPLETED),
        task("gh-8"),
        task("t-1", after=("7",)),
        task("t-2", after=("8",)),
        task("t-3", after=("007",)),
    )
    plan = make_plan(document(*tasks), "completed")
    assert set(plan.ready) == {"gh-8", "t-1", "t-3"}
    assert plan.waiting == {"t-2": "waits for 8, which is not in tasks.md"}


def test_cycles_are_named() -> None:
    tasks = (
        task("t-1", after=("t-2",)),
        task("t-2", after=("t-3", "t-5")),
        task("t-3", after=("t-1",)),
        task("t-4", after=("t-4",)),
        task("t-5"),
        task("t-6", after=("t-1", "t-5")),
    )
    plan = make_plan(document(*tasks), "completed")
    assert plan.ready == ("t-5",)
    assert plan.waiting["t-1"] == plan.waiting["t-3"] == "dependency cycle: t-1 -> t-2 -> t-3 -> t-1"
    assert plan.waiting["t-4"] == "dependency cycle: t-4 -> t-4"
    assert plan.waiting["t-6"] == "waits for t-1; waits for t-5"


@pytest.mark.parametrize("length", [8, 9, 3000])
def test_a_long_cycle_is_told_in_short(length: int) -> None:
    tasks = [task(f"t-{n}", after=(f"t-{n % length + 1}",)) for n in range(1, length + 1)]
    plan = make_plan(document(*tasks), "completed")
    assert len(plan.waiting) == length
    last = "t-8" if length == 8 else f"{length} in all"
    told = f"dependency cycle: t-1 -> t-2 -> t-3 -> t-4 -> t-5 -> t-6 -> t-7 -> {last} -> t-1"
    assert set(plan.waiting.values()) == {told}


def test_a_chain_as_long_as_the_file_needs_no_recursion() -> None:
    tasks = [task("t-1"), *(task(f"t-{n}", after=(f"t-{n - 1}",)) for n in range(2, 5001))]
    plan = make_plan(document(*tasks), "completed")
    assert plan.ready == ("t-1",)
    assert len(plan.waiting) == 4999


def test_active_and_unmerged_tasks_are_listed() -> None:
    tasks = (
        task("t-1", Status.ACTIVE),
        task("t-2", Status.COMPLETED, fields={"PR": "pull/1"}),
        task("t-3", Status.COMPLETED, fields={"PR": "pull/2", "Merged": "today"}),
        task("t-4", Status.COMPLETED),
    )
    plan = make_plan(document(*tasks), "completed")
    assert plan.active == ("t-1",)
    assert plan.unmerged == ("t-2",)
