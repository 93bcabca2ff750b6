"""docs/mock-data.md says what the dials and the profiles say."""

from __future__ import annotations

from marketplace.mockdata.dials import DIALS
from scripts import mock_data_dials

CURRENT = mock_data_dials.PAGE.read_text(encoding="utf-8")


def test_the_dials_are_described_as_they_are() -> None:
    assert mock_data_dials.page(CURRENT) == CURRENT, "docs/mock-data.md is stale: make docs"


def test_every_dial_is_there() -> None:
    assert [dial for dial in DIALS if f"| `{dial}` |" not in mock_data_dials.table()] == []
