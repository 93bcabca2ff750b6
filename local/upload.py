"""Put CSV files into the landing bucket, under the dataset that their header names."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import LocalError
from marketplace.contracts import HeaderError, dataset_for_header, load_contracts

# A larger file goes up in parts of this size, read one at a time. S3 takes 10,000 of them.
PART_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Uploaded:
    """One object as it was put: its dataset, its key and the version that the bucket gave it."""

    dataset: str
    key: str
    version_id: str


def choose_dataset(path: Path, dataset: str = "") -> str:
    """Return `dataset` when one is named, else the one whose columns the file's header has.

    Raises LocalError when the file cannot be read, or there is no such dataset or none with such a header.
    """
    contracts = load_contracts()
    if dataset and dataset not in contracts:
        raise LocalError(f"There is no dataset {dataset}: the datasets are {', '.join(contracts)}.")
    if dataset:
        require_readable(path)
        return dataset
    header = read_header(path)
    if path.stat().st_size == 0:
        raise LocalError(f"{path} is empty: it has no header that tells its dataset.")
    try:
        return dataset_for_header(header)
    except HeaderError as error:
        headers = "\n".join(f"    {name}: {','.join(contract.header)}" for name, contract in contracts.items())
        raise LocalError(
            f"{path}: {error}\nThe headers are, in any order of columns:\n{headers}\n"
            "To upload the file all the same, name its dataset: make upload FILES=… DATASET=…"
        ) from None


def require_readable(path: Path) -> None:
    """Raise LocalError when the file cannot be read. What is in it is the ingestion's to judge."""
    try:
        if not path.is_file():
            raise LocalError(f"{path} is not a file.")
        with path.open("rb"):
            pass
    except OSError as error:
        raise LocalError(f"{path} cannot be read: {error.strerror}.") from None


def read_header(path: Path) -> list[str]:
    """Return the first line's fields; raise LocalError when the file cannot be read."""
    require_readable(path)
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return next(csv.reader(file), [])
    except csv.Error as error:
        raise LocalError(f"{path} is not a CSV file: {error}.") from None


def upload(s3: Any, bucket: str, path: Path, dataset: str, report: Callable[[int], object] = int) -> Uploaded:
    """Put one file at landing/DATASET/NAME, in parts when it is large; `report` is told of bytes as they are put."""
    key = f"landing/{dataset}/{path.name}"
    size = path.stat().st_size
    if size <= PART_BYTES:
        with path.open("rb") as body:
            answer = s3.put_object(Bucket=bucket, Key=key, Body=body)
        report(size)
    else:
        answer = _upload_parts(s3, bucket, path, key, report)
    return Uploaded(dataset, key, answer["VersionId"])


def _upload_parts(s3: Any, bucket: str, path: Path, key: str, report: Callable[[int], object]) -> Any:
    """Put a file by a multipart upload; nothing of it is left when it fails.

    boto3's own upload_file does not tell the version, and asking for it afterwards may find another's.
    """
    target = {"Bucket": bucket, "Key": key}
    target["UploadId"] = s3.create_multipart_upload(**target)["UploadId"]
    parts: list[dict[str, Any]] = []
    try:
        with path.open("rb") as file:
            while part := file.read(PART_BYTES):
                number = len(parts) + 1
                parts.append(
                    {"PartNumber": number, "ETag": s3.upload_part(**target, PartNumber=number, Body=part)["ETag"]}
                )
                report(len(part))
        return s3.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
    except BaseException:
        s3.abort_multipart_upload(**target)
        raise
