"""The demo, and every command that looks at finished work, on what the demo leaves behind."""

import json
import re
import signal
from pathlib import Path

import pytest

from tests.cli.command import ENVIRONMENT, Terminal, git, ok, orch, running, spawn, status, task


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's project and what the demo printed."""
    folder = tmp_path_factory.mktemp("a demo")
    done = spawn(folder, "demo", "--plain", TMPDIR=str(folder))
    assert done.code == 0, done
    (made,) = folder.glob("orch-demo-*")
    return made.resolve() / "shop", done.out


@pytest.fixture
def shop(demo: tuple[Path, str]) -> Path:
    return demo[0]


def test_the_demo_shows_what_it_promises(demo: tuple[Path, str]) -> None:
    shop, out = demo
    report = status(shop)
    assert report["coordinator"] is None
    assert {row["id"]: row["status"] for row in report["tasks"]} == {
        **dict.fromkeys(("t-1", "t-2", "t-3", "t-4", "t-7", "t-8"), "completed"),
        "t-5": "blocked",
        "t-6": "failed",
    }
    assert task(shop, "t-4")["attempt"] == 2
    assert "Which one shall it be" in task(shop, "t-5")["error"]
    assert f"\n  cd '{shop}'\n" in out
    assert "merge t-1" in out
    assert re.search(r"idle after \d+s: 6 completed, 1 failed, 1 blocked", out)


def test_the_demo_leaves_nothing_running_and_the_checkout_alone(shop: Path) -> None:
    assert git(shop, "status", "--porcelain", "--untracked-files=no") == ""
    assert git(shop, "branch", "--show-current") == "main"
    assert not (shop / ".orch/coordinator.pid").exists()
    branches = git(shop.parent / "origin.git", "branch", "--format=%(refname:short)").split()
    assert len([name for name in branches if name.startswith("orch/t-")]) == 6


