"""Reads what `claude -p --output-format stream-json --verbose` prints (measured: 2.1.329).

One JSON object a line: `system` (init at each turn, api_retry, permission_denied and others), `assistant`
(one for each block of a message, all with the message's id and its usage so far), `user` (what tools gave),
`rate_limit_event`, `result` at the end of a turn. A run may have several results: each tells what was used
since the last one, and the last one counts. Anything else is let pass.
"""

import re
from collections import deque
from pathlib import Path

import msgspec

from orch.adapters.agents import causes, exits, fields, output
from orch.adapters.agents.claude_prices import USED, Prices
from orch.adapters.agents.fields import NOTHING, Fields
from orch.adapters.agents.progress import REASON_LENGTH, TEXT_LENGTH, one_line, summary
from orch.core.model import Activity, Cause, Exit, Verdict

REMEMBERED = 32
"""Message ids: the lines of one message come close together, also where subagents talk at once."""
CHARACTERS_PER_TOKEN = 4
"""Roughly: how much was written is only told at the end of a turn."""
INPUT_BYTES = 64 * 1024
"""Of a tool's input that is kept to be shown."""
MILLISECONDS = 1e11
"""A time later than the year 5138 is in milliseconds."""

LIMITS = {
    "five_hour": "5-hour limit",
    "seven_day": "weekly limit",
    "seven_day_opus": "weekly Opus limit",
    "seven_day_sonnet": "weekly Sonnet limit",
}
"""What a person calls the windows of `rateLimitType`."""

_CAUSES = {
    "authentication_failed": Cause.AUTHENTICATION,
    "oauth_org_not_allowed": Cause.AUTHENTICATION,
    "billing_error": Cause.BILLING,
    "rate_limit": Cause.USAGE_LIMIT,
    "server_error": Cause.UNAVAILABLE,
    "overloaded": Cause.UNAVAILABLE,
    "model_not_found": Cause.MODEL,
    "invalid_request": Cause.REQUEST,
}
"""By the `error` of the assistant line that stands for a failed call."""
_TYPES = {
    "authentication_error": Cause.AUTHENTICATION,
    "permission_error": Cause.AUTHENTICATION,
    "billing_error": Cause.BILLING,
    "rate_limit_error": Cause.USAGE_LIMIT,
    "overloaded_error": Cause.UNAVAILABLE,
    "api_error": Cause.UNAVAILABLE,
    "timeout_error": Cause.UNAVAILABLE,
    "invalid_request_error": Cause.REQUEST,
    "request_too_large": Cause.PROMPT_TOO_LONG,
}
"""By the type of the API's own error."""
_STATUSES = {401: Cause.AUTHENTICATION, 402: Cause.BILLING, 403: Cause.AUTHENTICATION, 429: Cause.USAGE_LIMIT}
_ENDS = {
    "error_max_turns": Cause.MAX_TURNS,
    "error_max_budget_usd": Cause.MAX_BUDGET,
}
"""By the `subtype` of a result."""

_LOST = re.compile(r"no conversation found|is already in use", re.IGNORECASE)
"""What claude says of a session id that it cannot go on with."""


class _Usage(msgspec.Struct, frozen=True):
    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


class _Block(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    thinking: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct, frozen=True):
    id: str = ""
    model: str = ""
    content: str | list[_Block] = ""
    usage: _Usage = _Usage()


class _Line(msgspec.Struct, frozen=True):
    """What is read of every line. All else in it is skipped, which is most of it."""

    type: str = ""
    subtype: str = ""
    message: _Message | str = ""
    error: str | None = None
    parent_tool_use_id: str | None = None


_decode = msgspec.json.Decoder(_Line).decode


def _decode_leniently(line: bytes) -> _Line:
    """A line in which something has an unexpected type: what is as expected is taken all the same."""
    found = fields.parse(line)
    message = fields.below(found, "message")
    usage = fields.below(message, "usage")
    blocks = [
        _Block(
            type=fields.text(block, "type"),
            text=fields.text(block, "text"),
            thinking=fields.text(block, "thinking"),
            name=fields.text(block, "name"),
        )
        for block in fields.objects(message, "content")
    ]
    return _Line(
        type=fields.text(found, "type"),
        subtype=fields.text(found, "subtype"),
        message=_Message(
            id=fields.text(message, "id"),
            model=fields.text(message, "model"),
            content=blocks,
            usage=_Usage(*(fields.count(usage, name) for name in _Usage.__struct_fields__)),
        ),
        error=fields.text(found, "error") or None,
        parent_tool_use_id=fields.text(found, "parent_tool_use_id") or None,
    )


