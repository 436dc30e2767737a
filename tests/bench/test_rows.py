import pytest

from bench.rows import Reach, Row, digits, percentile, table

VALUES = (10.0, 20.0, 30.0)


@pytest.mark.parametrize(
    ("reach", "told", "reached"),
    [
        (Reach(2, "times"), "p50: 2.00 x floor", True),
        (Reach(1.9, "times"), "p50: 2.00 x floor", False),
        (Reach(10, "plus"), "p50: floor +10.0 ms", True),
        (Reach(18, "plus", at=95), "p95: floor +19.0 ms", False),
        (Reach(20), "p50: 20.0 ms", True),
    ],
)
def test_a_figure_is_compared_with_its_floor(reach: Reach, told: str, reached: bool) -> None:
    row = Row("it", "ms", VALUES, reach, floor=(10.0, 10.0))
    assert (row.describe()["figure"], row.describe()["reached"]) == (told, reached)


def test_percentiles_lie_between_samples() -> None:
    assert percentile((1.0, 2.0), 50) == 1.5
    assert percentile((0.0, 10.0), 95) == 9.5
    assert percentile((7.0,), 95) == 7.0


def test_digits_are_three() -> None:
    assert [digits(value) for value in (0, 0.0345, 1.0, 12.0, 123.0)] == [0, 4, 2, 1, 0]


def test_a_table_says_what_was_missed() -> None:
    rows = [
        Row("one", "ms", VALUES, Reach(1)).describe(),
        Row("two", "ms", VALUES, None, (1.0,), "by hand").describe(),
    ]
    lines = table(rows).splitlines()
    assert len(lines) == 4
    assert "**missed**" in lines[2]
    assert "two (by hand)" in lines[3]
