"""A git was killed, or the power failed: its lock files do not keep orch from working for ever."""

from tests.e2e.projects import Project


def test_a_lock_of_the_persons_own_is_told_until_it_is_gone(project: Project) -> None:
    lock = project.root / ".git" / "refs" / "remotes" / "origin" / "main.lock"
    lock.touch()
    # Somebody else has pushed: the ref that is locked has to move.
    other = project.root.parent / "other"
    project.git("clone", "-q", "-b", "main", str(project.origin), str(other))
    identity = ("-c", "user.name=Other", "-c", "user.email=other@example.com")
    project.git(*identity, "commit", "-q", "--allow-empty", "-m", "Newer", cwd=other)
    project.git("push", "-q", "origin", "HEAD:main", cwd=other)
    project.write_tasks("[] t-1: Work")
    child = project.start()
    told = f"{lock} was left by a git that was killed (rm {lock})"
    project.wait_for(lambda: any(told in notice for notice in project.status()["notices"]), "the notice")
    assert f"rm {lock}" in project.orch("doctor", code=1)
    assert project.launches() == []
    lock.unlink()
    project.wait_for(lambda: "[✅" in project.tasks, "the work")
    assert project.launches() == ["t-1/1"]
    assert not project.status()["notices"]
    project.end(child)


def test_locks_of_orchs_own_are_removed(project: Project) -> None:
    project.write_tasks("[] t-1: Untidy", "  please litter", "[] t-2: Plain")
    common = project.root / ".git"
    refs = ("heads/orch/t-1-untidy", "heads/orch/t-2-plain", "orch/saved/t-1/1", "pull/1/head", "pull/2/head")
    locks = [common / "refs" / f"{name}.lock" for name in refs]
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    project.orch("run", "--plain", "--until-idle")
    assert project.statuses() == {"t-1": "completed", "t-2": "completed"}
    assert sorted(project.launches()) == ["t-1/1", "t-2/1"]
    assert [lock for lock in locks if lock.exists()] == []
    assert project.git("show", "refs/orch/saved/t-1/1:litter.txt") == "left over"
