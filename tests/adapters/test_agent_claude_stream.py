"""What the real claude printed, and what is made of it."""

import json
import re
import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.adapters.agents.claude import ClaudeAgent
from orch.adapters.agents.claude_prices import Prices
from orch.adapters.agents.claude_stream import ClaudeProgress
from orch.adapters.agents.progress import KEPT, Logs
from orch.config import AgentKind, AgentSettings
from orch.core.model import Activity, Cause, EndReason, Exit, Verdict
from tests.adapters.transcripts import NAMES, transcript

OK = Exit(EndReason.EXITED, code=0)

GOOD = [
    ("success", 0.01332, 3320, 2),
    ("commit", 0.01212, 3100, 2),
    ("two_results_background_task", 0.01818, 4650, 3),
    ("resumed", 0.00606, 1550, 1),
    ("rate_limit_warning", 0.00303, 1550, 1),
]

BAD = [
    ("error_401", Cause.AUTHENTICATION, "Invalid API key · Fix external API key"),
    ("bad_key", Cause.AUTHENTICATION, "Invalid API key · Fix external API key"),
    ("forbidden", Cause.AUTHENTICATION, "API Error: 403 OAuth token revoked"),
    ("not_logged_in", Cause.AUTHENTICATION, "Not logged in · Please run /login"),
    ("no_credit", Cause.BILLING, "Credit balance is too low"),
    ("payment", Cause.BILLING, "API Error: 402 Payment required"),
    ("usage_limit_5h", Cause.USAGE_LIMIT, "You've hit your 5-hour limit · resets 1:06pm (UTC)"),
    ("weekly_limit", Cause.USAGE_LIMIT, "You've hit your weekly limit"),
    ("rate_limit_of_a_key", Cause.USAGE_LIMIT, "API Error: Request rejected (429) · slow down"),
    ("overloaded", Cause.UNAVAILABLE, "the API is out of order: API Error: 529 Overloaded"),
    ("server_error", Cause.UNAVAILABLE, "API Error: 500 Internal server error"),
    ("no_server", Cause.UNAVAILABLE, "API Error: Connection refused"),
    ("model_unknown", Cause.MODEL, "There's an issue with the selected model (nothing-such)"),
    ("prompt_too_long", Cause.PROMPT_TOO_LONG, "Prompt is too long"),
    ("too_large", Cause.PROMPT_TOO_LONG, "Request too large (max 32MB)"),
    ("bad_request", Cause.REQUEST, "API Error: 400 tools.3: bad"),
    ("refusal", Cause.REFUSAL, "safeguards flagged this message"),
    ("too_many_tokens_out", Cause.OTHER, "exceeded the 128000 output token maximum"),
    ("max_turns", Cause.MAX_TURNS, "Reached maximum number of turns (3)"),
    ("max_turns_2", Cause.MAX_TURNS, "Reached maximum number of turns (2)"),
    ("max_budget", Cause.MAX_BUDGET, "Reached maximum budget ($0.01)"),
    ("resumed_unknown", Cause.SESSION, "No conversation found with session ID"),
    ("session_used", Cause.SESSION, "is already in use"),
    ("unknown_option", Cause.NONE, "exit code 1: error: unknown option '--nonsense'"),
    ("killed_sigterm", Cause.NONE, "exit code 143"),
]


def judge(name: str, folder: Path) -> Verdict:
    """The verdict on a recorded run."""
    recorded = transcript(name)
    return Logs(lambda _: ClaudeProgress()).verdict(recorded.write(folder), recorded.exit)


def play(*events: dict[str, Any], prices: Prices | None = None) -> ClaudeProgress:
    """What these lines come to."""
    progress = ClaudeProgress(prices)
    for event in events:
        progress.take(json.dumps(event).encode())
    return progress


def say(text: str, name: str = "m1", **more: Any) -> dict[str, Any]:
    return {
        "type": "assistant",
        "message": {
            "id": name,
            "model": "claude-x",
            "content": [{"type": "text", "text": text}],
            "usage": {
                "input_tokens": 10,
                "cache_creation_input_tokens": 20,
                "cache_read_input_tokens": 30,
                "output_tokens": 1,
            },
        },
        **more,
    }


