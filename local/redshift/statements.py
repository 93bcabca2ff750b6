"""Redshift's statements, by their tokens: split, told apart, and COPY and UNLOAD read in full.

Source of the grammar: Amazon Redshift Database Developer Guide, "COPY" and "UNLOAD".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import ClassVar

from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

_STRINGS = (
    TokenType.STRING, TokenType.HEREDOC_STRING, TokenType.RAW_STRING, TokenType.BYTE_STRING, TokenType.NATIONAL_STRING,
    TokenType.HEX_STRING, TokenType.BIT_STRING, TokenType.UNICODE_STRING,
)  # fmt: skip

# A parameter, and a character of no text that takes its sign's place while a text is read.
_PARAMETER = re.compile(r"\$(?=\d)")
_STAND_IN = "\ue000"


class _Tokenizer(Redshift.Tokenizer):
    """Redshift's tokens, each a word: no ORDER BY, and no command that sqlglot would leave as one text."""

    COMMANDS: ClassVar[set[TokenType]] = set()
    KEYWORDS: ClassVar[dict[str, TokenType]] = {
        text: kind for text, kind in Redshift.Tokenizer.KEYWORDS.items() if " " not in text
    }


class RefusedError(Exception):
    """A statement that the endpoint, or Redshift itself, refuses: an SQLSTATE, and what to do instead."""

    def __init__(self, message: str, code: str = "0A000", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


@dataclass(frozen=True)
class Statement:
    """One statement of a text: the text, and its tokens, whose positions are those in the text."""

    text: str
    tokens: Sequence[Token]

    def word(self, at: int) -> str:
        """Return the token at a place in upper case, if it is a word or a sign; else an empty text."""
        return self._words[at] if 0 <= at < len(self.tokens) else ""

    @cached_property
    def _words(self) -> list[str]:
        none = {*_STRINGS, TokenType.IDENTIFIER}
        return ["" if token.token_type in none else token.text.upper() for token in self.tokens]

    def is_string(self, at: int) -> bool:
        """Tell whether the token at a place is a text in quotes."""
        return 0 <= at < len(self.tokens) and self.tokens[at].token_type in _STRINGS

    def source(self, first: int, last: int) -> str:
        """Return the text from one token to another, both included, as it was written."""
        return self.text[self.tokens[first].start : self.tokens[last].end + 1]

    def name(self, at: int) -> str:
        """Return the token at a place as PostgreSQL takes it for a name.

        One that begins with # is that of a temporary table; one in quotes is folded like any other.
        """
        token = self.tokens[at]
        if token.token_type == TokenType.VAR and token.text.startswith("#"):
            return f'"{token.text.lower()}"'
        written = self.source(at, at)
        return written.lower() if token.token_type == TokenType.IDENTIFIER else written

    def closing(self, opening: int) -> int:
        """Return the place of the bracket that closes the one at `opening`."""
        depth = 0
        for at in range(opening, len(self.tokens)):
            depth += {"(": 1, ")": -1}.get(self.word(at), 0)
            if depth == 0:
                return at
        raise RefusedError("syntax error at end of input: a bracket is not closed", "42601")


@lru_cache(maxsize=512)
def split(sql: str) -> tuple[Statement, ...]:
    """Return the statements of a text, without those that are empty; the semicolons are in none."""
    # sqlglot would read $1,$ as the beginning of a text in dollars.
    marked = _PARAMETER.sub(_STAND_IN, sql)
    try:
        tokens = _Tokenizer().tokenize(marked)
    except TokenError as error:
        raise RefusedError(f"syntax error: {error}", "42601") from error
    if marked != sql:
        for token in tokens:
            token.text = token.text.replace(_STAND_IN, "$")
    found, first = [], 0
    for at in range(len(tokens) + 1):
        if at == len(tokens) or tokens[at].token_type == TokenType.SEMICOLON:
            if at > first:
                found.append(Statement(sql, tokens[first:at]))
            first = at + 1
    return tuple(found)


@dataclass
class Copy:
    """A COPY: its table and columns as written, where from, and how the files are."""

    table: str
    columns: list[str]
    bucket: str
    prefix: str
    format: str = "text"  # text, csv, json, parquet
    delimiter: str = "|"
    quote: str = '"'
    compression: str = ""  # gzip, zstd
    null: str = r"\N"
    skipped_lines: int = 0
    manifest: bool = False
    empty_as_null: bool = False
    blanks_as_null: bool = False
    escape: bool = False
    round_decimals: bool = False
    truncate_columns: bool = False
    trim_blanks: bool = False
    ignore_case: bool = False
    serialize_to_json: bool = False
    date_format: str = "auto"
    time_format: str = "auto"
    given: set[str] = field(default_factory=set)


@dataclass
class Unload:
    """An UNLOAD: its query, where to, and how the files are to be."""

    query: str
    bucket: str
    prefix: str
    format: str = "text"
    delimiter: str = "|"
    quoted: bool = False
    compression: str = ""
    null: str = ""
    header: bool = False
    manifest: bool = False
    verbose: bool = False
    overwrite: bool = False
    clean: bool = False
    parallel: bool = True
    extension: str = ""
    max_file_bytes: int = 6_200_000_000


class _Reader:
    """Reads a statement's options one by one."""

    def __init__(self, statement: Statement, at: int) -> None:
        self.statement = statement
        self.at = at

    def word(self) -> str:
        """Take the next word."""
        word = self.statement.word(self.at)
        if not word:
            self.refuse()
        self.at += 1
        return word

    def take(self, *words: str) -> bool:
        """Take these words if they come next, and tell whether they did."""
        if [self.statement.word(self.at + step) for step in range(len(words))] != list(words):
            return False
        self.at += len(words)
        return True

    def string(self) -> str:
        """Take the next text in quotes, after AS or not."""
        self.take("AS")
        if not self.statement.is_string(self.at):
            self.refuse()
        self.at += 1
        return str(self.statement.tokens[self.at - 1].text)

    def number(self) -> int:
        """Take the next whole number, after AS or not, in quotes or not."""
        self.take("AS")
        token = self.statement.tokens[self.at] if self.at < len(self.statement.tokens) else None
        if token is None or not token.text.isdigit():
            self.refuse()
        self.at += 1
        return int(self.statement.tokens[self.at - 1].text)

    def switch(self) -> bool:
        """Take ON or OFF, or TRUE or FALSE, if one comes next."""
        if self.take("OFF") or self.take("FALSE"):
            return False
        _ = self.take("ON") or self.take("TRUE")
        return True

    def refuse(self) -> None:
        """Raise RefusedError for what comes next."""
        if self.at >= len(self.statement.tokens):
            raise RefusedError("syntax error at end of input", "42601")
        raise RefusedError(f'syntax error at or near "{self.statement.tokens[self.at].text}"', "42601")

    def end(self) -> None:
        """Refuse whatever comes next."""
        if not self.done():
            self.refuse()

    def done(self) -> bool:
        """Tell whether nothing is left."""
        return self.at >= len(self.statement.tokens)


def is_copy(statement: Statement) -> bool:
    """Tell whether it is a COPY from a place outside of the database; a driver's own COPY FROM STDIN is none."""
    if statement.word(0) != "COPY":
        return False
    at = next((at for at in range(len(statement.tokens)) if statement.word(at) == "FROM"), 0)
    return statement.is_string(at + 1)


def is_unload(statement: Statement) -> bool:
    """Tell whether it is an UNLOAD."""
    return statement.word(0) == "UNLOAD"


def parse_copy(statement: Statement) -> Copy:
    """Return what a COPY says; raises RefusedError for what is no COPY, or what the endpoint does not do."""
    end = next(
        (at for at in range(1, len(statement.tokens)) if statement.word(at) in ("(", "FROM")), len(statement.tokens)
    )
    reader = _Reader(statement, end)
    if end == 1:
        reader.refuse()
    table, columns = "".join(statement.name(at) for at in range(1, end)), []
    if statement.word(end) == "(":
        close = statement.closing(end)
        columns = _names(statement, end + 1, close)
        reader.at = close + 1
    if not reader.take("FROM"):
        reader.refuse()
    bucket, prefix = _place(reader.string(), "COPY")
    copy = Copy(table, columns, bucket, prefix)
    while not reader.done():
        name = reader.word()
        copy.given.add(name)
        _COPY_OPTIONS.get(name, _refuse_option("COPY", name))(copy, reader)
    if copy.format == "csv" and "DELIMITER" not in copy.given:
        copy.delimiter = ","
    _check_authorization(copy.given, "COPY")
    _check_copy(copy)
    return copy


def _check_authorization(given: set[str], what: str) -> None:
    if not given & {"IAM_ROLE", "CREDENTIALS", "WITH", "ACCESS_KEY_ID"}:
        raise RefusedError(f"{what} needs an authorization: IAM_ROLE default, or IAM_ROLE 'arn:aws:iam::…'", "42601")


def _check_copy(copy: Copy) -> None:
    conflicts = {
        "csv": ("FIXEDWIDTH", "REMOVEQUOTES", "ESCAPE"),
        "parquet": (
            "NULL", "IGNOREHEADER", "DELIMITER", "TIMEFORMAT", "DATEFORMAT", "GZIP", "ZSTD", "ROUNDEC", "EMPTYASNULL",
            "BLANKSASNULL", "ESCAPE", "TRUNCATECOLUMNS", "TRIMBLANKS",
        ),
    }  # fmt: skip
    for name in conflicts.get(copy.format, ()):
        if name in copy.given:
            raise RefusedError(f"{name} argument is not supported for {copy.format.upper()} based COPY", "42601")


def check_truncate(statement: Statement) -> None:
    """Raise RefusedError for a TRUNCATE of more than one table, or with PostgreSQL's options."""
    at = 2 if statement.word(1) == "TABLE" else 1
    while statement.word(at + 1) == ".":
        at += 2
    _Reader(statement, at + 1).end()


def parse_unload(statement: Statement) -> Unload:
    """Return what an UNLOAD says; raises RefusedError for what is none, or what the endpoint does not do."""
    reader = _Reader(statement, 1)
    if not reader.take("("):
        reader.refuse()
    query = reader.string()
    if statement.tokens[reader.at - 1].token_type != TokenType.HEREDOC_STRING:
        query = query.replace("\\\\", "\\")  # as in any text, a backslash escapes one
    if not (reader.take(")") and reader.take("TO")):
        reader.refuse()
    bucket, prefix = _place(reader.string(), "UNLOAD")
    unload = Unload(query, bucket, prefix)
    given = set()
    while not reader.done():
        name = reader.word()
        given.add(name)
        _UNLOAD_OPTIONS.get(name, _refuse_option("UNLOAD", name))(unload, reader)
    if unload.format == "csv" and "DELIMITER" not in given:
        unload.delimiter = ","
    if unload.format == "parquet" and (wrong := given & {"DELIMITER", "GZIP", "ZSTD", "HEADER", "ADDQUOTES", "NULL"}):
        raise RefusedError(f"{min(wrong)} is not supported for UNLOAD to PARQUET", "42601")
    _check_authorization(given, "UNLOAD")
    if {"CLEANPATH", "ALLOWOVERWRITE"} <= given:
        raise RefusedError("CLEANPATH and ALLOWOVERWRITE exclude each other in UNLOAD", "42601")
    if unload.format == "csv" and "ADDQUOTES" in given:
        raise RefusedError("ADDQUOTES is not supported for UNLOAD to CSV", "42601")
    return unload


def _names(statement: Statement, first: int, end: int) -> list[str]:
    """Return the names in a list of columns, folded, also those in quotes."""
    names = []
    for at in range(first, end):
        if statement.word(at) == ",":
            continue
        names.append(statement.tokens[at].text.lower())
    return names


def _place(url: str, what: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() != "s3" or not bucket:
        raise RefusedError(
            f"{what} reads and writes s3:// here, not {url!r}", hint="DynamoDB, EMR and SSH are no sources here."
        )
    return bucket, key


def _refuse_option(statement: str, name: str) -> Callable[[object, _Reader], None]:
    def refuse(_statement: object, _reader: _Reader) -> None:
        raise RefusedError(f"{statement} with {name} is not supported by the local Redshift endpoint")

    return refuse


def _set(attribute: str, value: object) -> Callable[[object, _Reader], None]:
    return lambda statement, _reader: setattr(statement, attribute, value)


def _string(attribute: str) -> Callable[[object, _Reader], None]:
    return lambda statement, reader: setattr(statement, attribute, reader.string())


def _character(attribute: str) -> Callable[[object, _Reader], None]:
    def take(statement: object, reader: _Reader) -> None:
        text = reader.string().replace("\\t", "\t")
        if len(text.encode()) != 1:
            raise RefusedError(f"COPY and UNLOAD take a single ASCII character here, not {text!r}", "42601")
        setattr(statement, attribute, text)

    return take


def _ignored_string(_statement: object, reader: _Reader) -> None:
    reader.string()


def _ignored_switch(_statement: object, reader: _Reader) -> None:
    if not (reader.take("PRESET") or reader.take("SAMPLE")):
        reader.switch()


def _role(_statement: object, reader: _Reader) -> None:
    if not reader.take("DEFAULT"):
        reader.string()


def _with_credentials(_statement: object, reader: _Reader) -> None:
    if not reader.take("CREDENTIALS"):
        reader.refuse()
    reader.string()


def _format(statement: object, reader: _Reader) -> None:
    reader.take("AS")
    name = reader.word()
    if name == "JSON" and isinstance(statement, Copy):
        _json(statement, reader)
        return
    if name not in ("CSV", "PARQUET"):
        raise RefusedError(f"FORMAT {name} is not supported by the local Redshift endpoint: CSV and PARQUET are")
    setattr(statement, "format", name.lower())  # noqa: B010 - of a COPY or of an UNLOAD


def _json(statement: object, reader: _Reader) -> None:
    reader.take("AS")
    how = reader.string() if reader.statement.is_string(reader.at) else "auto"
    if how not in ("auto", "auto ignorecase"):
        raise RefusedError(f"JSON {how!r} is not supported by the local Redshift endpoint: 'auto' is")
    setattr(statement, "format", "json")  # noqa: B010
    setattr(statement, "ignore_case", how != "auto")  # noqa: B010


def _no_errors(_statement: object, reader: _Reader) -> None:
    if count := reader.number():
        raise RefusedError(f"MAXERROR {count} is not supported by the local Redshift endpoint: 0 is")


def _skipped(statement: object, reader: _Reader) -> None:
    setattr(statement, "skipped_lines", reader.number())  # noqa: B010


def _null(statement: object, reader: _Reader) -> None:
    setattr(statement, "null", reader.string())  # noqa: B010


def _manifest(statement: object, reader: _Reader) -> None:
    setattr(statement, "manifest", True)  # noqa: B010
    if isinstance(statement, Unload):
        statement.verbose = reader.take("VERBOSE")


def _parallel(statement: object, reader: _Reader) -> None:
    setattr(statement, "parallel", reader.switch())  # noqa: B010


def _max_file_size(statement: object, reader: _Reader) -> None:
    size = reader.number()
    unit = 1024**3 if reader.take("GB") else 1024**2
    reader.take("MB")
    setattr(statement, "max_file_bytes", size * unit)  # noqa: B010


# Where the role or the keys are named, they are taken and forgotten: the emulator asks for none.
_AUTHORIZATION: dict[str, Callable[[object, _Reader], None]] = {
    "IAM_ROLE": _role,
    "CREDENTIALS": _ignored_string,
    "WITH": _with_credentials,
    "ACCESS_KEY_ID": _ignored_string,
    "SECRET_ACCESS_KEY": _ignored_string,
    "SESSION_TOKEN": _ignored_string,
    "REGION": _ignored_string,
}

_COPY_OPTIONS: dict[str, Callable[[object, _Reader], None]] = {
    **_AUTHORIZATION,
    "FORMAT": _format,
    "CSV": _set("format", "csv"),
    "PARQUET": _set("format", "parquet"),
    "JSON": _json,
    "SERIALIZETOJSON": _set("serialize_to_json", True),
    "MAXERROR": _no_errors,
    "QUOTE": _character("quote"),
    "DELIMITER": _character("delimiter"),
    "GZIP": _set("compression", "gzip"),
    "ZSTD": _set("compression", "zstd"),
    "MANIFEST": _manifest,
    "NULL": _null,
    "IGNOREHEADER": _skipped,
    "EMPTYASNULL": _set("empty_as_null", True),
    "BLANKSASNULL": _set("blanks_as_null", True),
    "ESCAPE": _set("escape", True),
    "ROUNDEC": _set("round_decimals", True),
    "TRUNCATECOLUMNS": _set("truncate_columns", True),
    "TRIMBLANKS": _set("trim_blanks", True),
    "TIMEFORMAT": _string("time_format"),
    "DATEFORMAT": _string("date_format"),
    # They change how Redshift stores and plans, and nothing here.
    "COMPUPDATE": _ignored_switch,
    "STATUPDATE": _ignored_switch,
}

_UNLOAD_OPTIONS: dict[str, Callable[[object, _Reader], None]] = {
    **_AUTHORIZATION,
    "FORMAT": _format,
    "CSV": _set("format", "csv"),
    "PARQUET": _set("format", "parquet"),
    "DELIMITER": _character("delimiter"),
    "GZIP": _set("compression", "gzip"),
    "ZSTD": _set("compression", "zstd"),
    "NULL": _null,
    "HEADER": _set("header", True),
    "ADDQUOTES": _set("quoted", True),
    "MANIFEST": _manifest,
    "ALLOWOVERWRITE": _set("overwrite", True),
    "CLEANPATH": _set("clean", True),
    "PARALLEL": _parallel,
    "MAXFILESIZE": _max_file_size,
    "EXTENSION": _string("extension"),
}
