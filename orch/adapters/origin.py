"""The base branch, as new as origin has it. Fetches that are wanted at the same time are one."""

import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from orch.adapters import git
from orch.adapters.git_locks import LeftLockError
from orch.adapters.store import atomic
from orch.core.values import dataclass
from orch.errors import PermanentError, TransientError

RETRY_SECONDS = (1.0, 2.0, 4.0)
"""Pauses before a failed fetch is tried again (design section 7)."""

_CONFIG_LIMIT = 1024 * 1024
_SECTION = re.compile(rb'^\[remote "origin"\]\s*$([^\[]*)', re.MULTILINE)
_SETTING = re.compile(rb"^[ \t]*(\w+)[ \t]*=[ \t]*(.*)$", re.MULTILINE)

_NO_SUCH_BRANCH = re.compile(r"couldn't find remote ref")


@dataclass(slots=True)
class _Batch:
    """A fetch that has not begun yet, or what came of it."""

    branches: set[str] = field(default_factory=set)
    done: bool = False
    fetched: bool = False
    error: TransientError | None = None


class Origin:
    """The remote `origin` of a repository, if it has one, and the base branch there and here."""

    def __init__(
        self,
        repository: Path,
        base: str,
        *,
        retries: Sequence[float] = RETRY_SECONDS,
        access: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`base` is the name of the base branch; `retries` the pauses before new tries, in seconds.

        `access` gives the environment that lets git log in, asked anew for each fetch.
        """
        self.base = base
        self.local_ref = f"refs/heads/{base}"
        self.remote_ref = f"refs/remotes/origin/{base}"
        self._repository = repository
        self._retries = tuple(retries)
        self._access = access
        self._state = threading.Lock()
        self._turn = threading.Lock()
        self._next = _Batch()

    def exists(self) -> bool:
        """Whether the repository has a remote named origin."""
        if _find_url(git.common_directory(self._repository) / "config"):
            return True
        found = git.run(self._repository, "config", "--get", "remote.origin.url", accept=(0, 1))
        return found.code == 0

    def fetch(self, branch: str = "") -> bool:
        """Bring the base branch, and `branch` if origin has it, up to date. False without an origin.

        A fetch that begins after this call counts for it, whoever asked. Raises TransientError where
        origin cannot be reached after the last try.
        """
        with self._state:
            batch = self._next
            batch.branches.add(branch)
        with self._turn:
            if not batch.done:
                with self._state:
                    self._next = _Batch()
                try:
                    batch.fetched = self._fetch(sorted(batch.branches - {""}))
                except TransientError as error:
                    batch.error = error
                batch.done = True
        if batch.error is not None:
            raise TransientError(batch.error.message, hint=batch.error.hint) from batch.error
        return batch.fetched

    def tip(self) -> str:
        """The full sha of the base branch: of origin's as last fetched, else of the local one."""
        return self.choose(git.references(self._repository, self.remote_ref, self.local_ref))

    def choose(self, references: dict[str, str]) -> str:
        """The base branch's sha among references that were read. Raises PermanentError without one."""
        tip = references.get(self.remote_ref) or references.get(self.local_ref)
        if tip is None:
            raise PermanentError(
                f"the base branch {self.base!r} does not exist in {self._repository}",
                hint="[forge] base_branch in config.toml",
            )
        return tip

    def _is_level(self, branches: Sequence[str]) -> bool:
        """Whether origin is a folder here and plainly has nothing new. A fetch would be five processes."""
        url = _find_url(git.common_directory(self._repository) / "config")
        if not url.startswith("/"):
            return False
        names = {
            name: name.replace("refs/heads/", "refs/remotes/origin/", 1) for name in self._names(branches)
        }
        there = git.read_references(Path(url), tuple(names))
        here = git.read_references(self._repository, tuple(names.values()))
        if there is None or here is None or self.local_ref not in there:
            return False
        return all(here.get(names[name]) == sha for name, sha in there.items())

    def _names(self, branches: Sequence[str]) -> Sequence[str]:
        return (self.local_ref, *(f"refs/heads/{name}" for name in branches))

    def _fetch(self, branches: Sequence[str]) -> bool:
        if not self.exists():
            return False
        if self._is_level(branches):
            return True
        # A pattern that matches nothing is no error, as a branch that is missing would be.
        refspecs = [f"+refs/heads/{name}*:refs/remotes/origin/{name}*" for name in branches]
        refspecs.append(f"+{self.local_ref}:{self.remote_ref}")
        command = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-prune")
        for pause in (*self._retries, None):
            try:
                git.run(
                    self._repository,
                    *(*command, "--no-recurse-submodules", "origin", *refspecs),
                    timeout=git.NETWORK_SECONDS,
                    env=self._access(),
                )
            except (TransientError, PermanentError) as error:
                if _NO_SUCH_BRANCH.search(error.message):
                    return True  # Nobody has pushed the base branch yet: the local one is the newest.
                if pause is None or isinstance(error, LeftLockError):
                    hint = error.hint or "is origin reachable? git fetch origin"
                    raise TransientError(f"cannot fetch from origin: {error.message}", hint=hint) from error
                time.sleep(pause)
            else:
                break
        return True


def _find_url(config: Path) -> str:
    """Where the repository's own settings plainly say that origin is; '' where git is to be asked."""
    try:
        data = atomic.read(config, _CONFIG_LIMIT) or b""
    except TransientError:
        return ""
    found = _SECTION.search(data)
    settings = _SETTING.findall(found[1]) if found else []
    urls = [value.strip() for name, value in settings if name == b"url"]
    # Anything else may tell git to read another place than is said here, or in another way.
    plain = {name for name, _ in settings} <= {b"url", b"fetch"} and b"insteadof" not in data.lower()
    return os.fsdecode(urls[0]) if plain and len(urls) == 1 and not urls[0].startswith(b'"') else ""
