"""Too much rejected fails a run: by file, by run, and of a file that is set aside; mended, it no longer counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from marketplace.ingest import ledger, objects, rejections
from marketplace.ingest.load import load_file
from marketplace.ingest.replay import Selection, replay_rows

GOOD, BAD, WORSE = "T-{},sale,2025-01-05,EUR,10,CUST-0001", "T-{},gift,2025-01-05,EUR,10,CUST-0001", "T-{},,x,EUR,10,C"
WHAT_TO_DO = 'What to do: docs/runbooks/ingestion.md, "A run failed: too many rejected rows".'


def put(ingestion: Any, name: str, *, good: int = 0, bad: int = 0, worse: int = 0) -> None:
    rows = [GOOD] * good + [BAD] * bad + [WORSE] * worse
    ingestion.put("transaction", *(row.format(f"{name}{n}") for n, row in enumerate(rows)), name=f"{name}.csv")


def check(ingestion: Any, allowed: float = 0.2, run: str | None = None) -> dict[str, Any]:
    with ingestion.connect() as connection:
        return rejections.check_rejected_share(connection, run or ingestion.run_id, allowed)


def test_a_run_without_files_has_nothing_rejected(ingestion: Any) -> None:
    ingestion.run()
    assert check(ingestion, 0) == {"files": 0, "set_aside": 0, "read": 0, "rejected": 0, "share": 0.0}


def test_a_share_that_is_allowed_and_no_more(ingestion: Any, mend: Callable[[str, str, str], None]) -> None:
    put(ingestion, "half", good=2, bad=2)
    put(ingestion, "none", good=6)
    ingestion.run()
    assert check(ingestion) == {"files": 2, "set_aside": 0, "read": 10, "rejected": 2, "share": 0.2}
    with pytest.raises(rejections.TooManyRejectedError) as caught:
        check(ingestion, 0.19)
    assert str(caught.value).splitlines() == [
        "Too much was rejected. The rest is stored and accounted for.",
        "landing/transaction/half.csv: 2 of 4 rows rejected (50.0%, at most 50.0%): unknown_value 2",
        "This run: 2 of 10 rows rejected (20.0%, at most 19.0%).",
        WHAT_TO_DO,
    ]
    mend("transaction", "tables:", "max_rejected_share: 0.49\ntables:")
    with pytest.raises(
        rejections.TooManyRejectedError, match=r"half.csv: 2 of 4 rows rejected \(50.0%, at most 49.0%\)"
    ):
        check(ingestion)


def test_the_message_names_what_is_too_much_first_and_three_reasons(ingestion: Any) -> None:
    put(ingestion, "a", good=20, bad=3)
    put(ingestion, "b", bad=1)
    ingestion.put("transaction", *(
        *(f"T-x{n},gift,2025-01-05,EUR,10,CUST-1" for n in range(3)),
        *(f"T-y{n},sale,2025-13-05,EUR,10,CUST-1" for n in range(2)),
        *(f"T-z{n},sale,2025-01-05,EUR,ten,CUST-1" for n in range(2)),
        "T-v,sale,2025-01-05,XXL,10,CUST-1",
    ), name="c.csv")  # fmt: skip
    ingestion.put_bytes("landing/transaction/d.csv", b"")
    put(ingestion, "e", good=5)
    ingestion.run()
    with pytest.raises(rejections.TooManyRejectedError) as caught:
        check(ingestion, 1)
    assert str(caught.value).splitlines()[1:-1] == [
        "landing/transaction/d.csv: set aside as a whole: empty",
        "landing/transaction/c.csv: 8 of 8 rows rejected (100.0%, at most 50.0%): "
        "unknown_value 3, invalid_amount 2, invalid_timestamp 2",
        "landing/transaction/b.csv: 1 of 1 rows rejected (100.0%, at most 50.0%): unknown_value 1",
        "landing/transaction/a.csv: 3 of 23 rows rejected (13.0%, at most 50.0%): unknown_value 3",
        "This run: 12 of 37 rows rejected (32.4%, at most 100.0%).",
    ]


def test_only_so_many_files_are_named(ingestion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejections, "NAMED_FILES", 1)
    put(ingestion, "a", bad=1)
    put(ingestion, "b", bad=2)
    ingestion.run()
    with pytest.raises(
        rejections.TooManyRejectedError, match=r"b\.csv.*\n\.\.\. and 1 more files, in ops\.load\nThis run: 3"
    ):
        check(ingestion)


def test_a_file_set_aside_counts_whole_until_its_key_is_put_again(
    ingestion: Any, mend: Callable[[str, str, str], None]
) -> None:
    ingestion.put_bytes("landing/transaction/a.csv", b"transaction_id;txn_type\n")
    ingestion.put_bytes("landing/unheard/b.csv", b"x\n")
    ingestion.run()
    run = ingestion.run_id
    message = r"a\.csv: set aside as a whole: wrong_delimiter\n.*unheard/b\.csv: set aside as a whole: unknown_dataset"
    with pytest.raises(rejections.TooManyRejectedError, match=message):
        check(ingestion, 1)
    put(ingestion, "a", good=1)
    ingestion.run()
    with pytest.raises(rejections.TooManyRejectedError) as caught:
        check(ingestion, 1, run)
    assert "a.csv" not in str(caught.value)
    # Where a contract allows all to be rejected, it allows a file that is set aside.
    ingestion.put_bytes("landing/transaction/c.csv", b"")
    mend("transaction", "tables:", "max_rejected_share: 1\ntables:")
    ingestion.run()
    assert check(ingestion, 0) == {"files": 1, "set_aside": 1, "read": 0, "rejected": 0, "share": 0.0}


def test_a_file_counts_for_the_run_that_has_judged_it_not_for_one_that_moves_it(ingestion: Any) -> None:
    put(ingestion, "a", bad=1)
    ingestion.put_bytes("landing/transaction/b.csv", b"")
    for claim in ingestion.claim("judges"):
        load_file(ingestion.connect, ingestion.s3, ingestion.bucket, claim["load_id"], "judges")
    message = r"b\.csv: set aside as a whole: empty\n.*a\.csv: 1 of 1 rows rejected"
    with pytest.raises(rejections.TooManyRejectedError, match=message):
        check(ingestion, run="judges")
    assert len(ingestion.claim("judges")) == 2  # its tasks are cleared
    with pytest.raises(rejections.TooManyRejectedError, match=message):
        check(ingestion, run="judges")

    ingestion.execute("update ops.load set lease_until = now() - interval '1 second'")
    put(ingestion, "c", good=1)
    assert len(ingestion.run()) == 3
    assert ingestion.keys("landing/") == []
    assert check(ingestion) == {"files": 1, "set_aside": 0, "read": 1, "rejected": 0, "share": 0.0}


def test_a_file_that_somebody_took_back_is_nobodys_fault(ingestion: Any) -> None:
    put(ingestion, "a", bad=1)
    claims = ingestion.claim()
    ingestion.s3.delete_object(
        Bucket=ingestion.bucket, Key="landing/transaction/a.csv",
        VersionId=objects.list_landed(ingestion.s3, ingestion.bucket)[0].version_id,
    )  # fmt: skip
    assert ingestion.load(claims[0])["reason"].startswith("gone: ")
    assert check(ingestion, 0)["files"] == 0


def test_replayed_rows_no_longer_count(ingestion: Any, mend: Callable[[str, str, str], None]) -> None:
    put(ingestion, "a", good=1, bad=3, worse=1)
    ingestion.run()
    run = ingestion.run_id
    with pytest.raises(
        rejections.TooManyRejectedError, match=r"4 of 5 rows rejected \(80\.0%.*unknown_value 3, missing 1"
    ):
        check(ingestion)
    mend("transaction", "sale: []", "sale: [gift]")
    with ingestion.connect() as connection:
        replay_rows(connection, "replay", Selection(dataset="transaction"))
    assert check(ingestion, run=run) == {"files": 1, "set_aside": 0, "read": 5, "rejected": 1, "share": 0.2}


def test_what_an_earlier_reading_rejected_no_longer_counts(
    ingestion: Any, mend: Callable[[str, str, str], None]
) -> None:
    put(ingestion, "a", good=1, bad=3, worse=1)
    ingestion.run()
    run = ingestion.run_id
    mend("transaction", "sale: []", "sale: [gift]")
    with ingestion.connect() as connection:
        times = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        (claim,) = ledger.claim_reloads(connection, *times, "reload", 10)
    ingestion.load(claim, "reload")
    expected = {"files": 1, "set_aside": 0, "read": 5, "rejected": 1, "share": 0.2}
    assert check(ingestion, run=run) == check(ingestion, run="reload") == expected
