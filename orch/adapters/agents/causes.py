"""What follows from a cause, and which cause an agent's own words mean where it has no code for it."""

import re

from orch.core.model import Cause

AGENT_WIDE = frozenset({Cause.AUTHENTICATION, Cause.BILLING, Cause.USAGE_LIMIT, Cause.UNAVAILABLE})
"""What every task of the agent would meet now."""
FREE = AGENT_WIDE | {Cause.SESSION, Cause.MAX_BUDGET}
"""What is not the task's fault, or ends it anyway: it costs no attempt."""
ENDS_CONVERSATION = frozenset({Cause.SESSION, Cause.PROMPT_TOO_LONG, Cause.REFUSAL})
"""Going on with the conversation would only meet it again."""

_WORDS = {
    cause: re.compile("|".join(words), re.IGNORECASE)
    for cause, words in {
        # In this order: the words of the later ones stand in the texts of the earlier ones too.
        Cause.SESSION: (
            r"no (?:rollout|conversation|previous sessions?) found",
            r"error resuming session|invalid session identifier|session id\b.*already",
        ),
        Cause.BILLING: (r"\b402\b|billing|credit balance|payment required|insufficient_quota",),
        Cause.USAGE_LIMIT: (r"\b429\b|usage limit|rate.?limit|quota|resource.?exhausted|too many requests",),
        Cause.PROMPT_TOO_LONG: (
            r"context (?:window|length)|prompt is too long|maximum context|too many tokens",
        ),
        Cause.AUTHENTICATION: (
            r"\b40[13]\b|unauthori[sz]ed|unauthenticated|permission_denied|not logged in",
            r"auth(?:entication)? method|api key|access token|sign in again",
        ),
        Cause.MODEL: (r"model\b.{0,80}\b(?:not (?:found|exist|supported)|does not exist|no access)",),
        Cause.REFUSAL: (r"\brefus(?:al|ed to)\b|safety|content policy|usage policy",),
        Cause.UNAVAILABLE: (
            r"\b5\d\d\b|overloaded|unavailable|at capacity|timed? ?out",
            r"stream disconnected|connection|network",
        ),
    }.items()
}

_SPAN = re.compile(r"(\d+)\s*(day|hour|minute|second|d|h|m|s)(?:s|\b)", re.IGNORECASE)
_AGAIN = re.compile(r"(?:try again|retry|resets?) in\s+((?:\d+\s*[a-z]+[\s,]*)+)", re.IGNORECASE)
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
LONGEST_SPAN = 31 * 86_400
"""Seconds: no usage limit lasts longer than its month."""


def guess(message: str) -> Cause:
    """The cause that a message means, OTHER where it says nothing known."""
    return next((cause for cause, words in _WORDS.items() if words.search(message[:4_000])), Cause.OTHER)


def find_span(message: str) -> float | None:
    """Seconds until it is worth a try again, as a message says it: `try again in 3 days 2 hours`."""
    found = _AGAIN.search(message[:4_000])
    parts = _SPAN.findall(found[1]) if found else []
    seconds = sum(min(int(number), LONGEST_SPAN) * _SECONDS[unit[0].lower()] for number, unit in parts)
    return min(seconds, LONGEST_SPAN) if parts else None
