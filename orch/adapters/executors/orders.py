"""What the executor tells a launcher. Standard library only, see processes.py."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Orders:
    """What a launcher is told: strings separated by zero bytes, which no argument can hold."""

    def __init__(  # noqa: PLR0913 - each is one order, given by name
        self,
        *,
        directory: str,
        worktree: str,
        argv: "Sequence[str]",
        agent: str = "",
        session_id: str = "",
        locale: "str | None" = None,
        timeout: float = 0,
        stall: float = 0,
        memory: int = 0,
        output: int = 0,
        linger: float = 0,
        last_words: "Sequence[str]" = (),
        grace: float = 5,
    ) -> None:
        """`directory` and `worktree` are absolute; seconds and bytes, 0 for no limit.

        One whose last line has one of the types `last_words` is ended after `linger` (see lingering.py).

        `locale` is LC_CTYPE as the agent shall see it: CPython changes it in its own environment at
        start (PEP 538).
        """
        self.directory, self.worktree, self.argv = directory, worktree, tuple(argv)
        self.agent, self.session_id, self.locale = agent, session_id, locale
        self.timeout, self.stall, self.grace = timeout, stall, grace
        self.memory, self.output = memory, output
        self.linger, self.last_words = linger, tuple(last_words)

    def encode(self) -> bytes:
        """For `decode`. Raises ValueError for a string with a zero byte in it."""
        locale = ("-",) if self.locale is None else ("+" + self.locale,)
        words = (self.directory, self.worktree, self.agent, self.session_id, *locale)
        numbers = (self.timeout, self.stall, self.grace, self.memory, self.output, self.linger)
        parts = (*words, *map(repr, numbers), "\n".join(self.last_words), *self.argv)
        if any("\0" in part for part in parts):
            raise ValueError("a zero byte in an argument")
        return os.fsencode("\0".join(parts))

    @classmethod
    def decode(cls, data: bytes) -> "Orders":
        """What `encode` was called on. Raises ValueError for anything else."""
        directory, worktree, agent, session_id, locale, *rest = os.fsdecode(data).split("\0")
        timeout, stall, grace, memory, output, linger, last_words, *argv = rest
        return cls(
            directory=directory,
            worktree=worktree,
            argv=argv,
            agent=agent,
            session_id=session_id,
            locale=locale[1:] if locale.startswith("+") else None,
            timeout=float(timeout),
            stall=float(stall),
            grace=float(grace),
            memory=int(memory),
            output=int(output),
            linger=float(linger),
            last_words=last_words.splitlines(),
        )