def use(name: str, **given: Any) -> dict[str, Any]:
    event = say("", name="m2")
    event["message"]["content"] = [{"type": "tool_use", "id": "t", "name": name, "input": given}]
    return event


def result(**more: Any) -> dict[str, Any]:
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": "done",
        "num_turns": 1,
        **more,
    }


class TestVerdict:
    @pytest.mark.parametrize(("name", "cost", "tokens", "turns"), GOOD)
    def test_success(self, tmp_path: Path, name: str, cost: float, tokens: int, turns: int) -> None:
        verdict = judge(name, tmp_path)
        assert (verdict.ok, verdict.reason, verdict.cause) == (True, "", Cause.NONE)
        assert verdict.cost_usd == pytest.approx(cost)
        assert (verdict.tokens, verdict.turns) == (tokens, turns)
        assert re.fullmatch(r"[0-9a-f-]{36}", verdict.session_id)
        assert verdict.summary

    @pytest.mark.parametrize(("name", "cause", "reason"), BAD)
    def test_every_failure_has_its_cause_and_its_own_words(
        self, tmp_path: Path, name: str, cause: Cause, reason: str
    ) -> None:
        verdict = judge(name, tmp_path)
        assert (verdict.ok, verdict.cause) == (False, cause)
        assert reason in verdict.reason
        assert "\n" not in verdict.reason
        wide = {Cause.AUTHENTICATION, Cause.BILLING, Cause.USAGE_LIMIT, Cause.UNAVAILABLE}
        assert verdict.agent_wide is (cause in wide)
        assert verdict.charged is (cause not in {*wide, Cause.SESSION, Cause.MAX_BUDGET})
        gone = {Cause.SESSION, Cause.PROMPT_TOO_LONG, Cause.REFUSAL}
        assert bool(verdict.session_id) is (cause not in gone and name != "unknown_option")

    def test_every_recorded_run_is_judged_above(self) -> None:
        judged = {case[0] for case in (*GOOD, *BAD)}
        assert judged | {"denied", "permission_denials"} == set(NAMES)

    @pytest.mark.parametrize(
        ("name", "limit", "retry_at"),
        [
            ("usage_limit_5h", "5-hour limit", 1_795_180_000),
            ("rate_limit_of_a_key", "rate limit", None),
            ("overloaded", "", None),
        ],
    )
    def test_a_limit_tells_until_when(
        self, tmp_path: Path, name: str, limit: str, retry_at: float | None
    ) -> None:
        verdict = judge(name, tmp_path)
        assert (verdict.limit, verdict.retry_at) == (limit, retry_at)

    @pytest.mark.parametrize(
        ("info", "limit", "retry_at"),
        [
            (
                {"status": "rejected", "resetsAt": 5, "rateLimitType": "seven_day_opus"},
                "weekly Opus limit",
                5,
            ),
            ({"status": "rejected", "resetsAt": 1_795_180_000_000}, "usage limit", 1_795_180_000),
            ({"status": "rejected", "rateLimitType": "some_new_one"}, "some new one", None),
            ({"status": "rejected", "resetsAt": "soon", "rateLimitType": 7}, "usage limit", None),
            ({"status": "rejected", "isUsingOverage": True}, "rate limit", None),
            ({"status": "allowed"}, "rate limit", None),
        ],
    )
    def test_every_kind_of_limit(
        self, tmp_path: Path, info: dict[str, Any], limit: str, retry_at: float | None
    ) -> None:
        ended = result(is_error=True, api_error_status=429)
        progress = play({"type": "rate_limit_event", "rate_limit_info": info}, ended)
        verdict = progress.verdict(Exit(EndReason.EXITED, code=1), tmp_path)
        assert (verdict.cause, verdict.limit, verdict.retry_at) == (Cause.USAGE_LIMIT, limit, retry_at)

    @pytest.mark.parametrize(
        ("name", "tools"), [("denied", "Bash"), ("permission_denials", "Write (2), Bash (3)")]
    )
    def test_what_was_denied_is_told_although_the_end_was_good(
        self, tmp_path: Path, name: str, tools: str
    ) -> None:
        verdict = judge(name, tmp_path)
        assert (verdict.ok, verdict.cause) == (True, Cause.PERMISSION)
        assert verdict.reason.startswith(f"it was not allowed to use: {tools};")

    def test_an_exit_code_without_an_error_is_a_failure_all_the_same(self, tmp_path: Path) -> None:
        verdict = play(result()).verdict(Exit(EndReason.EXITED, code=3), tmp_path)
        assert (verdict.ok, verdict.reason, verdict.charged) == (False, "exit code 3", True)

    def test_what_was_going_on_after_a_result_counts_more_than_it(self, tmp_path: Path) -> None:
        verdict = play(result(), say("wait, there is more")).verdict(OK, tmp_path)
        assert (verdict.ok, verdict.cause) == (False, Cause.UNFINISHED)

    def test_one_that_had_to_be_ended_after_its_result_is_judged_by_it(self, tmp_path: Path) -> None:
        lingered = Exit(EndReason.LINGERED, code=143)
        assert play(result()).verdict(lingered, tmp_path).ok
        assert play(result(is_error=True)).verdict(lingered, tmp_path).cause is Cause.OTHER

    @pytest.mark.parametrize(
        "reason", [EndReason.TIMEOUT, EndReason.MEMORY, EndReason.STOPPED, EndReason.LOST]
    )
    def test_who_ended_it_counts_more_than_what_it_said(self, tmp_path: Path, reason: EndReason) -> None:
        verdict = play(say("hi"), result()).verdict(Exit(reason), tmp_path)
        assert not verdict.ok
        assert verdict.charged is (reason is not EndReason.STOPPED)
        assert verdict.tail == "hi"

    def test_an_error_that_says_nothing_still_has_a_reason(self, tmp_path: Path) -> None:
        odd = {"type": "result", "is_error": "yes"}
        verdict = play(odd).verdict(Exit(EndReason.EXITED, code=1), tmp_path)
        assert (verdict.ok, verdict.cause, verdict.reason) == (False, Cause.OTHER, "it ended with an error")

    @pytest.mark.parametrize(
        ("more", "cause"),
        [
            ({"api_error_status": 503}, Cause.UNAVAILABLE),
            ({"api_error_type": "overloaded_error"}, Cause.UNAVAILABLE),
            ({"api_error_status": 401}, Cause.AUTHENTICATION),
            ({"api_error": "usage_limit_reached"}, Cause.USAGE_LIMIT),
        ],
    )
    def test_the_cause_is_found_in_whatever_is_told(
        self, tmp_path: Path, more: dict[str, Any], cause: Cause
    ) -> None:
        verdict = play(result(is_error=True, **more)).verdict(Exit(EndReason.EXITED, code=1), tmp_path)
        assert verdict.cause is cause

    def test_what_is_said_is_clean_and_short(self, tmp_path: Path) -> None:
        secret = "ghp_0123456789012345678901234567890123456"
        text = "x" * 9000 + f" \x1b[31m{secret}\x1b[0m the end"
        verdict = play(say(text), result(is_error=True, result=text * 2)).verdict(OK, tmp_path)
        for told in (verdict.summary, verdict.reason, verdict.tail):
            assert secret not in told
            assert "\x1b" not in told
            assert len(told) <= 2000
        assert verdict.summary.endswith("the end")

    def test_asking_twice_counts_nothing_twice(self, tmp_path: Path) -> None:
        recorded = transcript("success")
        folder = recorded.write(tmp_path, recorded.stdout.rstrip())
        logs = Logs(lambda _: ClaudeProgress())
        assert logs.verdict(folder, recorded.exit) == logs.verdict(folder, recorded.exit)
        assert logs.verdict(folder, recorded.exit) == judge("success", tmp_path / "whole")


