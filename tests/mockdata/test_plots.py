"""The plots of the documents can be drawn, and the same data gives the same files."""

from __future__ import annotations

import struct
from pathlib import Path

from scripts import mock_data_plots


def test_plots_are_drawn_the_same_each_time(tmp_path: Path) -> None:
    year, week = (
        mock_data_plots.facts(mock_data_plots.YEAR, 365, 5000),
        mock_data_plots.facts(mock_data_plots.WEEK, 7, 5000),
    )
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
        mock_data_plots.draw(folder, year, week)
    files = sorted(folders[0].iterdir())
    assert [file.name for file in files] == [
        file.name for file in sorted(mock_data_plots.IMAGES.glob("mock-data-*.png"))
    ]
    for file in files:
        content = file.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert 600 < width < 1300
        assert 400 < height < 700
        assert content == (folders[1] / file.name).read_bytes()
