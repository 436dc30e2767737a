"""The run directories `.orch/runs/<task>/<attempt>/`: the fence of every attempt (design section 5).

    claim.json    decided, before anything is started     written here, first
    prompt.md     what the agent is told                  the executor
    run.json      the launcher runs                       the launcher, or the fence of `finish`
    exit.json     the launcher is over                    the launcher, last
    outcome.json  what the coordinator concluded          written here, last

A directory without claim.json was never claimed: the number is given again. Damaged files (power
loss, a hand edit) never stop orch and never free a number whose worker may live:

- outcome.json damaged: as if it were not there. The run is concluded again and it is replaced.
- claim.json damaged or gone, no run.json: never started, so as if it had never been claimed.
- claim.json damaged or gone, but run.json there: a worker may live. The run is RUNNING and is being
  stopped with the reason; what can be known of its claim comes from run.json and earlier attempts.
- run.json damaged: RUNNING, its process unknown.
"""

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from orch.adapters.store import atomic, records
from orch.adapters.store.records import Record
from orch.core.model import Claim, Exit, Outcome, Phase, Process, Run, RunKey, Stopping
from orch.core.names import folder_name, is_task_id
from orch.errors import PermanentError

DAY = 86400.0
LONGEST_NUMBER = 9
"""Digits of an attempt number: more is no directory of ours."""

_REMOVED = ".removed-"