class TestCost:
    def test_an_estimate_gives_way_to_the_price(self) -> None:
        prices = Prices()
        usage = {"inputTokens": 1000, "outputTokens": 100, "costUSD": 0.003}
        play(result(model_usage_since_last_result={"claude-x": usage}), prices=prices)
        progress = play(say("four characters a token", name="a"), prices=prices)
        running = progress.activity()
        weighted = 10 + 1.25 * 20 + 0.1 * 30 + 5 * len("four characters a token") / 4
        assert running.cost_usd == pytest.approx(0.003 / 1500 * weighted)
        assert running.tokens == 60 + len("four characters a token") // 4
        used = {"claude-x": {"inputTokens": 5, "outputTokens": 6, "costUSD": 0.5}}
        progress.take(json.dumps(result(model_usage_since_last_result=used)).encode())
        assert (progress.activity().cost_usd, progress.activity().tokens) == (0.5, 11)

    def test_a_message_counts_once_however_many_lines_it_has(self) -> None:
        assert play(say("abcd", "m"), say("efgh", "m"), say("ijkl", "n")).activity().tokens == 2 * 60 + 3

    def test_a_model_without_a_known_price_costs_as_much_as_the_dearest(self) -> None:
        prices = Prices()
        prices.learn("cheap", {"inputTokens": 10, "costUSD": 1})
        prices.learn("dear", {"inputTokens": 10, "costUSD": 2})
        prices.learn("free", {"inputTokens": 10, "costUSD": 0})
        assert (prices.estimate("cheap", 1), prices.estimate("other", 1)) == (0.1, 0.2)
        assert Prices().estimate("any", 1) == 0

    def test_an_agent_that_has_just_started_knows_the_prices_of_earlier_runs(self, tmp_path: Path) -> None:
        settings = AgentSettings(kind=AgentKind.CLAUDE)
        runs = tmp_path / "runs"
        recorded = transcript("commit")
        earlier = recorded.write(runs / "t-1" / "1")
        running = recorded.write(runs / "t-2" / "1", b"\n".join(recorded.lines[:4]))
        activity = ClaudeAgent("claude", settings, {}, root=tmp_path).activity(running)
        shutil.rmtree(earlier)
        assert activity.cost_usd == pytest.approx(0.0055, abs=0.0005)
        assert ClaudeAgent("claude", settings, {}, root=tmp_path).activity(running).cost_usd == 0

    def test_where_only_the_sum_is_told_the_difference_counts(self) -> None:
        first, second = result(total_cost_usd=0.5), result(total_cost_usd=0.75)
        assert play(first, second).activity().cost_usd == 0.75


