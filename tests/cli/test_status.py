import pytest

from orch.cli.status import rest_after


@pytest.mark.parametrize(("took", "rest"), [(0.0, 1.0), (0.1, 1.0), (0.3, 2.7), (2.0, 18.0)])
def test_watching_takes_at_most_a_tenth_of_a_processor(took: float, rest: float) -> None:
    assert rest_after(took) == pytest.approx(rest)
