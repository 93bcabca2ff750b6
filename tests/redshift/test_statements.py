"""How a text is split into statements, and what COPY, UNLOAD and TRUNCATE are read as."""

from __future__ import annotations

import pytest

from local.redshift.statements import (
    RefusedError,
    check_truncate,
    is_copy,
    is_unload,
    parse_copy,
    parse_unload,
    split,
)


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ; ;", []),
        ("select 1", ["select 1"]),
        ("select 1; select 2;", ["select 1", "select 2"]),
        ("select ';'; select \"a;b\"", ["select ';'", 'select "a;b"']),
        (r"select 'it\'s; one'; select 2", [r"select 'it\'s; one'", "select 2"]),
        ("select $1,$2; select $1,$2", ["select $1,$2", "select $1,$2"]),
        ("select $$;$$ -- ; no\n; /* ; */ select 2", ["select $$;$$", "select 2"]),
        ("/* one */ begin; commit -- two", ["begin", "commit"]),
    ],
)
def test_a_text_is_split_at_its_semicolons(text: str, statements: list[str]) -> None:
    assert [each.source(0, len(each.tokens) - 1) for each in split(text)] == statements


@pytest.mark.parametrize("text", ["select 'x", 'select "x', "select $$x"])
def test_a_text_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        split(text)
    assert refused.value.code == "42601"


def test_a_bracket_that_is_not_closed_is_refused() -> None:
    (statement,) = split("select (1, (2)")
    with pytest.raises(RefusedError) as refused:
        statement.closing(1)
    assert refused.value.code == "42601"


def test_what_is_in_quotes_is_no_word() -> None:
    (statement,) = split("select 'top' \"top\" e'top' $$top$$ top order by")
    assert [statement.word(at) for at in range(len(statement.tokens))] == [
        "SELECT",
        "",
        "",
        "",
        "",
        "TOP",
        "ORDER",
        "BY",
    ]
    assert statement.word(-1) == statement.word(99) == ""


def test_a_copy_with_everything() -> None:
    (statement,) = split(
        "/* load */ copy s.t (a, \"B c\", d) from 's3://bucket/a/b' iam_role 'arn:aws:iam::1:role/x' format as csv"
        " delimiter as ';' quote '%' null as '@N@' ignoreheader as 2 gzip manifest roundec emptyasnull blanksasnull"
        " timeformat 'auto' dateformat as 'auto' compupdate off statupdate on region 'eu-west-1'"
    )
    assert is_copy(statement)
    copy = parse_copy(statement)
    assert (copy.table, copy.columns, copy.bucket, copy.prefix) == ("s.t", ["a", "b c", "d"], "bucket", "a/b")
    assert (copy.format, copy.delimiter, copy.quote, copy.null) == ("csv", ";", "%", "@N@")
    assert (copy.skipped_lines, copy.compression) == (2, "gzip")
    assert copy.manifest
    assert copy.round_decimals
    assert copy.empty_as_null
    assert copy.blanks_as_null
    assert (copy.time_format, copy.date_format) == ("auto", "auto")


def test_the_defaults_of_a_copy() -> None:
    text = parse_copy(split("copy t from 's3://b/k' iam_role default")[0])
    assert (text.format, text.delimiter, text.null, text.compression) == ("text", "|", r"\N", "")
    csv = parse_copy(split("copy t from 's3://b/k' iam_role default csv")[0])
    assert (csv.format, csv.delimiter, csv.quote) == ("csv", ",", '"')
    assert parse_copy(split(r"copy t from 's3://b/k' iam_role default delimiter '\t'")[0]).delimiter == "\t"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("copy t from 's3://b/k' csv", "42601", "IAM_ROLE"),
        ("copy from 's3://b/k'", "42601", "syntax error"),
        ("copy t from 's3://b/k' iam_role", "42601", "end of input"),
        ("copy t from 's3://b/k' iam_role default csv delimiter 'ab'", "42601", "single ASCII character"),
        ("copy t from 's3://b/k' iam_role default csv ignoreheader 'x'", "42601", "syntax error"),
        ("copy t from 's3://b/k' iam_role default csv escape", "42601", "ESCAPE argument"),
        ("copy t from 's3://b/k' iam_role default parquet gzip", "42601", "GZIP argument"),
        ("copy t from 's3://b/k' iam_role default format avro 'auto'", "0A000", "FORMAT AVRO"),
        ("copy t from 's3://b/k' iam_role default explicit_ids", "0A000", "EXPLICIT_IDS"),
        ("copy t from 'emr://j-1/k' iam_role default", "0A000", "s3://"),
    ],
)
def test_a_copy_that_is_refused(text: str, code: str, message: str) -> None:
    with pytest.raises(RefusedError, match=message) as refused:
        parse_copy(split(text)[0])
    assert refused.value.code == code


@pytest.mark.parametrize("text", ["copy t from stdin", "copy t to stdout", "select 'copy t from'"])
def test_what_is_no_copy_from_s3(text: str) -> None:
    assert not is_copy(split(text)[0])


def test_an_unload_with_everything() -> None:
    (statement,) = split(
        r"unload ('select \'x\', \'a\\\\b\'') to 's3://b/p/x_' iam_role default format csv header null '-' zstd"
        " manifest verbose allowoverwrite parallel off maxfilesize 5 mb extension 'csv.zst' delimiter ';'"
    )
    assert is_unload(statement)
    unload = parse_unload(statement)
    assert unload.query == r"select 'x', 'a\\b'"
    assert (unload.bucket, unload.prefix, unload.format, unload.delimiter) == ("b", "p/x_", "csv", ";")
    assert (unload.null, unload.compression, unload.extension) == ("-", "zstd", "csv.zst")
    assert (unload.header, unload.manifest, unload.verbose, unload.overwrite, unload.parallel) == (
        True, True, True, True, False,
    )  # fmt: skip
    assert unload.max_file_bytes == 5 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("unload ('select 1') to 's3://b/k'", "42601", "IAM_ROLE"),
        ("unload (select 1) to 's3://b/k' iam_role default", "42601", "syntax error"),
        ("unload ('select 1') to '/tmp/x' iam_role default", "0A000", "s3://"),
        ("unload ('select 1') to 's3://b/k' iam_role default fixedwidth '1:2'", "0A000", "FIXEDWIDTH"),
        ("unload ('select 1') to 's3://b/k' iam_role default parquet header", "42601", "HEADER"),
        ("unload ('select 1') to 's3://b/k' iam_role default cleanpath allowoverwrite", "42601", "CLEANPATH"),
    ],
)
def test_an_unload_that_is_refused(text: str, code: str, message: str) -> None:
    with pytest.raises(RefusedError, match=message) as refused:
        parse_unload(split(text)[0])
    assert refused.value.code == code


@pytest.mark.parametrize("text", ["truncate t", "truncate table t", 'truncate table a."b"', "truncate a.b.c"])
def test_a_truncate(text: str) -> None:
    check_truncate(split(text)[0])


@pytest.mark.parametrize("text", ["truncate t, s", "truncate table t cascade", "truncate t restart identity"])
def test_a_truncate_that_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        check_truncate(split(text)[0])
    assert refused.value.code == "42601"
