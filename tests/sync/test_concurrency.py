"""Eight writers at work, syncs all along: after every single one the warehouse is the store at the sync's snapshot."""

from __future__ import annotations

import os
import time

import pytest

from tests.sync import workload
from tests.sync.synced import Synced

SEED = int(os.environ.get("SYNC_SEED", "20261121"))


@pytest.mark.parametrize("seconds", [20, pytest.param(300, marks=pytest.mark.full)])
def test_after_every_sync_the_warehouse_is_the_store_at_its_snapshot(synced: Synced, seconds: int) -> None:
    url = synced.store_url("store_writer")
    workload.fill(url, SEED)
    first = synced.sync_and_compare()
    assert set(synced.modes(first)) == set(synced.tables())

    syncs = changed = gone = awaited = 0
    with workload.at_work(url, SEED) as writers:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            plan = synced.sync_and_compare(compare="touched" if syncs % 3 else "all")
            # Nor is the sync's own comparison misled by those who go on writing.
            assert synced.reconcile(plan) == []
            writers.check()
            assert synced.modes(plan) == {}
            syncs += 1
            changed += sum(table.rows.rows for table in plan.tables)
            gone += sum(table.gone.rows for table in plan.tables)
            awaited += bool(plan.watermark.snapshot.split(":")[2])
    synced.sync_and_compare()
    account = writers.account

    print(
        f"seed {SEED}, {seconds} s: {syncs} syncs, each compared, {awaited} while others were not done;"
        f" {changed} rows and {gone} keys gone; {account}"
    )
    assert synced.differences() == []
    # Not for want of anything to tell: there was work, and snapshots had transactions that had not committed yet.
    assert syncs >= seconds / 10
    assert min(changed, gone) > 5 * seconds
    assert awaited > syncs / 4
    assert set(account.transactions) == {"commit", "rollback", "commit prepared", "rollback prepared", "refused"}
    assert set(account.statements) == {"insert", "update", "delete", "key update", "upsert", "copy", "merge"}
    # What nobody has changed is not exported again.
    quiet = synced.sync_and_compare()
    assert [(table.rows.rows, table.gone.rows) for table in quiet.tables] == [(0, 0)] * len(quiet.tables)