@pytest.mark.parametrize("keep", [False, True])
def test_a_demo_that_is_interrupted_leaves_nothing_or_says_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    with running(tmp_path, "demo", "--plain", "--keep" if keep else "--no-keep") as process:
        lines = process.stdout
        assert lines
        assert any("launched" in line for line in lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        rest = lines.read()
    left = list(tmp_path.iterdir())
    assert [f"Everything lies in {folder.resolve()}:" in rest for folder in left] == [True] * keep


def test_the_dashboard_of_the_demo(shop: Path) -> None:
    text = ok(shop, "status")
    for word in ("6 of 8 done", "no coordinator runs", "Failed and blocked 2", "Pull requests", "Recent"):
        assert word in text
    assert "\x1b" not in text


def test_show_says_everything(shop: Path) -> None:
    text = ok(shop, "show", "4")
    for word in (
        *("t-4  Add the opening hours", "completed", "orch/t-4-add-the-opening-hours", "#", "agent demo"),
        *("Attempt 1  failed", "exit code 1", "the oven does not answer", "Attempt 2  completed"),
        *(".orch/runs/t-4/1/", "orch logs t-4", "orch merge t-4"),
    ):
        assert word in text, word
    assert "After" in ok(shop, "show", "t-3")
    assert "It must be there in French" in ok(shop, "show", "t-3")
    assert "Reason" in ok(shop, "show", "t-6")


def test_show_of_a_task_that_never_ran(shop: Path) -> None:
    name = ok(shop, "add", "Later").strip()
    assert "none yet" in ok(shop, "show", name)
    for command in ("diff", "logs", "merge"):
        done = orch(shop, command, name)
        assert done.code == 1
        assert "was not started yet" in done.err
    ok(shop, "stop", name)


def test_logs_of_the_last_and_of_an_earlier_attempt(shop: Path) -> None:
    assert "committed: Opening hours" in ok(shop, "logs", "t-4")
    assert "committed" not in ok(shop, "logs", "t-4", "--attempt", "1")
    assert ok(shop, "logs", "t-4", "--attempt", "1", "--stderr") == "the oven does not answer\n"
    assert ok(shop, "logs", "t-4", "-n", "1") == "committed: Opening hours\n"
    assert ok(shop, "logs", "t-4", "-n", "0") == ""
    assert ok(shop, "logs", "t-4", "-f") == ok(shop, "logs", "t-4")
    done = orch(shop, "logs", "t-4", "--attempt", "9")
    assert done.code == 1
    assert "there are: 1, 2" in done.err


def test_pull_requests_are_listed_and_shown(shop: Path) -> None:
    listed = json.loads(ok(shop, "pr", "list", "--json"))
    assert len(listed) == 6
    first = listed[0]
    assert f"#{first['number']}" in ok(shop, "pr", "list")
    shown = ok(shop, "pr", "show", f"#{first['number']}")
    assert first["title"] in shown
    assert first["branch"] in shown
    assert json.loads(ok(shop, "pr", "show", "t-1", "--json"))["branch"].startswith("orch/t-1-")
    for reference in ("t-6", "99"):
        done = orch(shop, "pr", "show", reference)
        assert done.code == 1, done


def test_diff_then_merge_then_the_same_diff(shop: Path) -> None:
    before = ok(shop, "diff", "t-1")
    assert "+# Say that everything is sold" in before
    assert "sold-out.md" in before
    out = ok(shop, "merge", "t-1")
    assert re.search(r"is merged into main as [0-9a-f]{7}", out)
    assert (shop / "pages/sold-out.md").exists()
    line = next(line for line in (shop / "tasks.md").read_text().splitlines() if "- Merged:" in line)
    assert re.search(r"- Merged: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{7}$", line)
    text = (shop / "tasks.md").read_text()
    assert "was merged already" in ok(shop, "merge", "t-1")
    assert (shop / "tasks.md").read_text() == text
    assert ok(shop, "diff", "t-1") == before
    shown = ok(shop, "show", "t-1")
    assert re.search(r"Merged +\d{4}-", shown)
    assert re.search(r"Pull +#\d+ merged ", shown)
    assert "orch merge" not in shown
    assert "merged" in ok(shop, "pr", "show", "t-1")


def test_a_conflict_is_reported_and_changes_nothing(shop: Path) -> None:
    (shop / "pages").mkdir(exist_ok=True)
    (shop / "pages/map.md").write_text("drawn by hand\n")
    git(shop, "add", "pages/map.md")
    git(shop, "commit", "--quiet", "--message", "A map by hand")
    head = git(shop, "rev-parse", "HEAD")
    done = orch(shop, "merge", "t-8")
    assert done.code == 1, done
    assert "Traceback" not in done.err
    assert "pages/map.md" in done.err
    assert git(shop, "rev-parse", "HEAD") == head
    assert git(shop, "status", "--porcelain", "--untracked-files=no") == ""


def test_a_task_without_a_pull_request_cannot_be_merged(shop: Path) -> None:
    done = orch(shop, "merge", "t-6")
    assert done.code == 1
    assert "t-6 has no pull request" in done.err


def test_uncommitted_work_is_in_the_diff_and_clean_saves_it(shop: Path) -> None:
    tree = shop / "trees/t-6"
    (tree / "README.md").write_text("changed and not committed\n")
    (tree / "new.txt").write_text("new\n")
    done = spawn(shop, "diff", "t-6")
    assert "+changed and not committed" in done.out
    assert "1 files in" in done.err
    assert "new and not in the diff: new.txt" in done.err
    assert str(tree) in ok(shop, "clean", "--dry-run")
    assert tree.exists()
    out = ok(shop, "clean")
    assert not tree.exists()
    saved = re.search(r"refs/orch/saved/\S+", out)
    assert saved
    assert git(shop, "show", f"{saved[0]}:new.txt") == "new"
    assert ok(shop, "diff", "t-6") == ""


def test_a_branch_that_is_gone_is_said(shop: Path) -> None:
    git(shop, "branch", "-D", task(shop, "t-6")["branch"])
    done = spawn(shop, "diff", "t-6")
    assert done.code == 1
    assert "is not there" in done.err


def test_status_on_a_terminal_fits_and_has_colours(shop: Path) -> None:
    terminal = Terminal(shop, "status")
    assert terminal.finish() == 0
    assert b"\x1b[" in terminal.written
    assert terminal.written.count(b"\n") < 30


def test_watch_stays_until_interrupted(shop: Path) -> None:
    terminal = Terminal(shop, "status", "--watch")
    terminal.read_until(b" done")
    terminal.interrupt()
    assert terminal.finish() == 130
    assert b"\x1b[?1049h" in terminal.written
    assert terminal.written.rindex(b"\x1b[?1049l") < terminal.written.rindex(b" done")
    assert b"Traceback" not in terminal.written
    assert orch(shop, "status", "--watch").code == 1


def test_run_on_a_terminal_is_a_live_dashboard_and_leaves_the_last_picture(shop: Path) -> None:
    name = ok(shop, "add", "One more page").strip()
    terminal = Terminal(shop, "run", "--until-idle")
    assert terminal.finish() == 0
    assert b"\x1b[?1049h" in terminal.written
    last = terminal.written[terminal.written.rindex(b"\x1b[?1049l") :]
    assert b" done" in last
    assert b"level=info" not in terminal.written
    assert task(shop, name)["status"] == "completed"


def test_the_logs_on_a_terminal_cannot_harm_it(shop: Path) -> None:
    run = shop / ".orch/runs/t-7/1"
    (run / "stdout.jsonl").write_bytes(b"\x1b[31mred\x1b[0m \x1b]0;owned\x07 \x1b[2J \xff\r\nend\n")
    terminal = Terminal(shop, "logs", "t-7")
    assert terminal.finish() == 0
    assert b"\x1b[31mred\x1b[0m" in terminal.written
    assert b"\x1b]" not in terminal.written
    assert b"\x1b[2J" not in terminal.written
    assert "␛]0;owned␇ ␛[2J \ufffd".encode() in terminal.written
    assert (
        orch(shop, "logs", "t-7", "-n", "2").out
        == "\x1b[31mred\x1b[0m \x1b]0;owned\x07 \x1b[2J \udcff\r\nend\n"
    )