class TestActivity:
    @pytest.mark.parametrize(
        ("events", "text"),
        [
            ([], ""),
            ([say("I look\n at  the tests.")], "I look at the tests."),
            ([use("Bash", command="make test", description="d")], "Bash: make test"),
            ([use("Read", file_path="a.py")], "Read: a.py"),
            ([use("Odd", files=[1])], "Odd"),
            ([use("", command="x")], "a tool: x"),
            ([use("Write", file_path="a.py", content="x" * 100_000)], "Write"),
            ([use("Bash", command="x" * 300)], "Bash: " + "x" * 193 + "…"),
            (
                [
                    {
                        "type": "system",
                        "subtype": "api_retry",
                        "attempt": 2,
                        "max_retries": 6,
                        "error_status": 529,
                    }
                ],
                "the API does not answer (529), try 2 of 6",
            ),
            (
                [
                    {
                        "type": "system",
                        "subtype": "api_retry",
                        "attempt": 1,
                        "max_retries": 6,
                        "error": "overloaded",
                    }
                ],
                "the API does not answer (overloaded), try 1 of 6",
            ),
            ([{"type": "system", "subtype": "api_retry", "attempt": 1}, say("back")], "back"),
            (
                [
                    {
                        "type": "rate_limit_event",
                        "rate_limit_info": {"status": "rejected", "rateLimitType": "five_hour"},
                    }
                ],
                "has reached its 5-hour limit",
            ),
        ],
    )
    def test_it_is_one_line(self, events: Sequence[dict[str, Any]], text: str) -> None:
        assert play(*events).activity().text == text

    def test_a_limit_is_over_when_there_is_an_answer(self) -> None:
        info = {"status": "rejected", "rateLimitType": "five_hour"}
        activity = play({"type": "rate_limit_event", "rate_limit_info": info}, say("on we go")).activity()
        assert (activity.limit, activity.text) == ("", "on we go")

    def test_retries_are_counted_until_there_is_an_answer(self) -> None:
        retry = {"type": "system", "subtype": "api_retry", "attempt": 3}
        assert play(retry).activity().retries == 3
        assert play(retry, {"type": "user"}).activity().retries == 0

    def test_it_is_done_with_its_result_and_not_any_more_when_it_goes_on(self) -> None:
        assert play(result()).activity().done
        for event in (say("x"), {"type": "user"}, {"type": "system", "subtype": "init", "session_id": "s"}):
            assert not play(result(), event).activity().done
        task = {"type": "system", "subtype": "task_started"}
        assert not play(result(), task).activity().done

    def test_what_a_subagent_says_is_not_the_summary(self, tmp_path: Path) -> None:
        sub = say("I am only a part", "m9", parent_tool_use_id="toolu_1")
        progress = play(say("I am the whole"), sub)
        assert progress.activity().text == "I am only a part"
        assert progress.verdict(OK, tmp_path).summary == "I am the whole"


