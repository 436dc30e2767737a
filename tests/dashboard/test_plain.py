import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.costs import Cost
from orch.dashboard.plain import encodable, price, printable, span


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("日本語 ✅", "日本語 ✅"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]52;c;clipboard\x1b\\after", "after"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1b]0;never ended", ""),
        ("\x1bcreset", "reset"),
        ("ends with \x1b", "ends with "),
        ("\x9b31mc1", "31mc1"),
        ("a\r\nb\tc\u2028d", "a b c d"),
        ("abc\u202edef", "abcdef"),
        ("zero\x00byte\x07", "zerobyte"),
        ("bad \udcff byte", "bad \ufffd byte"),
        ("family \U0001f468\u200d\U0001f469", "family \U0001f468\u200d\U0001f469"),
    ],
)
def test_foreign_text_becomes_one_harmless_line(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    assert all(char.isprintable() or char in "\u200c\u200d" for char in shown)
    assert printable(shown) == shown
    shown.encode()  # no surrogate is left


def test_surrogates_are_replaced_and_the_rest_stays() -> None:
    assert encodable("a\udcff\x1b\nb") == "a\ufffd\x1b\nb"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m 00s"),
        (754, "12m 34s"),
        (3600, "1h 00m"),
        (90_000, "1d 01h"),
    ],
)
def test_a_span_is_short(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (Cost(), ""),
        (Cost(0.534), "$0.53"),
        (Cost(0.0, 999), "999"),
        (Cost(1.0, 1_234), "$1.00 1.2k"),
        (Cost(1.0, 12_345), "$1.00 12k"),
        (Cost(12.5, 3_400_000), "$12.50 3.4M"),
        (Cost(0.0, 34_000_000), "34M"),
    ],
)
def test_a_price_is_short(cost: Cost, shown: str) -> None:
    assert price(cost) == shown
