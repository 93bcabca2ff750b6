"""The corpus: statements of Amazon Redshift, each with what comes of it. Read by the tests and by the docs."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet
import yaml

CORPUS = Path(__file__).with_name("corpus")
OUTCOMES = ("rows", "after", "written", "error")


class Content(NamedTuple):
    """What an object of S3 has in it: of which kind (text, hex, gzip, zstd, parquet, json), and what."""

    kind: str
    value: Any

    def encode(self, fill: Any) -> bytes:
        """Return the object's bytes; `fill` puts in what is known only when it runs."""
        if self.kind == "parquet":
            schema = pa.schema([(name, _arrow_type(kind)) for name, kind in self.value["types"].items()])
            rows = [dict(zip(schema.names, row, strict=True)) for row in self.value["rows"]]
            pa.parquet.write_table(pa.Table.from_pylist(rows, schema), sink := io.BytesIO())
            return sink.getvalue()
        if self.kind == "json":
            return fill(json.dumps(self.value)).encode()
        data = bytes.fromhex(self.value) if self.kind == "hex" else fill(self.value).encode()
        if self.kind == "gzip":
            return gzip.compress(data)
        return pa.compress(data, "zstd", asbytes=True) if self.kind == "zstd" else data

    def decode(self, data: bytes) -> Any:
        """Return what bytes of this kind say, in the form of `expected`."""
        if self.kind == "parquet":
            table = pa.parquet.read_table(io.BytesIO(data))
            rows = [list(row.values()) for row in table.to_pylist()]
            return {"types": {column.name: str(column.type) for column in table.schema}, "rows": rows}
        if self.kind == "json":
            return json.loads(data)
        if self.kind == "gzip":
            data = gzip.decompress(data)
        elif self.kind == "zstd":
            data = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
        return data.decode()

    def expected(self, fill: Any) -> Any:
        """Return what `decode` is to give."""
        if self.kind == "parquet":
            return self.value
        return json.loads(fill(json.dumps(self.value))) if self.kind == "json" else fill(self.value)


def _arrow_type(name: str) -> pa.DataType:
    if name.startswith("decimal128"):
        return pa.decimal128(*map(int, name.removeprefix("decimal128(").rstrip(")").split(",")))
    return pa.timestamp("us") if name == "timestamp[us]" else pa.type_for_alias(name)


@dataclass(frozen=True)
class Case:
    """One statement, or several in a row of which the last one counts, and what comes of it."""

    kind: str
    name: str
    guide: str
    statements: list[str | dict[str, str]]
    setup: list[str] = field(default_factory=list)
    objects: dict[str, Content] = field(default_factory=dict)
    parameters: list[Any] | None = None
    autocommit: bool = False
    rows: list[list[Any]] | None = None
    after: dict[str, Any] | None = None
    written: dict[str, Content] | None = None
    error: dict[str, str] | None = None
    here: bool = False

    @property
    def is_refused_here(self) -> bool:
        """Tell whether Redshift does it and the endpoint does not."""
        return self.error is not None and (self.here or "the local Redshift endpoint" in self.error["message"])


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!decimal", lambda loader, node: Decimal(loader.construct_scalar(node)))
_Loader.add_constructor("!gzip", lambda loader, node: Content("gzip", loader.construct_scalar(node)))
_Loader.add_constructor("!zstd", lambda loader, node: Content("zstd", loader.construct_scalar(node)))
_Loader.add_constructor("!hex", lambda loader, node: Content("hex", loader.construct_scalar(node)))
_Loader.add_constructor("!parquet", lambda loader, node: Content("parquet", loader.construct_mapping(node, deep=True)))
_Loader.add_constructor("!json", lambda loader, node: Content("json", loader.construct_mapping(node, deep=True)))


def cases() -> list[Case]:
    """Return all cases, in the order of the files' names."""
    found = []
    for path in sorted(CORPUS.glob("*.yaml")):
        for given in yaml.load(path.read_text(encoding="utf-8"), _Loader):  # noqa: S506 - a SafeLoader with tags
            statement = given.pop("statement")
            setup = [text for each in given.pop("setup", []) for text in (each if isinstance(each, list) else [each])]
            contents = {
                key: {name: _content(value) for name, value in given.pop(key).items()}
                for key in ("objects", "written")
                if key in given
            }
            statements = statement if isinstance(statement, list) else [statement]
            found.append(Case(path.stem, setup=setup, statements=statements, **contents, **given))
    return found


def _content(value: Any) -> Content:
    return value if isinstance(value, Content) else Content("text", value)
