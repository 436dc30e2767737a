"""The reference of the configuration is the one that settings.py means."""

from tests.docs.reference import FILE, render


def test_the_reference_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "run tools/docs"
