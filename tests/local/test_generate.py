from __future__ import annotations

import re
import shlex
import subprocess
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from local import emulator, generate, upload
from local.generate import Wanted
from local.platform import Platform
from marketplace.mockdata.generate import Chunk, Order
from marketplace.mockdata.generate import generate as chunks_of
from marketplace.mockdata.profile import Profile
from marketplace.mockdata.table import DATASETS

TODAY = date(2026, 1, 31)
CLEAN = Profile("clean")
# Everything that makes a file hard to write, to name or to upload.
ODD = Profile(
    "odd", {"odd_key": 0.5, "same_name_new_content": 0.5, "late_reference": 0.3, "gzip": 0.3, "missing_column": 0.3}
)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files of `main` go, instead of the clone's."""
    monkeypatch.setattr(
        generate.Layout, "__init__", lambda self: object.__setattr__(self, "state", tmp_path / ".local")
    )
    return tmp_path / ".local" / "generated"


def test_rows_are_shared_by_the_days_before_until():
    orders = list(Wanted(1001, 3, date(2026, 3, 1), 7, CLEAN).orders())
    assert [f"{order.interval.code} {order.rows}" for order in orders] == [
        "20260226T0000-1440 333", "20260227T0000-1440 334", "20260228T0000-1440 334",
    ]  # fmt: skip
    assert [(order.seed, order.profile) for order in orders] == [(7, CLEAN)] * 3


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--rows=many"], "ROWS=many: it must be a whole number from 1 to 20,000,000, such as 100000."),
        (["--rows=-5"], "ROWS=-5: it must be"),
        (["--rows=2", "--days=3"], "ROWS=2: it must be a whole number from 3 to 60,000,000"),
        (["--days=0"], "DAYS=0: it must be a whole number from 1"),
        (["--seed=10000"], "SEED=10000: it must be a whole number from 0 to 9,999"),
        (["--until=2026-02-30"], "UNTIL=2026-02-30: it must be a day such as 2026-01-31."),
        (["--until=2016-01-02", "--days=2"], "all days must be within 2016-01-01 to 2099-12-31"),
        (["--profile=tidy"], "There is no profile 'tidy'; there are clean, "),
        (["--dials=paddin=1"], "there is no dial 'paddin'; did you mean 'padding'?"),
        (["--dials=xyzzy=1"], "clean: there is no dial 'xyzzy'; docs/mock-data.md lists them.\n"),
        (["--dials=padding=2"], "dial 'padding' is 2.0; it must be a number from 0 to 1"),
        (["--dials=padding"], 'DIALS: padding must be a dial and its rate, as in DIALS="padding=0.5 crlf=1".'),
    ],
)
def test_a_wrong_value_is_answered_in_a_line(
    arguments: list[str], answer: str, capsys: pytest.CaptureFixture[str], state: Path
):
    assert generate.main(["--profile=clean", *arguments]) == 1
    said = capsys.readouterr().out
    assert answer in said
    assert said.count("\n") == 1
    assert not state.exists()


def test_nothing_given_is_a_day_of_the_normal_profile():
    options = generate.parse([])
    asked = generate.wanted(options, TODAY)
    assert (asked.rows, asked.days, asked.until, asked.seed, asked.profile.name) == (100_000, 1, TODAY, 1, "normal")


def test_dials_are_turned_away_from_the_profile():
    asked = generate.wanted(generate.parse(["--profile=clean", "--dials=padding=0.5 crlf=1"]), TODAY)
    assert asked.profile.dials == {"padding": 0.5, "crlf": 1.0}


def made(asked: Wanted) -> dict[tuple[str, int], tuple[bytes, bytes, str]]:
    """Return for each file of what is asked, and version, what is in it and in its truth, and the truth's key."""
    files: dict[tuple[str, int], tuple[bytes, bytes, str]] = {}
    for order in asked.orders():
        for chunk in chunks_of(order):
            data, truth, _ = files.get((chunk.key, chunk.version), (b"", b"", ""))
            files[chunk.key, chunk.version] = (data + chunk.data, truth + chunk.truth, chunk.truth_key)
    return files