class RunDirectories:
    """The RunStore on disk. `warn` gets one line for each oddity that a person should know."""

    def __init__(self, root: Path, *, warn: Callable[[str], None]) -> None:
        """`root` is `.orch/runs`; it is made when it is needed."""
        self._root = root
        self._warn = warn

    def load(self, tasks: Collection[str] | None = None) -> Mapping[str, Run]:
        """The latest run of each of these tasks, or of every task, with the phase that its files mean.

        A run that is OVER has the claim that its outcome tells (branch, agent and times). Raises
        TransientError where the disk cannot be read, PermanentError for files of a newer orch.
        """
        runs: dict[str, Run] = {}
        for task in self._subfolders(self._root) if tasks is None else tasks:
            if is_task_id(task):
                latest = next(self._claimed(task), None)
                if latest is not None:
                    runs[task] = latest
        return runs

    def claim(self, run: RunKey, claim: Claim) -> None:
        """Make the run directory with claim.json, durably. Nothing happens if it is there."""
        path = self._prepare(run) / "claim.json"
        data = records.encode(claim)
        # A damaged one is only ever claimed again when no worker was started on it: see load.
        if not atomic.create(path, data, durable=True) and self._read(path, Claim) is None:
            atomic.write(path, data, durable=True)

    def finish(self, run: RunKey, outcome: Outcome) -> None:
        """Take run.json if no launcher has, then write outcome.json, durably.

        The fence is a `Process` with the pid 0. The first outcome of a run stays.
        """
        directory = self._prepare(run)
        nobody = Process(pid=0, start_ticks=0, boot_id="", started_at=outcome.ended_at)
        if not os.path.lexists(directory / "run.json"):
            atomic.create(directory / "run.json", records.encode(nobody), durable=True)
        path = directory / "outcome.json"
        data = records.encode(outcome)
        if not atomic.create(path, data, durable=True) and self._read(path, Outcome) is None:
            atomic.write(path, data, durable=True)

    def history(self, task: str) -> Sequence[Run]:
        """Every attempt of a task that is still kept, oldest first, with all that is on file."""
        if not is_task_id(task):
            raise PermanentError(f"{task!r} is not a task id")
        return [self._complete(run) for run in self._claimed(task)][::-1]

    def directory(self, run: RunKey) -> Path:
        """Where the files of a run lie, whether it is there or not.

        Raises PermanentError for a task id that is not well-formed and for an attempt below 1.
        """
        if not is_task_id(run.task) or not 1 <= run.attempt < 10**LONGEST_NUMBER:
            raise PermanentError(f"{run.task!r}/{run.attempt} is not the name of a run")
        return self._root / str(run)

    def prune(
        self, keep_days: float, now: float, *, protect: Collection[str] = (), dry_run: bool = False
    ) -> Sequence[RunKey]:
        """Remove runs whose outcome is older than `keep_days`; gives the runs, oldest first.

        Never the latest run of a task, nor one without an outcome, nor one of the tasks in
        `protect`. `now` is in seconds since the epoch. With `dry_run` nothing is removed.
        """
        removed = []
        for task in sorted(filter(is_task_id, self._subfolders(self._root))):
            if not dry_run:
                self._empty_bin(self._root / task)
            if task in protect:
                continue
            for run in list(self._claimed(task))[:0:-1]:
                if run.outcome and run.outcome.ended_at < now - keep_days * DAY:
                    removed.append(run.key)
                    if not dry_run:
                        self._discard(self.directory(run.key))
        return removed

    def _claimed(self, task: str) -> Iterator[Run]:
        """The runs of a task, the latest first, without directories that were never claimed."""
        for number in self._numbers(task):
            run = self._run(RunKey(task, number))
            if run is not None:
                yield run

    def _numbers(self, task: str) -> Sequence[int]:
        """The attempts that have a directory, the latest first."""
        found = filter(_is_number, self._subfolders(self._root / folder_name(task)))
        return sorted(map(int, found), reverse=True)

    def _run(self, key: RunKey) -> Run | None:
        directory = self.directory(key)
        outcome = self._read(directory / "outcome.json", Outcome)
        if outcome is not None:
            told = Claim(
                branch=outcome.branch,
                agent=outcome.agent,
                title="",
                claimed_at=outcome.claimed_at,
                queued_at=outcome.queued_at,
            )
            return Run(key, told, Phase.OVER, outcome=outcome, pull=outcome.pull)
        claim = self._read(directory / "claim.json", Claim)
        started = os.path.lexists(directory / "run.json")
        process = self._read(directory / "run.json", Process) if started else None
        if claim is not None:
            return Run(key, claim, Phase.RUNNING if started else Phase.CLAIMING, process=process)
        return self._orphan(key, process) if started else None

    def _orphan(self, key: RunKey, process: Process | None) -> Run:
        """A run that was started but whose claim is lost: its worker may live, so it is stopped."""
        reason = f"{self.directory(key) / 'claim.json'} is damaged or gone"
        since = process.started_at if process else 0.0
        numbers = (number for number in self._numbers(key.task) if number < key.attempt)
        earlier = (self._run(RunKey(key.task, number)) for number in numbers)
        branch = next((run.claim.branch for run in earlier if run and run.claim.branch), "")
        claim = Claim(branch, process.agent if process else "", title="", claimed_at=since)
        self._warn(f"{reason}; its worker is stopped")
        return Run(
            key, claim, Phase.RUNNING, process=process, stopping=Stopping(reason, since=since, now=True)
        )

    def _complete(self, run: Run) -> Run:
        directory = self.directory(run.key)
        return run.evolve(
            claim=self._read(directory / "claim.json", Claim) or run.claim,
            process=self._read(directory / "run.json", Process),
            exit=self._read(directory / "exit.json", Exit),
        )

    def _read(self, path: Path, kind: type[Record]) -> Record | None:
        """The record, None where it is missing or damaged; the latter is told."""
        try:
            return records.read(path, kind)
        except records.DamagedError as error:
            self._warn(error.message)
            return None

    def _prepare(self, run: RunKey) -> Path:
        """The directory of a run, made if need be, and not by way of a symbolic link."""
        directory = self.directory(run)
        for folder in (directory.parent, directory):
            atomic.make_folder(folder, durable=True)
            try:
                real = stat.S_ISDIR(folder.lstat().st_mode)
            except OSError as error:
                raise atomic.failure("read", folder, error) from error
            if not real:
                raise PermanentError(f"{folder} is a symbolic link", hint="move it away")
        return directory

    def _subfolders(self, folder: Path) -> Sequence[str]:
        """The names of the real folders in a folder; none where it is missing."""
        try:
            with os.scandir(folder) as entries:
                return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise atomic.failure("read", folder, error) from error

    def _discard(self, directory: Path) -> None:
        """Take a run away: renamed first, so that a kill leaves no half of it that looks like one."""
        away = directory.with_name(_REMOVED + directory.name)
        try:
            directory.rename(away)
            shutil.rmtree(away)
        except OSError as error:
            raise atomic.failure("remove", directory, error) from error

    def _empty_bin(self, folder: Path) -> None:
        for name in self._subfolders(folder):
            if name.startswith(_REMOVED):
                try:
                    shutil.rmtree(folder / name)
                except OSError as error:
                    raise atomic.failure("remove", folder / name, error) from error


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and name[0] != "0" and len(name) <= LONGEST_NUMBER
