"""What a line of an agent's stream says, for a person who reads along: one function for each dialect.

A line that is no JSON is shown as it is; one that says nothing to a person gives nothing. All text is
foreign, so it is cleaned: no escape sequence and nothing that looks like a secret is in it.
"""

import msgspec

from orch.adapters import tails
from orch.adapters.agents import fields
from orch.adapters.agents.fields import Fields
from orch.ports import Passage, Voice


def read_claude(line: bytes) -> list[Passage]:
    """A line of `claude -p --output-format stream-json`."""
    found = fields.parse(line)
    match fields.text(found, "type"):
        case "assistant":
            return _read_blocks(fields.below(found, "message"))
        case "user":
            return _read_results(fields.below(found, "message"))
        case "system":
            return _read_system(found)
        case "rate_limit_event":
            info = fields.below(found, "rate_limit_info")
            kind = fields.text(info, "rateLimitType").replace("_", " ")
            is_over = fields.text(info, "status") == "rejected"
            return _note(f"usage limit reached: {kind}") if is_over else []
        case "result":
            return _note(_describe_result(found))
        case "":
            return _read_plain(line)
        case _:
            return []


def read_codex(line: bytes) -> list[Passage]:
    """A line of `codex exec --json`."""
    found = fields.parse(line)
    item = fields.below(found, "item")
    match fields.text(found, "type"):
        case "thread.started":
            return _note(f"conversation {fields.text(found, 'thread_id')}")
        case "item.started" if fields.text(item, "type") == "command_execution":
            return _make(Voice.USED, fields.text(item, "command"), "command")
        case "item.completed":
            return _read_item(item)
        case "turn.completed":
            usage = fields.below(found, "usage")
            tokens = fields.count(usage, "input_tokens") + fields.count(usage, "output_tokens")
            return _note(f"done, {tokens:,} tokens")
        case "turn.failed":
            return _make(Voice.FAILED, fields.text(fields.below(found, "error"), "message"))
        case "error":
            return _make(Voice.FAILED, fields.text(found, "message"))
        case "":
            return _read_plain(line)
        case _:
            return []


def read_gemini(line: bytes) -> list[Passage]:
    """A line of `gemini -o stream-json`."""
    found = fields.parse(line)
    match fields.text(found, "type"):
        case "init":
            return _note(f"conversation {fields.text(found, 'session_id')}, {fields.text(found, 'model')}")
        case "message" if fields.text(found, "role") == "assistant":
            return _make(Voice.SAID, fields.text(found, "content"))
        case "tool_use":
            given = fields.below(found, "parameters")
            return _make(Voice.USED, _tell(given), fields.text(found, "tool_name"))
        case "tool_result":
            failed = fields.text(found, "status") == "error"
            error = fields.text(fields.below(found, "error"), "message")
            return _make(Voice.FAILED if failed else Voice.GAVE, fields.text(found, "output") or error)
        case "error":
            return _make(Voice.FAILED, fields.text(found, "message"))
        case "result":
            tokens = fields.count(fields.below(found, "stats"), "total_tokens")
            return _note(f"{fields.text(found, 'status')}, {tokens:,} tokens")
        case "":
            return _read_plain(line)
        case _:
            return []


# --- claude ------------------------------------------------------------------------------------------


def _read_blocks(message: Fields) -> list[Passage]:
    """What the model said, thought and used."""
    passages = _make(Voice.SAID, fields.text(message, "content"))
    for block in fields.objects(message, "content"):
        match fields.text(block, "type"):
            case "text":
                passages += _make(Voice.SAID, fields.text(block, "text"))
            case "thinking":
                passages += _make(Voice.THOUGHT, fields.text(block, "thinking"))
            case "tool_use":
                name = fields.text(block, "name") or "a tool"
                passages += _make(Voice.USED, _tell(fields.below(block, "input")), name)
            case _:
                pass
    return passages


def _read_results(message: Fields) -> list[Passage]:
    """What tools gave; and what was said to the model beside."""
    passages = _make(Voice.NOTE, fields.text(message, "content"))
    for block in fields.objects(message, "content"):
        if fields.text(block, "type") != "tool_result":
            passages += _make(Voice.NOTE, fields.text(block, "text"))
            continue
        parts = [fields.text(part, "text") for part in fields.objects(block, "content")]
        text = fields.text(block, "content") or "\n".join(filter(None, parts))
        failed = block.get("is_error") is True
        passages += _make(Voice.FAILED if failed else Voice.GAVE, text)
    return passages


def _read_system(found: Fields) -> list[Passage]:
    match fields.text(found, "subtype"):
        case "init":
            return _note(f"conversation {fields.text(found, 'session_id')}, {fields.text(found, 'model')}")
        case "api_retry":
            why = f"{fields.count(found, 'error_status') or ''} {fields.text(found, 'error')}".strip()
            tries = f"{fields.count(found, 'attempt')} of {fields.count(found, 'max_retries')}"
            return _note(f"the API does not answer ({why or 'no answer'}), try {tries}")
        case "permission_denied":
            return _make(Voice.FAILED, fields.text(found, "message"), "not allowed")
        case _:
            return []


def _describe_result(found: Fields) -> str:
    turns, cost = fields.count(found, "num_turns"), fields.number(found, "total_cost_usd")
    figures = f"{turns} turn{'' if turns == 1 else 's'}, ${cost:.2f} in this conversation"
    if found.get("is_error") is False:
        return f"done: {figures}"
    why = fields.text(found, "api_error") or fields.text(found, "subtype") or "an error"
    return f"ended with {why.replace('_', ' ')}: {figures}"


# --- what they share -----------------------------------------------------------------------------------


def _read_item(item: Fields) -> list[Passage]:
    """An item of codex that is complete."""
    match fields.text(item, "type"):
        case "agent_message":
            return _make(Voice.SAID, fields.text(item, "text"))
        case "reasoning":
            return _make(Voice.THOUGHT, fields.text(item, "text"))
        case "command_execution":
            failed = item.get("exit_code") not in (0, None)
            return _make(Voice.FAILED if failed else Voice.GAVE, fields.text(item, "aggregated_output"))
        case "file_change":
            paths = "\n".join(fields.text(change, "path") for change in fields.objects(item, "changes"))
            return _make(Voice.USED, paths, "file change")
        case "error":
            return _make(Voice.FAILED, fields.text(item, "message"))
        case kind:
            told = next(
                (value for name in ("query", "tool", "text") if (value := fields.text(item, name))), ""
            )
            return _make(Voice.USED, told, kind.replace("_", " ") or "something")


def _tell(given: Fields) -> str:
    """What a tool was given: the part that tells most, or all of it."""
    return fields.telling(given) or (msgspec.json.encode(given).decode() if given else "")


def _read_plain(line: bytes) -> list[Passage]:
    """A line that is no event: what it says is all there is to it."""
    return _make(Voice.NOTE, line.decode("utf-8", "replace"))


def _note(text: str) -> list[Passage]:
    return _make(Voice.NOTE, text)


def _make(voice: Voice, text: str, title: str = "") -> list[Passage]:
    """A passage, none where there is nothing to say."""
    text, title = tails.clean(text).strip("\n"), " ".join(tails.clean(title).split())
    return [Passage(voice, text, title)] if text.strip() or title else []
