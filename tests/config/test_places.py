"""The line of a key."""

import tomli
from hypothesis import given
from hypothesis import strategies as st

from orch.config.places import LONGEST_STATEMENT, lines_of

TEXT = '''# [not.this]
top = 1

[retry] # a comment
factor = 2
  max_seconds=3
"quoted" = """
factor = 9
[retry]
"""
list = [
  "[x]",
  # y = 1
]

[agents . mine]
env = { A = "1", "b c" = "2" }
[agents.mine.more]
deep.er = 1
[[many]]
a = 1
[[many]]
a = 2
b = 3'''


def test_the_line_of_each_key() -> None:
    assert lines_of(TEXT) == {
        ("top",): 2,
        ("retry",): 4,
        ("retry", "factor"): 5,
        ("retry", "max_seconds"): 6,
        ("retry", "quoted"): 7,
        ("retry", "list"): 11,
        ("agents",): 16,
        ("agents", "mine"): 16,
        ("agents", "mine", "env"): 17,
        ("agents", "mine", "env", "A"): 17,
        ("agents", "mine", "env", "b c"): 17,
        ("agents", "mine", "more"): 18,
        ("agents", "mine", "more", "deep"): 19,
        ("agents", "mine", "more", "deep", "er"): 19,
        ("many",): 20,
        ("many", "a"): 21,
        ("many", "b"): 24,
    }


def test_windows_line_ends() -> None:
    assert lines_of(TEXT.replace("\n", "\r\n")) == lines_of(TEXT)


def test_a_value_that_is_too_long_is_given_up_and_the_scan_goes_on() -> None:
    text = "a = [\n" + "1,\n" * (LONGEST_STATEMENT + 10) + "]\nb = 1"
    assert lines_of(text) == {("b",): LONGEST_STATEMENT + 13}


KEYS = st.text("abc_-", min_size=1, max_size=3)
TABLES = st.dictionaries(
    KEYS, st.dictionaries(KEYS, st.sampled_from(["1", "[\n1,\n2]", '"""\nx\n"""']), max_size=3)
)


@given(TABLES, st.booleans())
def test_every_key_is_found_where_it_stands(tables: dict[str, dict[str, str]], spaced: bool) -> None:
    lines: list[str] = []
    wanted: dict[tuple[str, ...], int] = {}
    for table, keys in tables.items():
        wanted[table,] = len(lines) + 1
        lines.append(f"[{table}]")
        for key, value in keys.items():
            wanted[table, key] = len(lines) + 1
            lines += f"{key} = {value}".split("\n")
            lines += [""] * spaced
    text = "\n".join(lines)
    assert set(tomli.loads(text)) == set(tables)
    assert lines_of(text) == wanted
