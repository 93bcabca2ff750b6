"""What the tasks of generate_mock_data refuse, and which tables they announce."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from marketplace import assets, connections
from marketplace.mockdata import live, tasks
from marketplace.mockdata.interval import OPENING

END = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)


def in_run(monkeypatch: pytest.MonkeyPatch, end: datetime, try_number: int = 1) -> None:
    """Have the tasks find themselves in a run of the quarter of an hour before `end`."""
    run = SimpleNamespace(data_interval_start=end - timedelta(minutes=15), data_interval_end=end)
    context = {"dag_run": run, "ti": SimpleNamespace(try_number=try_number)}
    monkeypatch.setattr(tasks, "get_current_context", lambda: context)


@pytest.mark.parametrize(
    ("end", "params", "message"),
    [
        (END, {"profile": "tidy"}, "There is no profile 'tidy'; there are clean, normal, terrible"),
        (END, {"dials": {"paddin": 1}}, "there is no dial 'paddin'; did you mean 'padding'?"),
        (END, {"dials": {"padding": 2}}, "dial 'padding' is 2; it must be a number from 0 to 1"),
        (OPENING, {"days_back": 1}, "The marketplace opened on 2016-01-01: there is no data for 20151231T0000-1440."),
    ],
    ids=["no profile", "no dial", "out of range", "too early"],
)
def test_what_cannot_be_made_is_refused_in_words(
    end: datetime, params: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_run(monkeypatch, end)
    with pytest.raises(AirflowFailException, match=re.escape(message)):
        tasks.choose_intervals({"profile": "normal", "dials": {}, "days_back": 0} | params)


class Events:
    """Keeps what a task adds to its outlet."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, asset: Any) -> None:
        self.names.append(asset.name)


@pytest.mark.parametrize(
    ("try_number", "announced"),
    [(1, ["store.wishlist"]), (2, list(live.WRITTEN))],
    ids=["first try", "a try before may have ended after its commit"],
)
def test_what_a_try_before_has_changed_is_announced(
    try_number: int, announced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_run(monkeypatch, END, try_number)
    monkeypatch.setattr(connections, "store", lambda *_: None)
    monkeypatch.setattr(live, "change", lambda *_: live.Changes(*[0] * 6, wishes=3, late_customers=0, late_lines=0))
    outlets: defaultdict[Any, Events] = defaultdict(Events)
    counts = tasks.change_store({"seed": 7, "days_back": 0}, outlets, timedelta(minutes=15))
    assert outlets[assets.CHANGED].names == announced
    assert counts["wishes"] == 3