class ClaudeProgress:
    """See `Progress`."""

    def __init__(self, prices: Prices | None = None) -> None:
        """`prices` is shared by all runs of an agent."""
        self._prices = prices or Prices()
        self._session_id = ""
        # Of the turns that are over.
        self._cost = 0.0
        self._tokens = 0
        self._turns = 0
        self._total = 0.0
        # Of the turn that goes on.
        self._messages: deque[str] = deque(maxlen=REMEMBERED)
        self._model = ""
        self._open_tokens = 0
        self._open_cost = 0.0
        self._open_messages = 0
        self._written = 0
        # What was said last.
        self._tool = ""
        self._given = b""
        self._text = ""
        self._summary = ""
        self._retry = NOTHING
        self._error = ""
        self._limit = NOTHING
        self._denied: dict[str, int] = {}
        self._result: Fields | None = None
        self._done = False

    # --- reading -----------------------------------------------------------------------------------

    def take(self, line: bytes) -> None:
        """Take in one line. Whatever it is, nothing is raised."""
        try:
            found = _decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            found = _decode_leniently(line)
        match found.type:
            case "assistant":
                self._take_message(found, line)
            case "user":
                self._done = False
                self._retry = NOTHING
            case "system":
                self._take_system(found.subtype, line)
            case "rate_limit_event":
                self._limit = fields.below(fields.parse(line), "rate_limit_info")
            case "result":
                self._take_result(fields.parse(line))
            case _:
                pass

    def _take_message(self, found: _Line, line: bytes) -> None:
        self._done = False
        self._error = found.error or ""
        message = found.message
        if isinstance(message, str):
            return
        if self._error:
            params = fields.below(fields.parse(line), "api_error_params")
            self._limit = fields.below(params, "rate_limit_info") or self._limit
        else:
            self._retry = self._limit = NOTHING
            self._count(message)
        for block in () if isinstance(message.content, str) else message.content:
            if block.type == "text":
                self._tool, self._text = "", block.text[:TEXT_LENGTH]
                if not found.parent_tool_use_id:
                    self._summary = block.text[-TEXT_LENGTH:]
            elif block.type == "tool_use":
                self._tool, self._given = block.name or "a tool", _copy(block.input)
            self._written += len(block.text) + len(block.thinking) + len(memoryview(block.input))

    def _count(self, message: _Message) -> None:
        """Add what a message took. Each of its lines repeats it."""
        if not message.id or message.id in self._messages:
            return
        self._messages.append(message.id)
        self._model = message.model
        usage = message.usage
        read, cached = max(0, usage.input_tokens), max(0, usage.cache_creation_input_tokens)
        reused = max(0, usage.cache_read_input_tokens)
        self._open_messages += 1
        self._open_tokens += read + cached + reused
        self._open_cost += self._prices.estimate(self._model, read, cached, reused)

    def _take_system(self, subtype: str, line: bytes) -> None:
        match subtype:
            case "init":
                self._done = False
                self._session_id = fields.text(fields.parse(line), "session_id") or self._session_id
            case "api_retry":
                self._retry = fields.parse(line)
            case "permission_denied":
                tool = fields.text(fields.parse(line), "tool_name") or "a tool"
                self._denied[tool] = self._denied.get(tool, 0) + 1
            case "task_started":
                self._done = False
            case _:
                pass

    def _take_result(self, line: Fields) -> None:
        """Close the turn: what was estimated gives way to what is told."""
        if not line:
            return
        self._result, self._done, self._retry = line, True, NOTHING
        self._session_id = fields.text(line, "session_id") or self._session_id
        self._turns += fields.count(line, "num_turns")
        total = fields.number(line, "total_cost_usd")
        used = line.get("model_usage_since_last_result")
        if isinstance(used, dict):
            for model in used:
                usage = fields.below(used, model)
                self._prices.learn(model, usage)
                self._cost += fields.number(usage, "costUSD")
                self._tokens += sum(fields.count(usage, name) for name in USED)
        else:  # it says only what the whole conversation has cost
            self._cost += max(0.0, total - self._total)
            self._tokens += self._open_tokens + self._written // CHARACTERS_PER_TOKEN
        self._total = total
        self._open_tokens = self._open_messages = self._written = 0
        self._open_cost = 0.0

    # --- telling -----------------------------------------------------------------------------------

    @property
    def _cost_so_far(self) -> float:
        written = self._written / CHARACTERS_PER_TOKEN
        return self._cost + self._open_cost + self._prices.estimate(self._model, written=written)

    @property
    def _tokens_so_far(self) -> int:
        return self._tokens + self._open_tokens + self._written // CHARACTERS_PER_TOKEN

    def activity(self) -> Activity:
        """What the worker is doing."""
        limit, until = self._limited()
        return Activity(
            text=self._describe(limit),
            cost_usd=self._cost_so_far,
            tokens=self._tokens_so_far,
            turns=self._turns + self._open_messages,
            retries=fields.count(self._retry, "attempt"),
            limit=limit,
            limited_until=until,
            session_id=self._session_id,
            done=self._done,
        )

    def _describe(self, limit: str) -> str:
        if limit:
            return f"has reached its {limit}"
        if self._retry:
            status = fields.count(self._retry, "error_status") or ""
            why = one_line(f"{status} {fields.text(self._retry, 'error')}") or "no answer"
            tries = fields.count(self._retry, "attempt"), fields.count(self._retry, "max_retries")
            return f"the API does not answer ({why}), try {tries[0]} of {tries[1]}"
        if self._tool:
            telling = fields.telling(fields.parse(self._given))
            return one_line(f"{self._tool}: {telling}" if telling else self._tool)
        return one_line(self._text)

    def _limited(self) -> tuple[str, float | None]:
        """The usage limit that it is up against and when it ends; ('', None) while there is none."""
        info = self._limit
        if fields.text(info, "status") != "rejected" or info.get("isUsingOverage") is True:
            return "", None
        kind = fields.text(info, "rateLimitType")
        resets_at = fields.number(info, "resetsAt")
        if resets_at > MILLISECONDS:
            resets_at /= 1000
        name = LIMITS.get(kind) or one_line(kind.replace("_", " "), 40)
        return name or "usage limit", resets_at or None

    def verdict(self, exit: Exit, directory: Path) -> Verdict:
        """How it ended: well with a good last result and a good exit, and in no other way."""
        result = self._result if self._done else None
        if result is not None and exit.ok and result.get("is_error") is False:
            cause = Cause.PERMISSION if self._denied else Cause.NONE
            return self._conclude(cause, self._tell_denied(), ok=True)
        if exits.is_forced(exit):
            return self._conclude(Cause.NONE, exits.describe(exit), directory, free=exits.is_free(exit))
        if result is not None and result.get("is_error") is not False:
            cause = self._find_cause(result)
            return self._conclude(cause, self._tell(result, cause), directory)
        said = output.last_error(directory)
        if result is None and _LOST.search(said):
            return self._conclude(Cause.SESSION, said, directory)
        if exit.ok:
            return self._conclude(Cause.UNFINISHED, "it ended before it had a result", directory)
        reason = exits.describe(exit)
        return self._conclude(Cause.NONE, f"{reason}: {said}" if said else reason, directory)

    def _conclude(
        self,
        cause: Cause,
        reason: str,
        directory: Path | None = None,
        *,
        ok: bool = False,
        free: bool = False,
    ) -> Verdict:
        limited = cause is Cause.USAGE_LIMIT
        limit, until = self._limited() if limited else ("", None)
        said = summary(self._summary)
        return Verdict(
            ok=ok,
            reason=one_line(reason, REASON_LENGTH),
            cost_usd=self._cost_so_far,
            tokens=self._tokens_so_far,
            turns=self._turns + self._open_messages,
            retry_at=until,
            charged=not free and cause not in causes.FREE,
            tail="" if directory is None else (output.errors(directory) or said),
            cause=cause,
            agent_wide=cause in causes.AGENT_WIDE,
            limit=(limit or "rate limit") if limited else "",
            session_id="" if cause in causes.ENDS_CONVERSATION else self._session_id,
            summary=said,
        )

    def _find_cause(self, result: Fields) -> Cause:
        """Why a result is an error, by the most exact of the ways in which it is told."""
        subtype, ended = fields.text(result, "subtype"), fields.text(result, "terminal_reason")
        if subtype in _ENDS:
            return _ENDS[subtype]
        if ended == "prompt_too_long" or fields.count(result, "api_error_status") == 413:
            return Cause.PROMPT_TOO_LONG
        if fields.text(result, "stop_reason") == "refusal":
            return Cause.REFUSAL
        if _LOST.search(" ".join(fields.strings(result, "errors"))):
            return Cause.SESSION
        if fields.text(result, "api_error") == "usage_limit_reached":
            return Cause.USAGE_LIMIT
        by_type = _TYPES.get(fields.text(result, "api_error_type"))
        status = fields.count(result, "api_error_status")
        known = _CAUSES.get(self._error) or _STATUSES.get(status)
        if known is None and status >= 500:
            known = Cause.UNAVAILABLE
        return known or by_type or Cause.OTHER

    def _tell(self, result: Fields, cause: Cause) -> str:
        said = fields.text(result, "result") or "; ".join(fields.strings(result, "errors"))
        said = said or fields.text(result, "subtype") or "it ended with an error"
        before = _SAYING.get(cause, "")
        return f"{before}: {said}" if before else said

    def _tell_denied(self) -> str:
        if not self._denied:
            return ""
        tools = ", ".join(f"{tool} ({times})" if times > 1 else tool for tool, times in self._denied.items())
        return f"it was not allowed to use: {tools}; see permission_mode in config.toml"


_SAYING = {
    Cause.AUTHENTICATION: "the login of claude does not work (run claude and /login, or set its key)",
    Cause.BILLING: "the account of claude has no credit",
    Cause.UNAVAILABLE: "the API is out of order",
}
"""What comes before claude's own words, where they do not say what to do."""


def _copy(given: msgspec.Raw) -> bytes:
    """A tool's input, for `activity`; nothing where it is long: it may be a whole file to be written."""
    return bytes(given) if len(memoryview(given)) <= INPUT_BYTES else b""
