"""What follows from a cause, and which cause an agent's own words mean where it has no code for it."""

import re
import time

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
_AGAIN_IN = re.compile(r"(?:try again|retry|resets?) in\s+((?:\d+\s*[a-z]+[\s,]*)+)", re.IGNORECASE)
_AGAIN_AT = re.compile(
    r"(?:try again|resets?) at (?:([A-Z][a-z]{2}) (\d{1,2})(?:st|nd|rd|th)?,? (\d{4}) )?"
    r"(\d{1,2}):(\d\d) ?([AP]M)",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
DAY = 86_400
LONGEST_SPAN = 31 * DAY
"""Seconds: no usage limit lasts longer than its month."""


def guess(message: str) -> Cause:
    """The cause that a message means, OTHER where it says nothing known."""
    return next((cause for cause, words in _WORDS.items() if words.search(message[:4_000])), Cause.OTHER)


def find_retry(message: str, now: float) -> float | None:
    """When it is worth a try again, seconds since the epoch, as a message says it; None where it does not.

    `try again in 3 days 2 hours`, `try again at 3:28 PM`, `try again at Jan 28th, 2030 11:36 AM`. A time of
    day is that of this machine, the next one after `now`.
    """
    message = message[:4_000]
    found = _AGAIN_IN.search(message)
    if parts := _SPAN.findall(found[1]) if found else []:
        seconds = sum(min(int(number), LONGEST_SPAN) * _SECONDS[unit[0].lower()] for number, unit in parts)
        return now + min(seconds, LONGEST_SPAN)
    clock = _AGAIN_AT.search(message)
    return _read_clock(clock, now) if clock else None


def _read_clock(found: re.Match[str], now: float) -> float | None:
    month, day, year, hour, minute, half = found.groups()
    hours = int(hour) % 12 + (12 if half.upper() == "PM" else 0)
    here = time.localtime(now)
    date = (here.tm_year, here.tm_mon, here.tm_mday)
    if month:
        if month.lower() not in _MONTHS:
            return None
        date = (int(year), _MONTHS.index(month.lower()) + 1, int(day))
    try:
        at = time.mktime((*date, hours, int(minute), 0, 0, 0, -1))
    except (OverflowError, ValueError):
        return None
    return at + DAY if not month and at <= now else at