class TestAnyStream:
    @pytest.mark.parametrize("name", NAMES)
    def test_a_stream_may_stop_at_any_byte(self, name: str, tmp_path: Path) -> None:
        recorded = transcript(name)
        progress = ClaudeProgress()
        for cut in {*range(0, len(recorded.stdout), 97), *map(len, recorded.lines)}:
            progress = ClaudeProgress()
            for line in recorded.stdout[:cut].split(b"\n"):
                progress.take(line)
            assert isinstance(progress.activity(), Activity)
            verdict = progress.verdict(recorded.exit, tmp_path)
            if cut < len(recorded.stdout) - 1:
                assert not verdict.ok or b'"type":"result"' in recorded.stdout[:cut].replace(b": ", b":")

    @given(
        name=st.sampled_from(NAMES),
        data=st.data(),
        noise=st.lists(
            st.one_of(
                st.binary(max_size=60),
                st.recursive(
                    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                    lambda inner: (
                        st.lists(inner, max_size=3)
                        | st.dictionaries(
                            st.sampled_from(
                                ["type", "subtype", "message", "usage", "content", "error", "id", "input"]
                            ),
                            inner,
                            max_size=4,
                        )
                    ),
                    max_leaves=8,
                ).map(lambda value: json.dumps(value).encode()),
            ),
            max_size=6,
        ),
    )
    def test_whatever_else_stands_in_it_is_let_pass(
        self, tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject, noise: list[bytes]
    ) -> None:
        recorded = transcript(name)
        lines = recorded.lines
        for line in noise:
            lines.insert(data.draw(st.integers(0, len(lines))), line)
        folder = recorded.write(tmp_path_factory.mktemp("run"), b"\n".join(lines))
        logs = Logs(lambda _: ClaudeProgress())
        assert isinstance(logs.activity(folder), Activity)
        assert isinstance(logs.verdict(folder, recorded.exit), Verdict)

    @given(
        kind=st.sampled_from(
            ["assistant", "user", "system", "result", "rate_limit_event", "new_event", None, 7]
        ),
        fields=st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "subtype",
                        "message",
                        "error",
                        "is_error",
                        "result",
                        "errors",
                        "total_cost_usd",
                        "num_turns",
                    ),
                    *("model_usage_since_last_result", "rate_limit_info", "api_error_params", "attempt"),
                    *("session_id", "api_error_status", "parent_tool_use_id", "stop_reason", "tool_name"),
                ]
            ),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(
                            ["content", "usage", "id", "model", "input_tokens", "type", "text", "claude-x"]
                        ),
                        inner,
                        max_size=4,
                    )
                ),
                max_leaves=10,
            ),
            max_size=6,
        ),
    )
    def test_a_field_of_an_unexpected_type_counts_as_not_there(
        self, tmp_path_factory: pytest.TempPathFactory, kind: object, fields: dict[str, Any]
    ) -> None:
        progress = play(say("first"), {"type": kind, **fields}, result())
        assert progress.activity().done
        verdict = progress.verdict(OK, tmp_path_factory.getbasetemp())
        assert verdict.ok
        assert verdict.cost_usd >= 0
        assert verdict.tokens >= 0

    def test_what_is_as_expected_beside_it_is_taken(self) -> None:
        event = use("Bash", command="ls")
        event["message"]["usage"]["input_tokens"] = "many"
        event["message"]["content"].append({"type": 7, "text": ["x"]})
        event["parent_tool_use_id"] = 0
        activity = play(event).activity()
        assert (activity.text, activity.turns, activity.tokens) == ("Bash", 1, 50)

    def test_nesting_without_end_is_let_pass(self) -> None:
        progress = ClaudeProgress()
        progress.take(b'{"type":"assistant","message":' + b"[" * 100_000)
        progress.take(b'{"type":"result","errors":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
        assert progress.activity() == Activity()


class TestLogs:
    def test_only_what_is_new_is_read(self, tmp_path: Path) -> None:
        logs = Logs(lambda _: ClaudeProgress())
        path = tmp_path / "stdout.jsonl"
        assert logs.activity(tmp_path) == Activity()
        path.write_text(json.dumps(say("one", "a")) + "\n")
        assert logs.activity(tmp_path).text == "one"
        # Overwritten in place, and as long as before: it cannot be noticed, so nothing is read again.
        path.write_bytes(b"x" * path.stat().st_size)
        assert logs.activity(tmp_path).text == "one"
        with path.open("a") as file:
            file.write(json.dumps(say("two", "b")) + "\n")
        assert logs.activity(tmp_path).text == "two"

    def test_what_the_verdict_has_read_is_in_the_activity(self, tmp_path: Path) -> None:
        logs = Logs(lambda _: ClaudeProgress())
        path = tmp_path / "stdout.jsonl"
        path.write_text(json.dumps(say("one", "a")) + "\n")
        assert not logs.activity(tmp_path).done
        with path.open("a") as file:
            file.write(json.dumps(say("two", "b")) + "\n" + json.dumps(result()))
        assert logs.verdict(tmp_path, OK).ok
        assert logs.activity(tmp_path).done
        assert logs.activity(tmp_path).text == "two"

    def test_another_file_begins_anew(self, tmp_path: Path) -> None:
        logs = Logs(lambda _: ClaudeProgress())
        path = tmp_path / "stdout.jsonl"
        path.write_text("".join(json.dumps(say("x", name)) + "\n" for name in "abcdef"))
        assert logs.activity(tmp_path).turns == 6
        line = json.dumps(say("y", "g")) + "\n"
        path.write_text(line[:9])
        assert logs.activity(tmp_path).turns == 0
        with path.open("a") as file:
            file.write(line[9:])
        assert logs.activity(tmp_path).turns == 1

    def test_the_runs_that_are_remembered_are_few(self, tmp_path: Path) -> None:
        made = []

        def make(_: Path) -> ClaudeProgress:
            made.append(1)
            return ClaudeProgress()

        logs = Logs(make)
        for number in range(KEPT + 1):
            logs.activity(tmp_path / str(number))
        logs.activity(tmp_path / str(KEPT))
        assert len(made) == KEPT + 1
        logs.activity(tmp_path / "0")
        assert len(made) == KEPT + 2

    def test_memory_does_not_grow_with_the_log(self, tmp_path: Path) -> None:
        line = json.dumps(say("x" * 2000)).encode() + b"\n"
        path = tmp_path / "stdout.jsonl"
        path.write_bytes(line * 10_000)
        logs = Logs(lambda _: ClaudeProgress())
        tracemalloc.start()
        try:
            logs.activity(tmp_path)
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert path.stat().st_size > 20_000_000
        assert peak < 3_000_000
        assert kept < 200_000
