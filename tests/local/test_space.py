"""Nothing is begun on a disk that is nearly full."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local import cli, space
from local.errors import LocalError
from local.layout import Layout
from local.platform import Platform


def test_a_full_disk_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enough = shutil.disk_usage(tmp_path).free // 1_000_000 + 1_000
    monkeypatch.setattr(space, "NEEDED_MB", enough)
    platform = Platform(Layout(tmp_path / "not" / "yet"))

    with pytest.raises(LocalError, match=rf"^The disk is full: \d+ MB are free in {tmp_path}, .* needs {enough} MB\."):
        platform.up()

    assert list(tmp_path.iterdir()) == []


def test_each_disk_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert space.shortages([tmp_path, tmp_path / "new"]) == []
    monkeypatch.setattr(space, "NEEDED_MB", 10**9)
    platform = Platform(Layout(tmp_path / "state"))
    platform.state.postgres_home = str(tmp_path / "elsewhere")

    assert len(space.shortages(platform.data_directories())) == 2
    platform.state.postgres_home = str(tmp_path / "state" / "postgres")
    assert len(space.shortages(platform.data_directories())) == 1


def test_status_says_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(space, "NEEDED_MB", 10**9)

    assert cli.status(Platform(Layout(tmp_path))) == 1

    assert "The disk is full: " in capsys.readouterr().out
