"""Foreign text that does nothing to a terminal but being shown."""

import re

_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")
PASSED = "\n\t\u200c\u200d"
"""What is not printable and yet harmless: line ends, tabs, and the joiners of words and emoji."""


def defuse(text: str) -> str:
    """Text with its control characters made visible, all but line ends, tabs and colours."""
    parts = _COLOUR.split(text)
    # Every second part is a colour sequence. One that is cut in two by the end of a piece is shown.
    return "".join(part if place % 2 else show_controls(part) for place, part in enumerate(parts))


def show_controls(text: str) -> str:
    """Text with its control characters made visible, all but line ends and tabs."""
    if text.isprintable():
        return text
    return "".join(char if char in PASSED or char.isprintable() else _picture(char) for char in text)


def _picture(char: str) -> str:
    """A symbol for a control character (Unicode's Control Pictures), else its escape."""
    code = ord(char)
    if code == 0x0D:
        return ""  # A progress bar's return: what is above it stays.
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"\\u{code:04x}"
