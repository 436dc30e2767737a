"""Text that is safe and short enough to show: foreign text made harmless, times made readable."""

import re

from orch.core.costs import Cost

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS and other strings: titles, the clipboard, links
    r"|\x1b[ -/]*[0-~]?",  # every other escape
    re.DOTALL,
)
_SPACE = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_JOINERS = "\u200c\u200d"
"""Format characters that real words and emoji need. All others (bidi overrides, ...) only deceive."""


def printable(text: str) -> str:
    """One line of `text` for a terminal: no control or escape sequence, no hidden direction change."""
    if text.isprintable():
        return text
    flat = _SURROGATE.sub("\ufffd", _SPACE.sub(" ", _ESCAPE.sub("", text)))
    return "".join(char for char in flat if char.isprintable() or char in _JOINERS)


def encodable(text: str) -> str:
    """`text` with every byte that was not UTF-8 (a surrogate) as a replacement character."""
    return _SURROGATE.sub("\ufffd", text)


def price(cost: Cost) -> str:
    """What something costs in at most eleven characters: `$0.53 12k`; '' where it costs nothing."""
    words = [f"${cost.usd:.2f}"] if cost.usd else []
    if cost.tokens:
        words.append(_short(cost.tokens))
    return " ".join(words)


def _short(count: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}" if count < 10 * size else f"{count // size}{unit}"
    return str(count)


def span(seconds: float) -> str:
    """A length of time in at most seven characters: `4s`, `3m 12s`, `2h 05m`, `3d 04h`."""
    whole = max(0, int(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}h"
    if hours:
        return f"{hours}h {minute:02}m"
    return f"{minutes}m {second:02}s" if minutes else f"{second}s"