def written(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_every_version_of_every_file_is_written_with_its_truth(tmp_path: Path):
    asked = Wanted(3000, 3, TODAY, 7, ODD)
    directory = generate.make(asked, tmp_path / "generated")
    files = made(asked)
    found = written(tmp_path / "generated")
    truths = {truth_key: truth for _, truth, truth_key in files.values()}
    assert {name: content for name, content in found.items() if name.startswith("mock-truth/")} == truths
    landed = {name: content for name, content in found.items() if not name.startswith("mock-truth/")}
    assert Counter(landed.values()) == Counter(data for data, _, _ in files.values())
    # Under its own name, and a later version in a later directory.
    for (key, _version), (data, _, _) in files.items():
        assert data in [content for name, content in landed.items() if name.partition("/")[2] == key.partition("/")[2]]
    assert {version for _, version in files} == {1, 2}
    assert {name.partition("/")[0] for name in landed} == {"landing", "landing-2", "landing-3"}

    for dataset, counted in directory.made.items():
        of = {key: file for key, file in files.items() if f"/{dataset}/" in key[0]}
        assert counted.files == len(of)
        assert counted.bytes == sum(len(data) for data, _, _ in of.values())
        assert counted.set_aside == sum(b"\n0,rejected," in truth for _, truth, _ in of.values())
    assert sum(counted.set_aside for counted in directory.made.values()) > 0


def test_the_files_of_the_last_call_take_the_place_of_those_before(tmp_path: Path):
    path = tmp_path / "generated"
    generate.make(Wanted(300, 2, TODAY, 7, CLEAN), path)
    generate.make(Wanted(300, 1, TODAY, 8, CLEAN), path)
    assert {re.search(r"mock-(\d+)", name)[1] for name in written(path)} == {"0008"}


@pytest.mark.parametrize("how", [KeyboardInterrupt, OSError(28, "No space left on device")], ids=["ctrl-c", "full"])
def test_what_is_not_finished_leaves_what_was_there(
    how: BaseException, state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert generate.main(["--profile=clean", "--rows=300"]) == 0
    before = written(state)

    def ends(order: Order) -> Iterator[Chunk]:
        yield next(chunks_of(order))
        raise how

    monkeypatch.setattr(generate, "generate", ends)
    assert generate.main(["--profile=clean", "--rows=300", "--seed=9"]) in (1, 130)
    assert written(state) == before
    assert list(state.parent.iterdir()) == [state]
    said = capsys.readouterr().out
    assert "Interrupted: nothing was made" in said or "cannot be written: No space left on device." in said


def test_an_interruption_while_the_files_before_are_deleted_leaves_all_of_the_new_ones(
    state: Path, monkeypatch: pytest.MonkeyPatch
):
    assert generate.main(["--profile=clean", "--rows=300"]) == 0
    delete = generate.shutil.rmtree

    def interrupted(path: Path, ignore_errors: bool) -> None:
        for file in sorted(path.rglob("*.csv"))[:1]:
            if "mock-0001-" in file.name:
                file.unlink()
                raise KeyboardInterrupt
        delete(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(generate.shutil, "rmtree", interrupted)
    assert generate.main(["--profile=clean", "--rows=300", "--seed=9"]) == 130
    landed = {name.partition("/")[2].replace("mock-0009-", "") for name in written(state) if "mock-0009-" in name}
    assert {name.partition("/")[0] for name in landed} == set(DATASETS)
    assert not [name for name in written(state) if "mock-0001-" in name]


def test_a_second_call_at_once_is_refused_and_disturbs_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    statuses = []

    def with_another(order: Order) -> Iterator[Chunk]:
        chunks = chunks_of(order)
        yield next(chunks)
        if not statuses:
            statuses.append(generate.main(["--profile=clean", "--rows=300", "--seed=9"]))
        yield from chunks

    monkeypatch.setattr(generate, "generate", with_another)
    assert generate.main(["--profile=clean", "--rows=300"]) == 0
    assert statuses == [1]
    assert "Another `make generate` is at work here: wait until it is done.\n" in capsys.readouterr().out
    assert {re.search(r"mock-(\d+)", name)[1] for name in written(state)} == {"0001"}
    assert {name.split("/")[1] for name in written(state) if name.startswith("landing/")} == set(DATASETS)
    assert list(state.parent.iterdir()) == [state]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_directory_is_named_before_anything_is_made(
    kind: str, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    state.parent.mkdir()
    state.symlink_to(tmp_path) if kind == "link" else state.touch()
    assert generate.main(["--profile=clean", "--rows=300"]) == 1
    assert capsys.readouterr().out == f"{state} is no directory: move it away.\n"


def test_the_commands_that_are_printed_upload_every_file_in_its_order(
    platform: Platform, state: Path, capsys: pytest.CaptureFixture[str]
):
    asked = Wanted(2000, 2, TODAY, 7, ODD)
    generate.show(generate.make(asked, state))
    commands = re.findall(r"make upload DATASET=(\w+) FILES='(.+)'", capsys.readouterr().out)
    s3 = emulator.client("s3", platform.endpoint)
    bucket = f"generated-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put: list[tuple[str, bytes]] = []
    for dataset, pattern in commands:
        # As the Makefile has it: the shell finds the files.
        listed = subprocess.run(["sh", "-c", f"printf '%s\\0' {pattern}"], capture_output=True, text=True, check=True)
        for path in map(Path, listed.stdout.rstrip("\0").split("\0")):
            uploaded = upload.upload(s3, bucket, path, upload.choose_dataset(path, dataset))
            body = s3.get_object(Bucket=bucket, Key=uploaded.key, VersionId=uploaded.version_id)["Body"].read()
            put.append((uploaded.key, body))

    expected = {key: data for key, (data, _, _) in made(asked).items()}
    assert Counter(put) == Counter((key, data) for (key, _), data in expected.items())
    for key, version in expected:
        if version == 2:
            assert put.index((key, expected[key, 1])) < put.index((key, expected[key, 2]))
    assert any(shlex.quote(key) != key for key, _ in put)
