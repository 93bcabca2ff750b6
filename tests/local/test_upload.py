from __future__ import annotations

import csv
import errno
import uuid
from pathlib import Path
from typing import Any

import pytest

from local import cli, emulator, envfile, upload
from local.errors import LocalError
from local.platform import Platform

PUBLISHERS = "publisher_id,name,country\nPUB-1,Valve,US\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("header", "dataset"),
    [
        ("publisher_id,name,country", "publisher"),
        ("country, Name ,publisher_id", "publisher"),
        ("\ufeffgame_id,title,release_date,genre", "game"),
        ('"transaction_id","txn_type",txn_ts,currency,total_amount,customer_ref', "transaction"),
    ],
)
def test_the_header_decides_the_dataset(tmp_path: Path, header: str, dataset: str):
    assert upload.choose_dataset(written(tmp_path / "export.csv", header + "\n")) == dataset


def test_an_unknown_header_is_answered_with_the_known_ones(tmp_path: Path):
    with pytest.raises(LocalError) as refused:
        upload.choose_dataset(written(tmp_path / "odd.csv", "a,b\n1,2\n"))
    assert "odd.csv" in str(refused.value)
    assert "publisher: publisher_id,name,country" in str(refused.value)
    assert "DATASET=" in str(refused.value)


def test_a_named_dataset_goes_before_the_header(tmp_path: Path):
    assert upload.choose_dataset(written(tmp_path / "odd.csv", "a;b\n"), "game") == "game"


def test_what_is_no_csv_goes_up_under_the_dataset_that_is_named(tmp_path: Path):
    path = tmp_path / "odd.csv"
    path.write_bytes(b'\x1f\x8b,"' + b"x" * 2000)
    limit = csv.field_size_limit(1000)  # of the process: others may have raised it
    try:
        with pytest.raises(LocalError, match=r"odd\.csv is not a CSV file"):
            upload.choose_dataset(path)
        assert upload.choose_dataset(path, "game") == "game"
    finally:
        csv.field_size_limit(limit)


def test_a_dataset_that_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(LocalError, match=r"There is no dataset gmae: the datasets are .*game, .*publisher"):
        upload.choose_dataset(written(tmp_path / "odd.csv", PUBLISHERS), "gmae")


def test_a_file_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(LocalError, match=r"missing\.csv is not a file"):
        upload.choose_dataset(tmp_path / "missing.csv", "game")


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path):
    with pytest.raises(LocalError, match=r"none\.csv is empty"):
        upload.choose_dataset(written(tmp_path / "none.csv", ""))


@pytest.mark.parametrize("dataset", ["", "publisher"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
):
    path = written(tmp_path / "closed.csv", PUBLISHERS)

    opened = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:  # root may read a file of any mode
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(LocalError, match=r"closed\.csv cannot be read: Permission denied"):
        upload.choose_dataset(path, dataset)


def test_a_file_name_may_start_with_a_dash():
    options = cli.parse(["upload", "--dataset=game", "--", "-odd.csv", "my file.csv"])
    assert (options.dataset, options.files) == ("game", ["-odd.csv", "my file.csv"])


def test_files_with_odd_names_land_under_their_dataset(platform: Platform, tmp_path: Path):
    name = f"my file + 100% é {uuid.uuid4().hex}.csv"
    cli.upload(platform, [str(written(tmp_path / name, PUBLISHERS))], "")
    values = envfile.read(platform.layout.env_file)
    s3 = emulator.client("s3", values["AWS_ENDPOINT_URL"])
    key = f"landing/publisher/{name}"
    assert s3.get_object(Bucket=values["LANDING_BUCKET"], Key=key)["Body"].read().decode() == PUBLISHERS
    s3.delete_object(Bucket=values["LANDING_BUCKET"], Key=key)


def test_nothing_is_uploaded_when_one_of_the_files_is_unknown(platform: Platform, tmp_path: Path):
    good = written(tmp_path / f"{uuid.uuid4().hex}.csv", PUBLISHERS)
    with pytest.raises(LocalError, match="No dataset has the header"):
        cli.upload(platform, [str(good), str(written(tmp_path / "odd.csv", "a,b\n"))], "")
    s3 = emulator.client("s3", platform.endpoint)
    listed = s3.list_objects_v2(Bucket=platform.state.outputs["LandingBucket"], Prefix="landing/publisher/")
    assert f"landing/publisher/{good.name}" not in [entry["Key"] for entry in listed.get("Contents", [])]


def test_a_large_file_goes_up_in_parts_that_are_told_of(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(upload, "PART_BYTES", 5 * 1024 * 1024)  # the least that S3 takes
    body = b"publisher_id,name,country\n" + b"PUB-1,Valve,US\n" * 700_000
    path = tmp_path / f"{uuid.uuid4().hex}.csv"
    path.write_bytes(body)
    s3, bucket = emulator.client("s3", platform.endpoint), platform.state.outputs["LandingBucket"]
    told: list[int] = []
    put = upload.upload(s3, bucket, path, "publisher", told.append)
    assert told == [upload.PART_BYTES, upload.PART_BYTES, len(body) - 2 * upload.PART_BYTES]
    answer = s3.get_object(Bucket=bucket, Key=put.key, VersionId=put.version_id)
    assert answer["VersionId"] == put.version_id
    assert answer["Body"].read() == body
    s3.delete_object(Bucket=bucket, Key=put.key, VersionId=put.version_id)


def test_nothing_is_left_of_an_upload_that_is_interrupted(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(upload, "PART_BYTES", 1024)
    path = written(tmp_path / f"{uuid.uuid4().hex}.csv", PUBLISHERS * 100)
    s3, bucket = emulator.client("s3", platform.endpoint), platform.state.outputs["LandingBucket"]

    def interrupt(_size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload.upload(s3, bucket, path, "publisher", interrupt)
    key = f"landing/publisher/{path.name}"
    assert key not in [part["Key"] for part in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
    assert s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", []) == []


def test_a_file_that_the_disk_has_no_room_for_is_refused(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.write(PUBLISHERS.encode())
        file.truncate(10**12)  # takes no room itself
    with pytest.raises(LocalError, match=r"and the platform needs 2000300 MB"):
        cli.upload(platform, [str(path)], "")
