"""A sync that is struck at any step, by a kill or an error: the next leaves the warehouse as if nothing had been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.sync import dump, faults, workload
from tests.sync.synced import Synced

REPO = Path(__file__).resolve().parents[2]
SEED = 20261121
COMMITTED = "after the commit"
KILLED = -9

each_step = pytest.mark.parametrize("step", faults.STEPS)


@pytest.fixture
def changed(synced: Synced) -> Synced:
    """A store that was synced, and has changed in every way since."""
    url = synced.store_url("store_writer")
    workload.fill(url, SEED, 150)
    synced.sync_and_compare()
    workload.fill(url, SEED + 1, 60)
    assert len(synced.differences()) > 5, "a sync of so little proves nothing"
    return synced


def check_what_was_struck(synced: Synced, before: dump.Tables, step: str) -> None:
    """The warehouse is as it was, or has all of it; and the next syncs make it what it is when nothing happens."""
    now = synced.dump()
    with psycopg.connect(synced.store_url("postgres")) as store:
        whole = dump.store(store)
    assert dump.differences(whole if step == COMMITTED else before, now) == []
    # The world goes on before anybody looks.
    synced.write("delete from store.notification_rule")
    workload.fill(synced.store_url("store_writer"), SEED + 2, 40)

    plan = synced.sync_and_compare()

    assert synced.modes(plan) == {}
    again = synced.sync_and_compare()
    assert [(table.rows.rows, table.gone.rows) for table in again.tables] == [(0, 0)] * len(again.tables)
    with psycopg.connect(synced.store_url("store_owner")) as store:
        left = store.execute("select count(*) from ops.tombstone").fetchone()
        tokens = store.execute("select count(*) from ops.sync_token").fetchone()
    # Nor do they leave behind what nobody needs: the sync before last has pruned.
    assert left == (0,)
    assert tokens == (2,)


@each_step
def test_an_error_at_any_step_leaves_no_trace(changed: Synced, step: str) -> None:
    before = changed.dump()
    with faults.at(step, faults.fail) as fault:
        with pytest.raises(faults.Struck):
            changed.sync()
        assert fault.struck

    check_what_was_struck(changed, before, step)
    uploads = changed.s3.list_multipart_uploads(Bucket=changed.bucket).get("Uploads", [])
    assert uploads == []


@each_step
def test_a_kill_at_any_step_leaves_no_trace(changed: Synced, step: str) -> None:
    before = changed.dump()
    order = {
        "step": step, "store": changed.store_url("store_writer"), "redshift": dict(changed.redshift),
        "bucket": changed.bucket,
    }  # fmt: skip
    process = subprocess.run(
        [sys.executable, "-m", "tests.sync.syncing_process"], cwd=REPO, env=os.environ | {"PYTHONPATH": "dags"},
        input=json.dumps(order), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == KILLED, process.stderr

    changed.wait_until_left()
    check_what_was_struck(changed, before, step)


def test_an_apply_that_is_tried_again_after_its_commit_changes_nothing(changed: Synced) -> None:
    plan = changed.export()
    with faults.at(COMMITTED, faults.fail), pytest.raises(faults.Struck):
        changed.apply(plan)
    state, runs = changed.state(), changed.query("select count(*) from ops.sync_run")

    assert changed.apply(plan) is False

    assert (changed.state(), changed.query("select count(*) from ops.sync_run")) == (state, runs)
    assert changed.differences() == []
