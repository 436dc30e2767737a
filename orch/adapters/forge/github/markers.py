"""The marks by which orch knows its own writing again: HTML comments, which GitHub does not show.

A mark counts only in what orch's own account wrote: anybody else could write one too.
"""

import hashlib
import re

LONGEST = 65_000
"""Characters that GitHub takes for a text, with some to spare."""

_ANY = re.compile(r"<!-- orch:[^>]*-->")
_PULL = re.compile(r"(?:\n\n)?<!-- orch:pull (?P<stage>new|done) (?P<hash>[0-9a-f]{16}) -->\s*\Z")
_STATUS = "<!-- orch:status -->"


def is_ours(text: str) -> bool:
    """Whether a text bears any mark."""
    return _ANY.search(text) is not None


def plain(text: str) -> str:
    """A text of somebody else's that is to be written by orch: marks in it are none any more."""
    return text.replace("<!-- orch:", "<!-- (orch):")


def shorten(text: str) -> str:
    """At most as much as GitHub takes."""
    return text if len(text) <= LONGEST else text[:LONGEST] + "\n\n... (shortened)\n"


# --- the comment on an issue ------------------------------------------------------------------------------


def status(text: str) -> str:
    """The one comment on an issue."""
    return f"{shorten(plain(text)).rstrip()}\n\n{_STATUS}"


def is_status(text: str) -> bool:
    """Whether a comment is that one."""
    return _STATUS in text


# --- answers ----------------------------------------------------------------------------------------------


def reply(text: str, remark: str, key: str) -> str:
    """An answer to a remark."""
    return f"{shorten(plain(text)).rstrip()}\n\n<!-- orch:reply {_word(remark)} {_hash(key)} -->"


def is_reply(text: str, remark: str, key: str) -> bool:
    """Whether a comment is that answer."""
    return f"<!-- orch:reply {_word(remark)} {_hash(key)} -->" in text


def answered(text: str) -> frozenset[str]:
    """The remarks that a comment answers."""
    return frozenset(re.findall(r"<!-- orch:reply (\S+) [0-9a-f]{16} -->", text))


# --- pull requests ----------------------------------------------------------------------------------------


def pull(title: str, body: str, *, done: bool) -> str:
    """The body of a pull request. `done`: its labels and reviewers are set."""
    text = shorten(plain(body))
    stage = "done" if done else "new"
    return f"{text}\n\n<!-- orch:pull {stage} {_hash(title, text)} -->"


def without(body: str) -> str:
    """The body of a pull request as orch was given it."""
    return _PULL.sub("", body.replace("\r\n", "\n"))


def is_pull(body: str) -> bool:
    """Whether orch wrote the body of a pull request."""
    return _PULL.search(body) is not None


def is_done(body: str) -> bool:
    """Whether its labels and reviewers were set."""
    found = _PULL.search(body)
    return found is not None and found["stage"] == "done"


def finish(body: str) -> str:
    """The same body, its labels and reviewers being set now."""
    return body.replace("<!-- orch:pull new ", "<!-- orch:pull done ")


def is_untouched(title: str, body: str) -> bool:
    """Whether title and body are still as orch wrote them: nobody edited them since."""
    found = _PULL.search(body.replace("\r\n", "\n"))
    return found is not None and found["hash"] == _hash(title, without(body))


def _word(text: str) -> str:
    return re.sub(r"[^\w.-]", "_", text)


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:16]
