"""What the lines of each agent's stream say to a person."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.adapters.agents.passages import read_claude, read_codex, read_gemini
from orch.ports import Passage, Transcript, Voice

RECORDED = Path(__file__).parents[1] / "data" / "claude"
READERS = [read_claude, read_codex, read_gemini]


def tell(read: Transcript, line: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(passage.voice.value, passage.title, passage.text) for passage in read(json.dumps(line).encode())]


def conversation(name: str) -> list[Passage]:
    lines = (RECORDED / f"{name}.jsonl").read_bytes().splitlines()
    return [passage for line in lines for passage in read_claude(line)]


def test_a_recorded_conversation_reads_as_one() -> None:
    told = [(passage.voice, passage.title, passage.text) for passage in conversation("success")]
    assert told == [
        (Voice.NOTE, "", "conversation 4af9af99-d13c-4946-a35d-b18dcc39faf5, claude-opus-5-5"),
        (Voice.USED, "Bash", 'echo hello > hello.txt && git add -A && git commit -m "add hello"'),
        (
            Voice.GAVE,
            "",
            "[w1 c831d82] add hello\n 1 file changed, 1 insertion(+)\n create mode 100644 hello.txt",
        ),
        (Voice.SAID, "", "done"),
        (Voice.NOTE, "", "done: 2 turns, $0.01 in this conversation"),
    ]


@pytest.mark.parametrize(
    ("name", "voice", "text"),
    [
        ("usage_limit_5h", Voice.NOTE, "usage limit reached: five hour"),
        ("usage_limit_5h", Voice.NOTE, "ended with usage limit reached: 1 turn, $0.00 in this conversation"),
        ("error_401", Voice.NOTE, "the API does not answer (401 authentication_failed), try 10 of 10"),
        ("max_turns", Voice.NOTE, "ended with error max turns: 4 turns, $0.02 in this conversation"),
    ],
)
def test_what_ends_a_conversation_is_said(name: str, voice: Voice, text: str) -> None:
    assert (voice, text) in [(passage.voice, passage.text) for passage in conversation(name)]


def test_what_was_not_allowed_is_said() -> None:
    failed = [passage for passage in conversation("permission_denials") if passage.voice is Voice.FAILED]
    assert any(passage.title == "not allowed" for passage in failed)


CLAUDE: list[tuple[dict[str, Any], list[tuple[str, str, str]]]] = [
    ({"type": "assistant", "message": {"content": "plain"}}, [("said", "", "plain")]),
    (
        {
            "type": "assistant",
            "message": {
                "content": [
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "tool_use", "name": "Odd", "input": {"depth": 3}},
                    {"type": "tool_use", "input": {}},
                    {"type": "server_tool_use"},
                ]
            },
        },
        [("thought", "", "hm"), ("used", "Odd", '{"depth":3}'), ("used", "a tool", "")],
    ),
    (
        {
            "type": "user",
            "message": {
                "content": [
                    {"type": "tool_result", "is_error": True, "content": "no"},
                    {"type": "tool_result", "content": [{"type": "text", "text": "a"}, {"text": "b"}, {}]},
                    {"type": "text", "text": "beside"},
                ]
            },
        },
        [("failed", "", "no"), ("gave", "", "a\nb"), ("note", "", "beside")],
    ),
    ({"type": "user", "message": {"content": "told"}}, [("note", "", "told")]),
    ({"type": "system", "subtype": "task_started"}, []),
    (
        {"type": "system", "subtype": "api_retry"},
        [("note", "", "the API does not answer (no answer), try 0 of 0")],
    ),
    ({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}}, []),
    ({"type": "result"}, [("note", "", "ended with an error: 0 turns, $0.00 in this conversation")]),
    ({"type": "something new"}, []),
]


@pytest.mark.parametrize(("line", "told"), CLAUDE)
def test_lines_of_claude(line: dict[str, Any], told: list[tuple[str, str, str]]) -> None:
    assert tell(read_claude, line) == told


RAN = {"type": "command_execution", "aggregated_output": "a"}
CHANGED = {"type": "file_change", "changes": [{"path": "a"}, {"path": "b"}]}
CODEX: list[tuple[dict[str, Any], list[tuple[str, str, str]]]] = [
    ({"type": "thread.started", "thread_id": "t"}, [("note", "", "conversation t")]),
    ({"type": "turn.started"}, []),
    (
        {"type": "item.started", "item": {"type": "command_execution", "command": "ls"}},
        [("used", "command", "ls")],
    ),
    ({"type": "item.started", "item": {"type": "reasoning"}}, []),
    (
        {
            "type": "item.completed",
            "item": {"type": "command_execution", "aggregated_output": "a", "exit_code": 0},
        },
        [("gave", "", "a")],
    ),
    (
        {
            "type": "item.completed",
            "item": {"type": "command_execution", "aggregated_output": "a", "exit_code": 1},
        },
        [("failed", "", "a")],
    ),
    ({"type": "item.completed", "item": {"type": "agent_message", "text": "hi"}}, [("said", "", "hi")]),
    ({"type": "item.completed", "item": {"type": "reasoning", "text": "hm"}}, [("thought", "", "hm")]),
    (
        {
            "type": "item.completed",
            "item": {"type": "file_change", "changes": [{"path": "a"}, {"path": "b"}]},
        },
        [("used", "file change", "a\nb")],
    ),
    ({"type": "item.completed", "item": {"type": "error", "message": "no"}}, [("failed", "", "no")]),
    (
        {"type": "item.completed", "item": {"type": "web_search", "query": "cats"}},
        [("used", "web search", "cats")],
    ),
    ({"type": "item.completed", "item": {}}, [("used", "something", "")]),
    (
        {"type": "turn.completed", "usage": {"input_tokens": 1000, "output_tokens": 200}},
        [("note", "", "done, 1,200 tokens")],
    ),
    ({"type": "turn.failed", "error": {"message": "no"}}, [("failed", "", "no")]),
    ({"type": "error", "message": "stream error"}, [("failed", "", "stream error")]),
]


@pytest.mark.parametrize(("line", "told"), CODEX)
def test_lines_of_codex(line: dict[str, Any], told: list[tuple[str, str, str]]) -> None:
    assert tell(read_codex, line) == told


GEMINI: list[tuple[dict[str, Any], list[tuple[str, str, str]]]] = [
    ({"type": "init", "session_id": "s", "model": "m"}, [("note", "", "conversation s, m")]),
    ({"type": "message", "role": "user", "content": "the prompt"}, []),
    ({"type": "message", "role": "assistant", "content": "hi"}, [("said", "", "hi")]),
    (
        {"type": "tool_use", "tool_name": "shell", "parameters": {"command": "ls"}},
        [("used", "shell", "ls")],
    ),
    ({"type": "tool_result", "status": "success", "output": "a"}, [("gave", "", "a")]),
    ({"type": "tool_result", "status": "error", "error": {"message": "no"}}, [("failed", "", "no")]),
    ({"type": "error", "message": "no"}, [("failed", "", "no")]),
    (
        {"type": "result", "status": "success", "stats": {"total_tokens": 12}},
        [("note", "", "success, 12 tokens")],
    ),
    ({"type": "something new"}, []),
]


@pytest.mark.parametrize(("line", "told"), GEMINI)
def test_lines_of_gemini(line: dict[str, Any], told: list[tuple[str, str, str]]) -> None:
    assert tell(read_gemini, line) == told


@pytest.mark.parametrize("read", READERS)
def test_a_line_that_is_no_event_is_shown(read: Transcript) -> None:
    assert read(b"Segmentation \x1b[31mfault\xff") == [Passage(Voice.NOTE, "Segmentation fault\ufffd")]
    assert read(b"  ") == []


@pytest.mark.parametrize("read", READERS)
def test_no_secret_and_no_escape_sequence_gets_through(read: Transcript) -> None:
    secret = "ghp_" + "a" * 36
    for line in (
        {
            "type": "assistant",
            "message": {"content": [{"type": "text", "text": f"{secret}\x1b]52;c;eA==\x07"}]},
        },
        {"type": "item.completed", "item": {"type": "agent_message", "text": f"{secret}\x1b[2J"}},
        {"type": "message", "role": "assistant", "content": f"{secret}\x1b[2J"},
    ):
        for _, title, text in tell(read, line):
            assert secret not in title + text
            assert "\x1b" not in title + text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["type", "subtype", "message", "content", "text", "thinking", "name", "input", "item", "usage", "error"]
)
TYPES = st.sampled_from(
    ["assistant", "user", "system", "result", "tool_use", "tool_result", "item.completed", "turn.completed"]
)


@given(
    line=st.dictionaries(KEYS, JSON | TYPES | st.dictionaries(KEYS, JSON | TYPES)),
    data=st.binary(max_size=40),
)
@pytest.mark.parametrize("read", READERS)
def test_nothing_that_is_printed_breaks_it(
    read: Callable[[bytes], list[Passage]], line: dict[str, Any], data: bytes
) -> None:
    whole = json.dumps(line).encode()
    for each in (whole, data, whole[: len(data)], data + whole):
        for passage in read(each):
            assert passage.text.strip() or passage.title
