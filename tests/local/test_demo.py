"""How `make demo` waits for its files, and has mock data made; the DAG is paused afterwards as before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from local import demo
from local.errors import LocalError


class Airflow:
    """An API that starts runs as Airflow does: one that is due as soon as the DAG is not paused."""

    url = "http://127.0.0.1:1"

    def __init__(self, *, paused: bool, due_in: timedelta, ends: tuple[str, ...] = ("success",)) -> None:
        self.paused = paused
        self.done: list[str] = []
        self._due_at = datetime.now(UTC) + due_in
        self._ends = ends
        self._runs = [{"dag_run_id": "before", "state": "failed"}]

    def dag(self, _dag_id: str) -> dict[str, Any]:
        return {"is_paused": self.paused, "next_dagrun_run_after": self._due_at.isoformat().replace("+00:00", "Z")}

    def runs(self, _dag_id: str) -> list[dict[str, Any]]:
        for run in self._runs[1:]:
            run["state"] = {"queued": "running", "running": self._ends[0]}.get(run["state"], run["state"])
        return [dict(run) for run in self._runs[::-1]]

    def unpause(self, _dag_id: str) -> None:
        self.done.append("unpause")
        self.paused = False
        if self._due_at <= datetime.now(UTC):
            self._runs.append({"dag_run_id": "scheduled", "state": "queued"})

    def trigger(self, _dag_id: str, params: dict[str, Any]) -> None:
        self.done.append(f"trigger {params['days_back']} days")
        self._runs.append({"dag_run_id": "manual", "state": "queued"})

    def pause(self, _dag_id: str) -> None:
        self.done.append("pause")

    def task_states(self, _dag_id: str, run_id: str, _task_id: str) -> list[str | None]:
        return ["success", "running", None] if run_id == "manual" else []

    def failed_tasks(self, _dag_id: str, run_id: str) -> list[str]:
        return [f"put_files of {run_id}"]

    def run_page(self, dag_id: str, run_id: str) -> str:
        return f"{self.url}/{dag_id}/{run_id}"


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def make(api: Airflow, say: Callable[[str], None] = lambda _text: None) -> list[str]:
    platform: Any = SimpleNamespace(api=api, require_running=lambda: None)
    return [run["dag_run_id"] for run in demo.make_data(platform, say)]


DUE, NOT_DUE = timedelta(minutes=-5), timedelta(minutes=5)


@pytest.mark.parametrize(
    ("paused", "due_in", "runs", "done"),
    [
        (True, DUE, ["manual", "scheduled"], ["unpause", "trigger 7 days", "pause"]),
        (True, NOT_DUE, ["manual"], ["unpause", "trigger 7 days", "pause"]),
        (False, NOT_DUE, ["manual"], ["trigger 7 days"]),
    ],
    ids=["paused, a run is due", "paused, none is due", "not paused"],
)
def test_a_week_is_made_and_what_is_due_is_waited_for(
    paused: bool, due_in: timedelta, runs: list[str], done: list[str]
) -> None:
    api = Airflow(paused=paused, due_in=due_in)
    said: list[str] = []
    assert (make(api, said.append), api.done) == (runs, done)
    put = {"manual": ": 1 of 3 intervals put"}
    assert said == [
        *(f"running   generate_mock_data {run}{put.get(run, '')}" for run in runs),
        *(f"success   generate_mock_data {run}" for run in runs),
    ]


def test_a_run_that_fails_is_named_and_the_dag_is_paused_again() -> None:
    api = Airflow(paused=True, due_in=NOT_DUE, ends=("failed",))
    message = "generate_mock_data failed in put_files of manual: http://127.0.0.1:1/generate_mock_data/manual"
    with pytest.raises(LocalError, match=f"^{message}$"):
        make(api)
    assert api.done == ["unpause", "trigger 7 days", "pause"]


def test_a_run_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "LOAD_SECONDS", -1)
    api = Airflow(paused=True, due_in=NOT_DUE, ends=("running",))
    with pytest.raises(
        LocalError, match=r"^generate_mock_data has not ended after -1 s: http://127.0.0.1:1/gen.*/manual$"
    ):
        make(api)
    assert api.done[-1] == "pause"


def watch(ledger: list[dict[str, str]], states: dict[str, str]) -> list[str]:
    """Watch two files through what the ledger and the runs say; each item of `ledger` is the status and run of both."""
    answers = iter(ledger)

    class Ledger:
        def rows(self, _query: str, versions: list[str]) -> list[dict[str, Any]]:
            found = next(answers)
            return [
                {"version_id": one, "object_key": one, "status": found[one].split()[0], "reason": None,
                 "claimed_by": found[one].partition(" ")[2] or None, "read": 1, "accepted": 1, "rejected": 0,
                 "held": 0}
                for one in versions if one in found
            ]  # fmt: skip

    api = SimpleNamespace(
        run=lambda _dag, run: {"state": states[run]},
        run_page=lambda _dag, run: run,
        dags=lambda: {"ingest_files": False},
    )
    platform: Any = SimpleNamespace(api=api, require_running=lambda: None)
    files = [demo.upload.Uploaded("game", name, name) for name in ("a", "b")]
    return [file["status"] for file in demo.watch_files(platform, cast("Any", Ledger()), files, lambda _text: None)]


def test_a_file_that_no_run_has_noticed_yet_is_waited_for() -> None:
    ledger = [{"a": "claimed run-1"}, {"a": "done run-1"}, {"a": "done run-1", "b": "claimed run-2"},
              {"a": "done run-1", "b": "rejected run-2"}]  # fmt: skip
    assert watch(ledger, {"run-1": "running", "run-2": "running"}) == ["done", "rejected"]


def test_a_file_that_ends_with_its_run_is_no_fault() -> None:
    ledger = [
        {"a": "done run-1", "b": "claimed run-1"},
        {"a": "done run-1", "b": "done run-1"},
        {"a": "done run-1", "b": "done run-1"},
    ]
    assert watch(ledger, {"run-1": "success"}) == ["done", "done"]


def test_a_file_whose_run_has_ended_without_it_is_named() -> None:
    ledger = [{"a": "done run-1", "b": "claimed run-1"}] * 2
    with pytest.raises(
        LocalError, match=r"^These files have not been loaded:\n    b: claimed and not finished\n +run-1$"
    ):
        watch(ledger, {"run-1": "failed"})


class FailedTasks:
    """An API that knows only which tasks of a run failed."""

    def task_states(self, _dag_id: str, run_id: str, _task_id: str) -> list[str | None]:
        return ["success", "running", None] if run_id == "manual" else []

    def failed_tasks(self, _dag_id: str, run_id: str) -> list[str]:
        return {"share": ["check_rejected_share"], "both": ["file.load", "check_rejected_share"]}[run_id]


def test_a_run_that_is_red_for_what_was_rejected_is_no_fault() -> None:
    api: Any = FailedTasks()
    states = {"share": "failed", "both": "failed", "x": "success"}
    runs = [{"dag_run_id": name, "state": state} for name, state in states.items()]
    assert demo.faults_of([], runs, api) == (["The run both failed in check_rejected_share, file.load"], ["share"])


ACCOUNT = {
    "day": "2026-11-21", "expected": 7, "delivered": 5, "skipped": {"opted_out": 2},
    "rules": {"RULE-1": {"expected": 7, "delivered": 5, "skipped": {"opted_out": 2}}},
}  # fmt: skip


def shown(
    monkeypatch: pytest.MonkeyPatch, account: dict[str, Any], inbox: list[dict[str, str]]
) -> tuple[str, list[str]]:
    """What the demo prints of a day's notifications, and its complaints."""
    monkeypatch.setattr(demo, "fullest_inbox", lambda _platform, day: inbox if day == "2026-11-21" else [])
    api = SimpleNamespace(result=lambda dag, _run, task: {("notify_customers", "account"): account}[dag, task])
    ledger = SimpleNamespace(rows=lambda _query: [{"rule_id": "RULE-1", "due": "weekday saturday"}])
    platform: Any = SimpleNamespace(api=api)
    console = Console(width=120, record=True)
    complaints = demo.show_notifications(platform, cast("demo.Ledger", ledger), "run", console)
    return console.export_text(), complaints


def test_a_days_notifications_are_shown_by_rule_with_an_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    item = {"customer_id": "CUST-1", "item": "2026-11-21#RULE-1", "locale": "en", "subject": "[News]", "body": "a\nb"}
    text, complaints = shown(monkeypatch, ACCOUNT, [item])
    assert complaints == []
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "RULE-1 weekday saturday 7 5 2 opted out" in lines
    assert lines[lines.index("The inbox of CUST-1 of that day") + 1 :] == [
        "[News] (2026-11-21#RULE-1, en)", "a", "b",
    ]  # fmt: skip


def test_notifications_that_do_not_add_up_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    _, complaints = shown(monkeypatch, ACCOUNT | {"delivered": 4}, [])
    assert complaints == ["Of 7 notifications 4 were delivered: {'opted_out': 2}"]
    assert shown(monkeypatch, ACCOUNT | {"rules": {}}, [])[1][0].startswith("No rule was due on 2026-11-21")
