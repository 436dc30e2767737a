"""What GitHub's refusals mean: what passes by itself, what a person has to do, and what is final."""

from typing import Any

import msgspec

from orch.adapters.tails import clean
from orch.errors import OrchError, PermanentError, TransientError

PERSON_SECONDS = 300.0
"""When to try again what a person has to mend: a token, a right. The work waits; it is not failed."""

_SHOWN_LENGTH = 300
_FINAL = ("is locked", "was archived")
"""What GitHub says with 403 of things that no right changes."""
_LIMITS = ("rate limit", "abuse detection", "please wait a few minutes")


class MissingError(PermanentError):
    """What was asked for is not there (any more), or the token may not see it."""


class DeniedError(TransientError):
    """The token may not do it. A person can change that while orch runs."""


class RefusedError(PermanentError):
    """GitHub understood the request and does not do it; `said` is its reason."""

    def __init__(self, message: str, *, said: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said


def is_limit(status: int, said: str, headers: dict[str, str]) -> bool:
    """Whether a refusal means that it was too much, and not that it is forbidden."""
    if status == 429:
        return True
    if status != 403:
        return False
    low = said.lower()
    return (
        any(word in low for word in _LIMITS)
        or "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
    )


def is_outage(status: int) -> bool:
    """Whether an answer says that GitHub itself is not well."""
    return status >= 500 or status in {408, 425}


def refusal(what: str, status: int, said: str, headers: dict[str, str]) -> OrchError:
    """The error for an answer that is neither a limit nor an outage. `what` is the request, GET /x."""
    message = f"GitHub refused {what}: {status} {said}".rstrip()
    match status:
        case 401:
            hint = "the token is wrong or has expired: set a new one, or gh auth login; see orch forge check"
            return TransientError(message, hint=hint, retry_after=PERSON_SECONDS)
        case 403 if any(word in said.lower() for word in _FINAL):
            return RefusedError(message, said=said)
        case 403:
            lacking = headers.get("x-accepted-github-permissions") or headers.get("x-accepted-oauth-scopes")
            hint = f"the token needs {clean(lacking)[:_SHOWN_LENGTH]}; " if lacking else ""
            if "x-github-sso" in headers:
                hint = "authorize the token for single sign-on; "
            return DeniedError(
                message, hint=f"{hint}orch forge check tells what is missing", retry_after=PERSON_SECONDS
            )
        case 404 | 410:
            hint = "it is gone, or the token may not see it: orch forge check"
            return MissingError(message, hint=hint)
        case 301 | 302 | 307 | 308:
            hint = "was the repository renamed? set [forge] repository, and git remote set-url origin"
            return TransientError(message, hint=hint, retry_after=PERSON_SECONDS)
        case _:
            return RefusedError(message, said=said)


def sentence(body: str) -> str:
    """GitHub's own words in an error answer, one line; '' where it has none, as a page for people."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    words = [_text(found.get("message"))]
    errors = found.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            parts = (error.get("message"), error.get("field"), error.get("code"))
            words.append(_text(parts[0]) or " ".join(_text(part) for part in parts[1:] if part))
        else:
            words.append(_text(error))
    return one_line(": ".join(word for word in words if word))


def one_line(text: str) -> str:
    """What somebody else wrote, fit for a message."""
    return " ".join(clean(text[: 10 * _SHOWN_LENGTH]).split())[:_SHOWN_LENGTH]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
