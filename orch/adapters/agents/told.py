"""The progress of agents that tell a text, a tool, tokens and errors: what Codex and Gemini share."""

from pathlib import Path

from orch.adapters.agents import causes, exits, fields, output
from orch.adapters.agents.fields import Fields
from orch.adapters.agents.progress import REASON_LENGTH, TEXT_LENGTH, one_line, summary
from orch.core.model import Activity, Cause, Exit, Verdict


class ToldProgress:
    """See `Progress`. An agent of its own says in `_take` what its lines mean."""

    def __init__(self, directory: Path) -> None:
        """Nothing is printed yet in the run directory."""
        self._directory = directory
        self._session_id = ""
        self._tokens = 0
        self._turns = 0
        self._doing = ""
        self._summary = ""
        self._error = ""
        """What went wrong last."""
        self._ended: bool | None = None
        """Whether the turn that is over was good; None while it goes on."""

    def take(self, line: bytes) -> None:
        """Take in one line. Whatever it is, nothing is raised."""
        if found := fields.parse(line):
            self._take(fields.text(found, "type"), found)

    def _take(self, kind: str, line: Fields) -> None:
        raise NotImplementedError

    def _say(self, text: str) -> None:
        self._doing, self._summary = text[:TEXT_LENGTH], text[-TEXT_LENGTH:]

    def _use(self, tool: str, what: str) -> None:
        self._doing = f"{tool}: {what[:TEXT_LENGTH]}" if what else tool

    def activity(self) -> Activity:
        """What the worker is doing."""
        return Activity(
            text=one_line(self._doing or self._error),
            tokens=self._tokens,
            turns=self._turns,
            session_id=self._session_id,
            done=self._ended is not None,
        )

    def verdict(self, exit: Exit, directory: Path) -> Verdict:
        """How it ended: well with a good last turn and a good exit, and in no other way."""
        if exit.ok and self._ended:
            return self._conclude(Cause.NONE, "", ok=True)
        said = output.last_error(directory)
        tail = output.errors(directory) or summary(self._summary)
        if exits.is_forced(exit):
            free = exits.is_free(exit)
            return self._conclude(Cause.NONE, exits.describe(exit), tail=tail, free=free)
        if self._ended is None and exit.ok:
            return self._conclude(Cause.UNFINISHED, "it ended before it had a result", tail=tail)
        if why := self._error or said:
            retry_at = causes.find_retry(why, exit.ended_at)
            return self._conclude(causes.guess(why), why, tail=tail, retry_at=retry_at)
        reason = "it ended with an error" if exit.ok else exits.describe(exit)
        return self._conclude(Cause.NONE, reason, tail=tail)

    def _conclude(
        self,
        cause: Cause,
        reason: str,
        *,
        ok: bool = False,
        tail: str = "",
        free: bool = False,
        retry_at: float | None = None,
    ) -> Verdict:
        limited = cause is Cause.USAGE_LIMIT
        return Verdict(
            ok=ok,
            reason=one_line(reason, REASON_LENGTH),
            tokens=self._tokens,
            turns=self._turns,
            retry_at=retry_at if limited else None,
            charged=not free and cause not in causes.FREE,
            tail=tail,
            cause=cause,
            agent_wide=cause in causes.AGENT_WIDE,
            limit="usage limit" if limited else "",
            session_id="" if cause in causes.ENDS_CONVERSATION else self._session_id,
            summary=summary(self._summary),
        )
