"""What a sync does: the export writes it beside its files, and all that comes after goes by it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from marketplace.sync.watermark import Watermark

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Mode = Literal["incremental", "full"]
Check = Literal["none", "changed", "all"]
FILE = "plan.json"
SUFFIX = ".csv.gz"


class PlanGoneError(RuntimeError):
    """The files of an export are not there any more."""


@dataclass(frozen=True)
class Files:
    """The files that a query's rows were written to, numbered from 0, and how many rows and compressed bytes."""

    name: str
    files: int = 0
    rows: int = 0
    bytes: int = 0

    def keys(self, prefix: str) -> list[str]:
        """Return the files' keys under the prefix of their run."""
        return [file_key(prefix, self.name, number) for number in range(self.files)]

    def manifest_key(self, prefix: str) -> str:
        """Return the key of the manifest that names them for COPY."""
        return f"{prefix}{self.name}.manifest"

    def manifest(self, bucket: str, prefix: str) -> str:
        """Return that manifest: each file must be there."""
        entries = [{"url": f"s3://{bucket}/{key}", "mandatory": True} for key in self.keys(prefix)]
        return json.dumps({"entries": entries}, indent=1)


def file_key(prefix: str, name: str, number: int) -> str:
    """Return the key of one of the files that a query's rows were written to."""
    return f"{prefix}{name}-{number:05}{SUFFIX}"


@dataclass(frozen=True)
class TablePlan:
    """What is done to a table: the files of its changed (or all) rows, those of the keys that are gone, and why.

    `checked` is what the warehouse is compared with afterwards, if it is: a checksum of each row that is changed or
    gone, or checksums of all rows by groups. `mends` says which open differences are mended: those found until then
    (ISO 8601). `before` is the token of the watermark that the warehouse must still have, None for none; `definition`
    what both sides' tables are by definition (marketplace.sync.tables). `columns` are the warehouse's, in the files'
    order; `added` those that it has not yet, with their types.
    """

    name: str
    mode: Mode
    reason: str | None
    before: str | None
    definition: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    added: tuple[tuple[str, str], ...]
    rows: Files
    gone: Files
    check: Check
    checked: Files
    mends: str | None
    seconds: float

    @property
    def files(self) -> list[Files]:
        """Return what COPY loads: checksums of groups are compared outside of the warehouse."""
        loaded = (self.rows, self.gone, *([self.checked] if self.check == "changed" else []))
        return [files for files in loaded if files.files]


@dataclass(frozen=True)
class Plan:
    """A sync of some tables to one snapshot of the store: where its files are, and the watermark it ends at.

    `taken_at` is when the snapshot was taken (ISO 8601).
    """

    run_id: str
    bucket: str
    prefix: str
    watermark: Watermark
    taken_at: str
    tables: tuple[TablePlan, ...]

    def put(self, s3: S3Client) -> None:
        """Write it beside its files."""
        s3.put_object(Bucket=self.bucket, Key=self.prefix + FILE, Body=json.dumps(asdict(self), indent=1).encode())

    def manifests(self) -> list[tuple[str, str]]:
        """Return the key and the text of each manifest that COPY is given."""
        return [
            (files.manifest_key(self.prefix), files.manifest(self.bucket, self.prefix))
            for table in self.tables
            for files in table.files
        ]

    def summary(self) -> dict[str, Any]:
        """Return what is worth showing of it, a few kB at most: per table only what has changed."""
        return {
            "bucket": self.bucket,
            "prefix": self.prefix,
            "rows": sum(table.rows.rows for table in self.tables),
            "gone": sum(table.gone.rows for table in self.tables),
            "bytes": sum(table.rows.bytes + table.gone.bytes for table in self.tables),
            "tables": {
                table.name: {
                    "mode": table.mode,
                    **({"reason": table.reason} if table.reason else {}),
                    "rows": table.rows.rows,
                    "gone": table.gone.rows,
                    "seconds": table.seconds,
                }
                for table in self.tables
                if table.rows.rows or table.gone.rows or table.reason
            },
        }


def read_plan(s3: S3Client, bucket: str, prefix: str) -> Plan:
    """Return the plan that an export has written under `prefix`. Raises PlanGoneError."""
    try:
        found = json.loads(s3.get_object(Bucket=bucket, Key=prefix + FILE)["Body"].read())
    except s3.exceptions.NoSuchKey:
        raise PlanGoneError(
            f"s3://{bucket}/{prefix} is gone: it is deleted when its run has succeeded, and expires otherwise."
            " Start the DAG anew, or clear the task export."
        ) from None
    return Plan(
        **found
        | {
            "watermark": Watermark(**found["watermark"]),
            "tables": tuple(_table_plan(table) for table in found["tables"]),
        }
    )


def _table_plan(found: dict[str, Any]) -> TablePlan:
    return TablePlan(
        **found
        | {
            "key": tuple(found["key"]),
            "columns": tuple(found["columns"]),
            "added": _pairs(found["added"]),
            "rows": Files(**found["rows"]),
            "gone": Files(**found["gone"]),
            "checked": Files(**found["checked"]),
        }
    )


def _pairs(found: Iterable[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, type_) for name, type_ in found)
