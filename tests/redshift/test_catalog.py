"""The database behind the Redshift endpoint: what Redshift's documentation says of its functions, views and tables.

In the examples, the page is that of the Amazon Redshift Database Developer Guide; the endpoint makes a text of a part
of a date that is written bare, so the examples have it as one.
"""

# ruff: noqa: DTZ001 - a TIMESTAMP has no time zone

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from local import postgres
from local.platform import Platform
from local.redshift import catalog

Connection = psycopg.Connection[tuple[object, ...]]
SHA1 = hashlib.sha1(b"Amazon Redshift").hexdigest()  # noqa: S324 - not for security
USER = "store_writer"  # one who is no superuser


@pytest.fixture(scope="module")
def database(platform: Platform) -> Iterator[str]:
    """A database with the catalog, in which USER may make schemas."""
    name = f"warehouse_{uuid.uuid4().hex[:12]}"
    with postgres.connect(platform.state) as connection:
        postgres.create_database(connection, name, postgres.SUPERUSER)
        connection.execute(f"grant create on database {name} to {USER}")
    with postgres.connect(platform.state, name) as connection:
        assert catalog.install(connection)
        connection.execute(f"create schema play authorization {USER}")
    yield name
    with postgres.connect(platform.state) as connection:
        postgres.drop_database(connection, name)


@pytest.fixture(scope="module")
def connect(platform: Platform, database: str) -> Callable[..., Connection]:
    """Open a session, of USER unless another role is named, in schema play."""

    def opened(role: str = USER) -> Connection:
        connection = postgres.connect(platform.state, database, role)
        connection.execute("set search_path = play")
        return connection

    return opened


@pytest.fixture(scope="module")
def shared(connect: Callable[..., Connection]) -> Iterator[Connection]:
    """One session for what only asks."""
    with connect() as connection:
        yield connection


@pytest.fixture
def session(connect: Callable[..., Connection]) -> Iterator[Connection]:
    """A session of USER; what it makes is gone after the test."""
    with connect() as connection:
        yield connection
        connection.rollback()
        connection.execute("drop owned by current_user cascade")
        connection.execute("create schema play")


def asked(connection: Connection, query: str, *parameters: object) -> object:
    """Return the one value of the one row."""
    rows = connection.execute(query.encode(), parameters or None).fetchall()
    assert len(rows) == 1
    assert len(rows[0]) == 1
    return rows[0][0]


EXAMPLES: dict[str, list[tuple[str, object]]] = {
    "DATEADD function": [
        ("dateadd('day', 30, date '2008-11-01')", datetime(2008, 12, 1)),
        ("dateadd('month', 18, '2008-02-28')", datetime(2009, 8, 28)),
        ("dateadd('m', 30, '2008-02-28')", datetime(2008, 2, 28, 0, 30)),
        ("dateadd('minute', 5, time '00:00:00.5550')", time(0, 5, 0, 555000)),
        ("dateadd('hour', 8, time '13:24:55')", time(21, 24, 55)),
        ("dateadd('hour', 12, time '13:24:55')", time(1, 24, 55)),
        ("dateadd('minute', 5, timetz '05:58:00+00')", time(6, 3, tzinfo=UTC)),
        ("dateadd('hour', 2, timetz '13:24:55 PST')", time(23, 24, 55, tzinfo=UTC)),
        ("dateadd('month', 1, '2008-04-30')", datetime(2008, 5, 30)),
        ("dateadd('month', 12, '2016-02-29')", datetime(2017, 2, 28)),
        ("dateadd('year', 1, '2016-02-29')", datetime(2017, 3, 1)),
        # and what it says without an example
        ("dateadd('year', 4, '2016-02-29')", datetime(2020, 2, 29)),
        ("dateadd('yr', -1, timestamp '2016-02-29 10:00')", datetime(2015, 3, 1, 10)),
        ("dateadd('qtr', 2, timestamp '2024-11-30')", datetime(2025, 5, 30)),
        ("dateadd('w', -1, timestamp '2024-01-03')", datetime(2023, 12, 27)),
        ("dateadd('mil', 1, timestamp '1024-01-03')", datetime(2024, 1, 3)),
        ("dateadd('cent', 1, timestamp '1924-01-03')", datetime(2024, 1, 3)),
        ("dateadd('decs', 1, timestamp '2014-01-03')", datetime(2024, 1, 3)),
        ("dateadd('ms', 1500, timestamp '2024-01-01')", datetime(2024, 1, 1, 0, 0, 1, 500000)),
        ("dateadd('us', 15, timestamp '2024-01-01')", datetime(2024, 1, 1, 0, 0, 0, 15)),
        ("dateadd('sec', 4000000000, timestamp '2024-01-01')", datetime(2150, 10, 3, 7, 6, 40)),
        ("dateadd('day', 1, timestamptz '2024-01-01 12:00+01')", datetime(2024, 1, 2, 11, tzinfo=UTC)),
        ("dateadd('hour', 1, timestamptz '2024-01-01 12:00+01')", datetime(2024, 1, 1, 12, tzinfo=UTC)),
        ("dateadd('day', null, timestamp '2024-01-01')", None),
    ],
    "DATEDIFF function": [
        ("datediff('year', '12-31-2008', '01-01-2009')", 1),
        ("datediff('hour', '01-01-2009 8:30:00', '01-01-2009 10:00:00')", 2),
        ("datediff('week', '2009-01-01', '2009-12-31')", 52),
        (
            "datediff('qtr', '1998-07-01', date '2008-06-05')",
            39,
        ),  # the page says 40: 1998's third to 2008's second is 39
        ("datediff('hour', '2023-01-01', '2023-01-03 05:04:03')", 53),
        ("datediff('days', 'Jun 1,2008 09:59:59 EST', 'Jul 4,2008 09:59:59 EST')", 33),
        ("datediff('hour', time '20:00:00', time '15:24:45')", -5),
        ("datediff('hour', time '00:00:00.5550', time '15:24:45')", 15),
        ("datediff('minute', time '20:00:00', time '21:00:00')", 60),
        ("datediff('hours', timetz '20:00:00 PST', timetz '04:00:00+00')", 0),
        ("datediff('hours', timetz '20:00:00 PST', timetz '00:00:00.5550+00')", -4),
        ("datediff('hours', timetz '20:00:00 PST', timetz '05:58:00+00')", 1),
        ("datediff('hours', timetz '20:00:00 PST', timetz '00:58:00 EST')", 1),
        # boundaries, not time that passed
        ("datediff('hour', timestamp '2024-01-01 00:59:59.999999', timestamp '2024-01-01 01:00')", 1),
        ("datediff('hour', timestamp '2024-01-01 01:00', timestamp '2024-01-01 01:59:59.999999')", 0),
        ("datediff('day', timestamp '2024-01-01 23:59:59', timestamp '2024-01-02')", 1),
        ("datediff('month', date '2024-01-31', date '2024-02-01')", 1),
        ("datediff('month', date '2024-02-01', date '2024-01-31')", -1),
        ("datediff('dec', date '2019-12-31', date '2020-01-01')", 1),
        ("datediff('c', date '2000-12-31', date '2001-01-01')", 1),
        ("datediff('mil', date '2000-12-31', date '2001-01-01')", 1),
        ("datediff('week', date '2024-01-06', date '2024-01-07')", 1),  # Saturday, Sunday
        ("datediff('week', date '2024-01-07', date '2024-01-13')", 0),  # Sunday, Saturday
        ("datediff('week', date '1969-12-27', date '1969-12-28')", 1),
        ("datediff('s', timestamp '1969-12-31 23:59:59.9', timestamp '1970-01-01')", 1),
        ("datediff('ms', timestamp '2024-01-01', timestamp '2024-01-01 00:00:01.5')", 1500),
        ("datediff('us', timestamp '2024-01-01', timestamp '2025-01-01 00:00:00.000001')", 31622400000001),
        ("datediff('hour', '2023-01-01 05:00', date '2023-01-02')", 19),
        ("datediff('hour', date '2023-01-02', '2023-01-01 05:00')", -19),
        ("datediff('hour', timestamp '2023-01-02', date '2023-01-03')", 24),
        ("datediff('hour', timestamptz '2023-01-02 00:00+00', timestamp '2023-01-03')", 24),
        ("datediff('hour', '2023-01-02', timestamptz '2023-01-03 00:00+00')", 24),
        ("datediff('hour', timestamptz '2023-01-03 00:00+00', '2023-01-02')", -24),
        ("datediff('hour', '2023-01-02', timestamp '2023-01-03')", 24),
        ("datediff('hour', timestamp '2023-01-03', '2023-01-02')", -24),
        ("datediff('day', null::date, date '2023-01-02')", None),
    ],
    "DATE_PART function": [
        ("date_part('minute', timestamp '20230104 04:05:06.789')", 5.0),  # the page says 6
        ("date_part('week', timestamp '20220502 04:05:06.789')", 18.0),
        ("date_part('day', timestamp '20220502 04:05:06.789')", 2.0),
        ("date_part('dayofweek', timestamp '20220502 04:05:06.789')", 1.0),
        ("date_part('century', timestamp '20220502 04:05:06.789')", 21.0),
        ("date_part('month', date '20220502')", 5.0),
        ("date_part('w', timestamp '2008-06-17 09:44:54')", 25.0),
        ("date_part('dow', timestamp '2008-01-05 14:00:00')", 6.0),
        ("date_part('yr', '2008-01-05')", 2008.0),
        ("date_part('qtrs', timestamptz '2008-05-05 00:00+00')", 2.0),
        ("date_part('yearday', date '2008-02-01')", 32.0),
        ("date_part('hr', time '07:08')", 7.0),
        ("date_part('min', timetz '07:08+00')", 8.0),
        ("date_part('epoch', interval '1 minute')", 60.0),
        ("pgdate_part('decs', timestamp '2010-02-16 20:38:40')", 202.0),
    ],
    "Date parts for date or timestamp functions": [
        ("date_part('sec', timestamp '2009-09-21 11:10:03.189717')", 3.189717),
        ("extract(sec from timestamp '2009-09-21 11:10:03.189717')", 3),
        ("extract(century from timestamp '2000-12-16 12:21:13')", 20),
        ("extract(century from timestamp '2001-12-16 12:21:13')", 21),
        ("date_part('epoch', timestamp '2008-01-01 20:00:00')", 1199217600.0),
        ("extract(decade from timestamp '1999-02-16 20:38:40')", 200),
        ("extract(decade from timestamp '2000-02-16 20:38:40')", 201),
        ("extract(decade from timestamp '2010-02-16 20:38:40')", 202),
        ("extract(mil from timestamp '2000-12-16 12:21:13')", 2),
        ("extract(mil from timestamp '2001-12-16 12:21:13')", 3),
    ],
    "EXTRACT function": [
        ("extract(minute from timestamp '2009-09-09 12:08:43')", 8),
        ("extract(ms from timestamp '2009-09-09 12:08:43.101')", 101),
        ("extract(year from timestamptz '1.12.1997 07:37:16.00 PST')", 1997.0),
        ("extract(minute from time '00:58:00')", 58),
        ("extract(ms from time '18:25:33.123456')", 123),
        ("extract(hour from timetz '04:00:00+00')", 4),
        ("extract(ms from timetz '18:25:33.123456 EST')", 123),
        ("extract(us from time '18:25:33.123456')", 456),
        ("extract(day from date '2024-05-06')", 6),
        ("extract(epoch from timestamp '1970-01-02')", 86400),
        ("extract(epoch from timestamptz '1970-01-01 00:00:00.5+00')", 0.5),
        ("extract(decade from timestamptz '1999-02-16 20:38:40+00')", 200.0),
    ],
    "DATE_TRUNC function": [
        ("date_trunc('second', timestamp '20200430 04:05:06.789')", datetime(2020, 4, 30, 4, 5, 6)),
        ("date_trunc('month', timestamp '20200430 04:05:06.789')", datetime(2020, 4, 1)),
        ("date_trunc('quarter', timestamp '20200430 04:05:06.789')", datetime(2020, 4, 1)),
        ("date_trunc('millennium', timestamp '20200430 04:05:06.789')", datetime(2001, 1, 1)),
        ("date_trunc('week', timestamp '20220430 04:05:06.789')", datetime(2022, 4, 25)),
        ("date_trunc('qtrs', date '2020-05-30')", datetime(2020, 4, 1)),
        ("date_trunc('month', '2020-05-30')", datetime(2020, 5, 1)),
        ("date_trunc('month', timestamptz '2020-05-30 00:00+00')", datetime(2020, 5, 1, tzinfo=UTC)),
    ],
    "ADD_MONTHS function": [
        ("add_months('2008-03-31', 1)", datetime(2008, 4, 30)),
        ("add_months('2008-04-30', 1)", datetime(2008, 5, 31)),
        ("trunc(add_months(date '2008-01-02', 12))", date(2009, 1, 2)),
        ("add_months(timestamp '2024-02-29 10:00', -12)", datetime(2023, 2, 28, 10)),
        ("add_months(timestamp '2024-01-30 10:00', 1)", datetime(2024, 2, 29, 10)),
        ("add_months(timestamptz '2024-01-15 10:00+00', 1)", datetime(2024, 2, 15, 10)),
    ],
    "MONTHS_BETWEEN function": [
        ("months_between('1969-01-18', '1969-03-18')", -2.0),
        (
            "round(months_between(timestamp '2008-12-25 15:00', timestamp '2008-01-21 19:30')::numeric, 2)",
            Decimal("11.12"),
        ),
        (
            "round(months_between(timestamp '2008-12-01 19:30', timestamp '2008-01-03 15:00')::numeric, 2)",
            Decimal("10.94"),
        ),
        (
            "round(months_between(timestamp '2008-12-07 14:00', timestamp '2008-01-16 19:30')::numeric, 2)",
            Decimal("10.70"),
        ),
        (
            "round(months_between(timestamp '2008-12-15 15:00', timestamp '2008-01-21 19:00')::numeric, 2)",
            Decimal("10.80"),
        ),
        (
            "round(months_between(timestamp '2008-12-19 19:00', timestamp '2008-01-08 19:30')::numeric, 2)",
            Decimal("11.35"),
        ),
        ("months_between(date '2014-08-31', date '2014-09-30')", -1.0),
        ("months_between(timestamptz '2014-02-15 10:00+00', timestamptz '2014-01-15 09:00+00')", 1.0),
        ("months_between(null::date, date '2014-09-30')", None),
    ],
    "LAST_DAY function": [
        ("last_day(timestamp '2014-01-05 10:00')", date(2014, 1, 31)),
        ("last_day(date '2024-02-01')", date(2024, 2, 29)),
        ("last_day('2023-02-28')", date(2023, 2, 28)),
        ("last_day(timestamptz '2023-12-31 23:59:59+00')", date(2023, 12, 31)),
    ],
    "NEXT_DAY function": [
        ("next_day('2014-08-20', 'Tuesday')", date(2014, 8, 26)),
        ("next_day(date '2008-07-06', 'Monday')", date(2008, 7, 7)),
        ("next_day(timestamp '2008-07-01 10:00', 'mo')", date(2008, 7, 7)),
        ("next_day(date '2008-07-07', 'M')", date(2008, 7, 14)),
        ("next_day(timestamptz '2008-07-05 10:00+00', 'Sun')", date(2008, 7, 6)),
    ],
    "CONVERT_TIMEZONE function": [
        ("convert_timezone('PST', timestamp '2008-08-24 09:36:12')", datetime(2008, 8, 24, 1, 36, 12)),
        ("convert_timezone('America/Los_Angeles', timestamp '2008-08-24 09:36:12')", datetime(2008, 8, 24, 2, 36, 12)),
        ("convert_timezone('EST', 'PST', '20080305 12:25:29')", datetime(2008, 3, 5, 9, 25, 29)),
        ("convert_timezone('America/New_York', '2013-02-01 08:00:00')", datetime(2013, 2, 1, 3)),
        ("convert_timezone('America/New_York', '2013-06-01 08:00:00')", datetime(2013, 6, 1, 4)),
        ("convert_timezone('GMT', 'NEWZONE +2', '2014-05-17 12:00:00')", datetime(2014, 5, 17, 10)),
        ("convert_timezone('GMT', 'NEWZONE-2:15', '2014-05-17 12:00:00')", datetime(2014, 5, 17, 14, 15)),
        ("convert_timezone('GMT', 'America/Los_Angeles+2', '2014-05-17 12:00:00')", datetime(2014, 5, 17, 10)),
        ("convert_timezone('GMT', 'GMT+2', '2014-05-17 12:00:00')", datetime(2014, 5, 17, 10)),
        ("convert_timezone('America/New_York', timestamptz '2013-06-01 08:00:00+00')", datetime(2013, 6, 1, 4)),
        ("convert_timezone('UTC', 'EST', timestamptz '2013-06-01 08:00:00+00')", datetime(2013, 6, 1, 3)),
        ("convert_timezone('UTC', 'EST', timestamp '2013-06-01 08:00:00')", datetime(2013, 6, 1, 3)),
    ],
    "TRUNC function": [
        ("trunc(111.15)", Decimal(111)),
        ("trunc(111.15, 1)", Decimal("111.1")),
        ("trunc(111.15, -1)", Decimal(110)),
        ("trunc(timestamp '2011-07-21 10:32:38.248109')", date(2011, 7, 21)),
        ("trunc(date '2008-01-01')", date(2008, 1, 1)),
        ("trunc(timestamptz '2011-07-21 10:32:38+00')", date(2011, 7, 21)),
    ],
    "TO_TIMESTAMP function": [
        (
            "to_timestamp(timestamp '2021-04-05 19:27:53.281812', 'YYYY-MM-DD HH24:MI:SS')",
            datetime(2021, 4, 5, 19, 27, 53, tzinfo=UTC),
        ),
        (
            "to_timestamp('2011-12-18 23:38:15', 'YYYY-MM-DD HH24:MI:SS', true)",
            datetime(2011, 12, 18, 23, 38, 15, tzinfo=UTC),
        ),
    ],
    "DATE_CMP, TIMESTAMP_CMP and INTERVAL_CMP functions": [
        ("date_cmp(date '2008-01-01', '2008-01-04')", -1),
        ("date_cmp(date '2008-01-04', '2008-01-04')", 0),
        ("date_cmp(date '2008-01-05', '2008-01-04')", 1),
        ("date_cmp_timestamp(date '2008-01-04', timestamp '2008-01-04 00:00:01')", -1),
        ("timestamp_cmp(timestamp '2008-01-24 06:43:29', timestamp '2008-02-18 02:36:48')", -1),
        ("timestamp_cmp_date(timestamp '2008-01-24 06:43:29', date '2008-01-24')", 1),
        ("timestamptz_cmp(timestamptz '2008-01-24 06:43:29+00', timestamptz '2008-01-24 07:43:29+01')", 0),
        ("interval_cmp('3 days', '1 year')", -1),
        ("interval_cmp('7 days', '1 week')", 0),
    ],
    "LEN and OCTET_LENGTH functions": [
        ("octet_length('français')", 9),
        ("len('français')", 8),
        ("len('cat')", 3),
        ("len('cat   ')", 6),
        ("len('cat'::char(6))", 3),
        ("octet_length('cat'::char(6))", 3),
        ("octet_length('cat   ')", 6),
        ("len('aaa'::bytea)", 3),
        ("textlen('français')", 8),
    ],
    "CHARINDEX function": [
        ("charindex('dog', 'fish')", 0),
        ("charindex('fish', 'dogfish')", 4),
        ("charindex('h', 'ñandúh')", 6),
        ("charindex('.', 1234.5)", 5),
    ],
    "CONCAT function": [
        ("concat('December 25, ', '2008')", "December 25, 2008"),
        ("concat('Thursday, ', concat('December 25, ', '2008'))", "Thursday, December 25, 2008"),
        ("concat('Ballys Hotel', concat(' seats ', 0))", "Ballys Hotel seats 0"),
        ("concat(0, ' seats')", "0 seats"),
        ("concat('abc'::bytea, 'def'::bytea)", b"abcdef"),
        ("concat('a', null)", None),
    ],
    "REPEAT and REPLICATE functions": [
        ("repeat(10, 3)", "101010"),
        ("replicate('ab', 2)", "abab"),
        ("replicate(7, 2)", "77"),
    ],
    "STRTOL function": [
        ("strtol('0xf', 16)", 15),
        ("strtol('abcd1234', 16)", 2882343476),
        ("strtol('1234567', 10)", 1234567),
        ("strtol('1234567', 8)", 342391),
        ("strtol('110101', 2)", 53),
        (r"strtol('\0', 2)", 0),
        ("strtol('', 10)", 0),
        ("strtol('   -Z', 36)", -35),
        ("strtol('+7fffffffffffffff', 16)", 2**63 - 1),
        ("strtol('-8000000000000000', 16)", -(2**63)),
        ("strtol(null, 16)", None),
    ],
    "TEXT_TO_INT_ALT": [
        ("text_to_int_alt('123-')", -123),
        ("text_to_int_alt('2147483647+')", 2147483647),
        ("text_to_int_alt('-123E-2')", -1),
        ("text_to_int_alt('  ')", 0),
    ],
    "CRC32, SHA and SHA2 functions": [
        # Of SHA the page gives no value: Python's is taken.
        ("crc32('Amazon Redshift')", "f2726906"),
        ("crc32('')", "00000000"),
        ("sha1('Amazon Redshift')", SHA1),
        ("sha('Amazon Redshift')", SHA1),
        ("func_sha1('Amazon Redshift')", SHA1),
        *[
            (f"sha2('Amazon Redshift', {bits})", hashlib.new(f"sha{bits or 256}", b"Amazon Redshift").hexdigest())
            for bits in (0, 224, 256, 384, 512)
        ],
        ("sha2('Amazon Redshift', 100)", ""),
        ("sha2('é', 256)", hashlib.sha256("é".encode()).hexdigest()),
        ("md5('Amazon Redshift')", "f7415e33f972c03abd4f3fed36748f7a"),
    ],
    "REGEXP_COUNT function": [
        ("regexp_count('abcdefghijklmnopqrstuvwxyz', '[a-z]{3}')", 8),
        (r"regexp_count('non.justo.Proin@ametconsectetuer.edu', '@[^.]*\.(org|edu)')", 1),
        (r"regexp_count('elementum@semperpretiumneque.ca', '@[^.]*\.(org|edu)')", 0),
        ("regexp_count('aaa', 'a', 2)", 2),
        ("regexp_count('aaa', 'a', 0)", 3),
        ("regexp_count('aaa', 'a', 9)", 0),
        ("regexp_count('the fox', 'FOX', 1, 'i')", 1),
    ],
    "REGEXP_INSTR function": [
        ("regexp_instr('Cum@accumsan.com', '@[^.]*')", 4),
        ("regexp_instr('The Home Depot Center', '[cC]ent(er|re)$')", 16),
        ("regexp_instr('Air Canada Centre', '[cC]ent(er|re)$')", 12),
        ("regexp_instr('abc', 'x')", 0),
        ("regexp_instr('abcabc', 'b', -3)", 2),
        ("regexp_instr('abcabc', 'b', 1, 2)", 5),
        ("regexp_instr('abcabc', 'b', 1, 2, 1)", 6),
        ("regexp_instr('the fox', '(F)(O)', 1, 1, 0, 'ie')", 5),
    ],
    "REGEXP_SUBSTR function": [
        ("regexp_substr('Suspendisse.tristique@nonnisiAenean.edu', '@[^.]*')", "@nonnisiAenean"),
        ("regexp_substr('the fox', 'FOX', 1, 1, 'i')", "fox"),
        ("regexp_substr('passwd7 plain A1234 a1234', '(?=[^ ]*[a-z])(?=[^ ]*[0-9])[^ ]+', 1, 2, 'p')", "a1234"),
        ("regexp_substr('passwd7 plain A1234 a1234', '(?=[^ ]*[a-z])(?=[^ ]*[0-9])[^ ]+', 1, 2, 'ip')", "A1234"),
        ("regexp_substr('abc', 'x')", ""),
        ("regexp_substr('abc', 'b', 9)", ""),
        ("regexp_substr('abc', 'b', 0)", "b"),
        ("regexp_substr('abc', 'b', 1, 0)", None),
        ("regexp_substr('abc', 'b', 1, 4)", None),
        ("regexp_substr('key=value', '[a-z]+=([a-z]+)', 1, 1, 'e')", "value"),
        ("regexp_substr('key=value', '[a-z]+=', 1, 1, 'e')", "key="),
        ("regexp_substr(null, 'b')", None),
    ],
    "REGEXP_REPLACE function": [
        (
            r"regexp_replace('Etiam.laoreet.libero@sodalesMaurisblandit.edu', '@.*\.(org|gov|com|edu|ca)$')",
            "Etiam.laoreet.libero",
        ),
        (
            r"regexp_replace('sed@lacusUtnec.ca', '@.*\.[[:alpha:]]{2,3}', '@internal.company.com')",
            "sed@internal.company.com",
        ),
        ("regexp_replace('the fox', 'FOX', 'quick brown fox', 1, 'i')", "the quick brown fox"),
        (
            "regexp_replace('passwd7 plain A1234 a1234', '(?=[^ ]*[a-z])(?=[^ ]*[0-9])[^ ]+', '[hidden]', 1, 'p')",
            "[hidden] plain A1234 [hidden]",
        ),
        (
            "regexp_replace('passwd7 plain A1234 a1234', '(?=[^ ]*[a-z])(?=[^ ]*[0-9])[^ ]+', '[hidden]', 1, 'ip')",
            "[hidden] plain [hidden] [hidden]",
        ),
        ("regexp_replace('aaa', 'a', 'b')", "bbb"),
        ("regexp_replace('aaa', 'a', 'b', 2)", "abb"),
        ("regexp_replace('aaa', 'a', 'b', 9)", "aaa"),
        ("regexp_replace('ab', '(a)(b)', '$2$1', 1, 'p')", "ba"),
        ("regexp_replace('ab', 'a', null)", None),
    ],
    "JSON_EXTRACT_PATH_TEXT function": [
        ("""json_extract_path_text('{"f2":{"f3":1},"f4":{"f5":99,"f6":"star"}}', 'f4', 'f6')""", "star"),
        ("""json_extract_path_text('{"f2":{"f3":1},"f4":{"f5":99,"f6":"star"}', 'f4', 'f6', true)""", None),
        ("""json_extract_path_text('{"a":{"b":{"c":{"d":{"e":5}}}}}', 'a', 'b', 'c', 'd', 'e')""", "5"),
        ("""json_extract_path_text('{"a":{"b":{"c":{"d":{"e":5}}}}}', 'a', 'b', 'c', 'd', 'e', true)""", "5"),
        ("""json_extract_path_text('{"a":{"b":{"c":{"d":{"e":5}}}}}', 'a', 'b', 'c', 'd', true)""", '{"e":5}'),
        ("""json_extract_path_text('{"a":{"b":{"c":{"d":{"e":5}}}}}', 'a', 'b', 'c', false)""", '{"d":{"e":5}}'),
        ("""json_extract_path_text('{"a":1}', 'a', true)""", "1"),
        ("""json_extract_path_text('{"a":1}', 'A')""", None),
    ],
    "JSON_EXTRACT_ARRAY_ELEMENT_TEXT function": [
        ("json_extract_array_element_text('[111,112,113]', 2)", "113"),
        ("""json_extract_array_element_text('["a",["b",1,["c",2,3,null,]]]', 1, true)""", None),
        ("json_extract_array_element_text('[111,112,113]', -1)", None),
        ("json_extract_array_element_text('[111,112,113]', 3)", None),
    ],
    "JSON_ARRAY_LENGTH function": [
        ("""json_array_length('[11,12,13,{"f1":21,"f2":[25,26]},14]')""", 5),
        ("""json_array_length('[11,12,13,{"f1":21,"f2":[25,26]},14', true)""", None),
    ],
    "IS_VALID_JSON and IS_VALID_JSON_ARRAY functions": [
        ("""is_valid_json('{"a":2}')""", True),
        ("""is_valid_json('{"a":{"b":{"c":1}}}')""", True),
        ("""is_valid_json('{"a": [1,2,"b"]}')""", True),
        ("is_valid_json('{{}}')", False),
        ("""is_valid_json('{1:"a"}')""", False),
        ("is_valid_json('[1,2,3]')", False),
        ("is_valid_json_array('[]')", True),
        ("""is_valid_json_array('["a",["b",1,["c",2,3,null]]]')""", True),
        ("""is_valid_json_array('{"a":1}')""", False),
        ("is_valid_json_array('a')", False),
        ("is_valid_json_array('[1,2,]')", False),
        ("can_json_parse('[1]')", True),
        ("can_json_parse('[1')", False),
    ],
    "JSON_PARSE and JSON_SERIALIZE functions": [
        ("""json_typeof(json_parse('[10001,10002,"abc"]'))""", "array"),
        ("""json_serialize(json_parse('[10001,10002,"abc"]'))""", '[10001,10002,"abc"]'),
        (
            r"""json_serialize(json_parse('{"a, b": "c: d", "e": ["\", ", {"f": null}]}'))""",
            r'{"e":["\", ",{"f":null}],"a, b":"c: d"}',
        ),
    ],
    "PG_LAST_COPY_COUNT and its like": [
        ("pg_last_copy_count()", 0),
        ("pg_last_copy_id()", -1),
        ("pg_last_unload_count()", 0),
        ("pg_last_unload_id()", -1),
        ("pg_last_query_id()", -1),
    ],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [pytest.param(*example, id=example[0]) for page in EXAMPLES.values() for example in page],
)
def test_a_function_gives_what_the_documentation_says(shared: Connection, expression: str, expected: object) -> None:
    value = asked(shared, f"select {expression}")
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("dateadd('fortnight', 1, timestamp '2024-01-01')", errors.InvalidParameterValue),
        ("dateadd('day', 1, time '10:00')", errors.InvalidParameterValue),
        ("datediff('fortnight', timestamp '2024-01-01', timestamp '2024-01-01')", errors.InvalidParameterValue),
        ("datediff('day', time '10:00', time '11:00')", errors.InvalidParameterValue),
        ("next_day(date '2024-01-01', 'Freeday')", errors.InvalidParameterValue),
        ("strtol('12a', 10)", errors.InvalidTextRepresentation),
        ("strtol('-', 10)", errors.InvalidTextRepresentation),
        ("strtol('8000000000000000', 16)", errors.NumericValueOutOfRange),
        ("strtol('1', 37)", errors.InvalidParameterValue),
        ("regexp_count('a', 'a', 1, 'g')", errors.InvalidParameterValue),
        ("to_timestamp('2011-12-18 24:38:15', 'YYYY-MM-DD HH24:MI:SS', true)", errors.DatetimeFieldOverflow),
        ("""json_extract_path_text('{"f2":{"f3":1},"f4":{"f5":99,"f6":"star"}', 'f4', 'f6')""", errors.DataError),
        ("""json_extract_array_element_text('["a",["b",1,["c",2,3,null,]]]', 1)""", errors.DataError),
        ("""json_array_length('[11,12,13,{"f1":21,"f2":[25,26]},14')""", errors.DataError),
        ("json_parse('{')", errors.DataError),
        ("concat('a', 'b', 'c')", errors.UndefinedFunction),
        ("merge_must_match_once(2)", errors.CardinalityViolation),
        ("redshift_fail()", errors.InternalError_),
    ],
)
def test_what_redshift_refuses_is_refused(
    connect: Callable[..., Connection], expression: str, error: type[psycopg.Error]
) -> None:
    with connect() as connection, pytest.raises(error):
        connection.execute(f"select {expression}".encode())


def test_a_merge_that_matches_twice_has_redshifts_words(connect: Callable[..., Connection]) -> None:
    with connect() as connection:
        assert asked(connection, "select merge_must_match_once(1)") == 1
        with pytest.raises(errors.CardinalityViolation, match=r"^Found multiple matches to update the same tuple"):
            connection.execute("select merge_must_match_once(2)")


def test_all_names_of_the_parts_of_a_date_are_known(shared: Connection) -> None:
    """The table of "Date parts for date or timestamp functions"."""
    names = {
        "millennium": "millennium millennia mil mils",
        "century": "century centuries c cent cents",
        "decade": "decade decades dec decs",
        "year": "year years y yr yrs",
        "quarter": "quarter quarters qtr qtrs",
        "month": "month months mon mons",
        "week": "week weeks w",
        "day": "day days d",
        "hour": "hour hours h hr hrs",
        "minute": "minute minutes m min mins",
        "second": "second seconds s sec secs",
        "millisecond": "millisecond milliseconds ms msec msecs msecond mseconds millisec millisecs millisecon",
        "microsecond": "microsecond microseconds microsec microsecs usecond useconds us usec usecs",
    }
    for part, known in names.items():
        for name in [*known.split(), part.upper()]:
            query = (
                "select dateadd(%(p)s, 2, timestamp '2024-01-01'), datediff(%(p)s, '2024-01-01', '2030-03-03'),"
                " date_part(%(p)s, timestamp '2024-05-06'), date_trunc(%(p)s, timestamp '2024-05-06')"
            )
            rows = [shared.execute(query, {"p": spelt}).fetchone() for spelt in (name, part)]
            assert rows[0] == rows[1], name


def test_a_part_that_comes_from_a_column_is_understood(session: Connection) -> None:
    session.execute("create table parts as select unnest(array['yr', 'mon']) as part")
    found = session.execute("select datediff(part, '2023-12-31', '2024-01-01') from parts").fetchall()
    assert found == [(1,), (1,)]


def test_now_has_no_time_zone(connect: Callable[..., Connection]) -> None:
    """SYSDATE is the transaction's, with fractions; GETDATE is the statement's, in whole seconds."""
    with connect() as connection, connection.transaction():
        row = connection.execute(
            "select getdate() = date_trunc('second', statement_timestamp() at time zone 'UTC'),"
            " sysdate() = now() at time zone 'UTC', pg_typeof(getdate())::text, pg_typeof(sysdate())::text"
        ).fetchone()
    assert row == (True, True, "timestamp without time zone", "timestamp without time zone")


def test_the_session_time_zone_holds_for_now(connect: Callable[..., Connection]) -> None:
    with connect() as connection:
        connection.execute("set timezone = 'Asia/Tokyo'")
        assert asked(connection, "select datediff('hour', now() at time zone 'UTC', sysdate())") == 9


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("(1), (2), (10)", Decimal(2)),
        ("(1), (2)", Decimal("1.5")),
        ("(null), (3), (1), (null)", Decimal(2)),
        ("(1.10), (2.25)", Decimal("1.675")),
        ("(1.5::float8), (2.5)", 2.0),
        ("(null::int)", None),
    ],
)
def test_the_median_is_the_middle(shared: Connection, values: str, expected: object) -> None:
    """MEDIAN function: NULLs are ignored, DECIMAL of integers and decimals, DOUBLE PRECISION of floats."""
    value = asked(shared, f"select median(v) from (values {values}) as t (v)")
    assert value == expected
    assert type(value) is type(expected)


def test_a_median_may_look_through_a_window(shared: Connection) -> None:
    query = "select median(v) over (partition by v % 2) from (values (1), (2), (3), (4)) as t (v) order by v"
    assert [row[0] for row in shared.execute(query).fetchall()] == [2, 3, 2, 3]


def test_any_value_is_one_of_them(shared: Connection) -> None:
    assert asked(shared, "select any_value(v) from (values (null), (4), (4)) as t (v)") == 4


def test_what_the_endpoint_set_is_what_was_done_last(connect: Callable[..., Connection]) -> None:
    with connect() as connection:
        for name in ("copy_count", "copy_id", "unload_count", "unload_id", "query_id"):
            connection.execute(f"set redshift.last_{name} = '192497'")
            assert asked(connection, f"select pg_last_{name}()") == 192497
        assert asked(connection, "select current_user_id()") == asked(
            connection, f"select usesysid::int from pg_user where usename = '{USER}'"
        )


# --- Keys that are noted and not enforced


def key_of(connection: Connection, table: str) -> list[str]:
    """Return the primary key's columns, by the query of the provider's RedshiftSQLHook.get_table_primary_key."""
    query = """
        select kcu.column_name
        from information_schema.table_constraints tco
            join information_schema.key_column_usage kcu
                on kcu.constraint_name = tco.constraint_name and kcu.constraint_schema = tco.constraint_schema
        where tco.constraint_type = 'PRIMARY KEY' and kcu.table_schema = 'play' and kcu.table_name = %s
    """
    return [str(row[0]) for row in connection.execute(query, [table]).fetchall()]


def test_keys_are_noted_and_not_enforced(connect: Callable[..., Connection], session: Connection) -> None:
    session.execute("create table t (id int primary key, code varchar(9) unique, v int)")
    with connect() as other:
        for connection in (session, other):
            connection.execute("insert into t values (1, 'a', 1), (1, 'a', 2)")
            connection.execute("update t set v = v where id = 1")
        with other.cursor().copy("copy t from stdin (format csv)") as copying:
            copying.write("1,a,3\n")
        assert asked(other, "select count(*) from t") == 5
        assert key_of(other, "t") == ["id"]
        with pytest.raises(errors.NotNullViolation):
            other.execute("insert into t values (null, 'b', 1)")
    listed = session.execute(
        "select contype::text, conname from pg_constraint where conrelid = 't'::regclass and contype <> 'c' order by 1"
    ).fetchall()
    assert listed == [("p", "t_pkey"), ("u", "t_code_key")]
    assert asked(session, "select count(*) from pg_index where indrelid = 't'::regclass and indisprimary") == 1


def test_a_drivers_query_for_keys_finds_them(session: Connection) -> None:
    """redshift_connector's Cursor.get_primary_keys."""
    session.execute("create table t (b int, a int, v int, primary key (a, b))")
    query = """
        select current_database() as table_cat, n.nspname as table_schem, ct.relname as table_name,
            a.attname as column_name, a.attnum as key_seq, ci.relname as pk_name
        from pg_catalog.pg_namespace n, pg_catalog.pg_class ct, pg_catalog.pg_class ci, pg_catalog.pg_attribute a,
            pg_catalog.pg_index i
        where ct.oid = i.indrelid and ci.oid = i.indexrelid and a.attrelid = ci.oid and i.indisprimary
            and ct.relnamespace = n.oid and n.nspname = 'play' and ct.relname = 't'
        order by table_name, pk_name, key_seq
    """
    assert [row[3:] for row in session.execute(query).fetchall()] == [("a", 1, "t_pkey"), ("b", 2, "t_pkey")]


def test_plans_do_not_rely_on_keys(session: Connection) -> None:
    """Each of these is planned otherwise where a key is believed, and would then give another result."""
    session.execute("create table t (id int primary key, v int)")
    session.execute("insert into t values (1, 1), (1, 2), (1, 2)")
    session.execute("analyze t")
    # columns beside a primary key are left out of GROUP BY
    grouped = session.execute("select id, v, count(*) from t group by id, v order by v").fetchall()
    assert grouped == [(1, 1, 1), (1, 2, 2)]
    assert session.execute("select distinct id, v from t order by v").fetchall() == [(1, 1), (1, 2)]
    assert session.execute("select id from t group by id").fetchall() == [(1,)]
    # a left join with a unique side of which nothing is asked is left out
    assert asked(session, "select count(*) from (values (1)) as a (id) left join t on a.id = t.id") == 3
    # a semi-join becomes a join, a join stops at the first match
    assert asked(session, "select count(*) from (values (1)) as a (id) where a.id in (select id from t)") == 1
    assert asked(session, "select count(*) from t as a join t as b on a.id = b.id") == 9
    session.execute("set enable_hashjoin = off")
    session.execute("set enable_mergejoin = off")
    assert asked(session, "select count(*) from t as a join t as b on a.id = b.id") == 9
    # a column that a key would determine
    with pytest.raises(errors.GroupingError):
        session.execute("select id, v from t group by id")


def test_a_key_that_is_added_is_not_enforced(session: Connection) -> None:
    session.execute("create table t (id int not null, v int)")
    session.execute("insert into t values (1, 1)")
    session.execute("alter table t add primary key (id)")
    session.execute("alter table t add constraint only_v unique (v)")
    session.execute("insert into t values (1, 1)")
    assert key_of(session, "t") == ["id"]
    session.execute("alter table t drop constraint t_pkey")
    assert key_of(session, "t") == []
    session.execute("insert into t values (1, 1)")
    assert asked(session, "select count(*) from t") == 3


@pytest.mark.parametrize("options", ["", "including all"])
def test_a_table_like_another_is_as_free(session: Connection, options: str) -> None:
    session.execute("create table t (gone int, id int primary key, v varchar(3) unique)")
    session.execute("alter table t drop column gone")
    session.execute(f"create table copied (like t {options})")
    session.execute("insert into copied values (1, 'a'), (1, 'a')")
    assert key_of(session, "copied") == (["id"] if options else [])
    with pytest.raises(errors.NotNullViolation):
        session.execute("insert into copied values (null, 'a')")
    with pytest.raises(errors.StringDataRightTruncation) as caught:
        session.execute("insert into copied values (1, 'éé')")
    assert caught.value.diag.column_name == "v"
    session.execute("drop table copied")


def test_keys_stay_free_through_maintenance(session: Connection) -> None:
    session.execute("create table t (id int primary key, v varchar(3))")
    session.execute("insert into t values (1, 'a'), (1, 'a')")
    session.execute("vacuum full t")
    session.execute("reindex table t")
    session.execute("truncate t")
    session.execute("insert into t values (1, 'a'), (1, 'a')")
    session.execute("alter table t add column w int")
    session.execute("alter table t rename to u")
    session.execute("alter table u rename column id to nr")
    session.execute("insert into u values (1, 'a')")
    assert asked(session, "select count(*) from u") == 3
    assert key_of(session, "u") == ["nr"]


def test_a_rolled_back_table_leaves_nothing(session: Connection) -> None:
    with session.transaction(force_rollback=True):
        session.execute("create table t (id int primary key, v varchar(3))")
        session.execute("insert into t values (1, 'a'), (1, 'a')")
    assert asked(session, "select count(*) from pg_class where relname in ('t', 't_pkey')") == 0


def test_temporary_tables_follow_the_same_rules(session: Connection) -> None:
    session.execute('create temporary table "#t" (id int primary key, v varchar(2))')
    session.execute("""insert into "#t" values (1, 'a'), (1, 'a')""")
    with pytest.raises(errors.StringDataRightTruncation):
        session.execute("""insert into "#t" values (1, 'éé')""")


def test_ten_sessions_may_make_tables_at_once(connect: Callable[..., Connection], session: Connection) -> None:
    def make(number: int) -> int:
        with connect() as connection:
            for table in range(5):
                name = f"t{number}_{table}"
                connection.execute(f"create table {name} (id int primary key, a varchar(3), unique (a))".encode())
                connection.execute(f"insert into {name} values (1, 'a'), (1, 'a')".encode())
                connection.execute(f"alter table {name} add column b varchar(2)".encode())
                with pytest.raises(errors.StringDataRightTruncation):
                    connection.execute(f"insert into {name} values (1, 'a', 'éé')".encode())
                if table % 2:
                    connection.execute(f"drop table {name}".encode())
            return number

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(make, range(10))) == list(range(10))
    assert asked(session, "select count(*) from pg_tables where schemaname = 'play'") == 30


# --- VARCHAR(n) and CHAR(n) count bytes


@contextmanager
def too_long(kind: str, column: str) -> Iterator[None]:
    with pytest.raises(errors.StringDataRightTruncation) as caught:
        yield
    assert caught.value.diag.message_primary == f"value too long for type {kind}"
    assert caught.value.diag.column_name == column


MAKES = {
    "create table": ["create table t (a varchar(3))"],
    "create table as": ["create table t as select 'a'::varchar(3) as a"],
    "select into": ["select 'a'::varchar(3) as a into t"],
    "add column": ["create table t (b int)", "alter table t add column a varchar(3)", "alter table t drop column b"],
    "longer": ["create table t (a varchar(2))", "alter table t alter column a type varchar(3)"],
    "shorter": ["create table t (a varchar(9))", "alter table t alter column a type varchar(3)"],
    "renamed": ["create table t (b varchar(3))", "alter table t rename column b to a"],
    "the name of a column that was": [
        "create table t (b varchar(1))",
        "alter table t drop column b",
        "alter table t add column b varchar(3)",
        "alter table t rename column b to a",
    ],
    "in a schema that is made": ["create schema made create table made.t (a varchar(3))"],
}


@pytest.mark.parametrize("statements", MAKES.values(), ids=MAKES)
def test_a_varchar_counts_bytes(session: Connection, statements: list[str]) -> None:
    for statement in statements:
        session.execute(statement.encode())
    schema = "made" if "made" in statements[0] else "play"
    session.execute(f"insert into {schema}.t values ('abc'), ('é'), (null), ('€')")
    for value in ("éé", "abé", "€a"):  # of no more than three characters, of four bytes
        with too_long("character varying(3)", "a"):
            session.execute(f"insert into {schema}.t (a) values ('{value}')")
    with pytest.raises(errors.StringDataRightTruncation, match=r"value too long for type character varying\(3\)"):
        session.execute(f"insert into {schema}.t (a) values ('abcd')")
    with too_long("character varying(3)", "a"):
        session.execute(f"update {schema}.t set a = 'éé'")
    named = asked(session, f"select count(*) from pg_constraint where conrelid = '{schema}.t'::regclass")
    assert named == 1


def test_a_char_takes_characters_of_one_byte(session: Connection) -> None:
    """CHAR takes single-byte characters only: "Multibyte character load errors"."""
    session.execute("create table t (a char(5))")
    session.execute("insert into t values ('abcde'), ('a'), (null)")
    with pytest.raises(errors.StringDataRightTruncation) as caught:
        session.execute("insert into t values ('é')")
    assert caught.value.diag.message_primary == "Multibyte character not supported for CHAR (Hint: Try using VARCHAR)"
    with pytest.raises(errors.StringDataRightTruncation, match=r"value too long for type character\(5\)"):
        session.execute("insert into t values ('abcdef')")


def test_a_load_says_which_line_is_too_long(session: Connection) -> None:
    session.execute("create table t (id int, a varchar(3))")
    with (
        pytest.raises(errors.StringDataRightTruncation) as caught,
        session.cursor().copy("copy t from stdin (format csv)") as copying,
    ):
        copying.write("1,abc\n2,éé\n")
    assert caught.value.diag.message_primary == "value too long for type character varying(3)"
    assert (caught.value.diag.table_name, caught.value.diag.column_name) == ("t", "a")
    assert "COPY t, line 2" in str(caught.value.diag.context)


def test_a_table_is_not_made_of_what_is_too_long(session: Connection) -> None:
    with too_long("character varying(3)", "a"):
        session.execute("create table t as select 'éé'::varchar(3) as a")
    assert asked(session, "select to_regclass('play.t')") is None


def test_a_long_column_name_and_two_of_the_same_beginning_do_no_harm(session: Connection) -> None:
    one, other = "x" * 62 + "1", "x" * 62 + "2"
    session.execute(f'create table t ({one} varchar(3), {other} varchar(4), "Odd name" varchar(5))'.encode())
    with too_long("character varying(4)", other):
        session.execute("insert into t values ('abc', 'ééé', '')")
    with too_long("character varying(5)", "Odd name"):
        session.execute("insert into t values ('abc', 'abc', 'ééé')")


def test_nobody_but_the_trigger_writes_into_the_catalog(session: Connection) -> None:
    session.execute("create table t (id int primary key)")
    for statement in ("select rs_forget_uniqueness('t'::regclass)", "select rs_count_bytes('t'::regclass)"):
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute(statement.encode())


def test_a_check_that_is_dropped_comes_back(session: Connection) -> None:
    session.execute("create table t (a varchar(3))")
    session.execute("alter table t drop constraint rs_bytes_1")
    with too_long("character varying(3)", "a"):
        session.execute("insert into t values ('éé')")


# --- Views


@pytest.fixture
def listed(session: Connection) -> Connection:
    """A session that has made a table of each kind of column, a view and a comment."""
    session.execute(
        """
        create table sales (
            salesid bigint generated always as identity (start with 1 increment by 2) primary key,
            name varchar(200) default 'x', note text, price numeric(8, 2), code char(3), sold timestamp(6),
            at timestamptz, small smallint, done boolean, day date, ratio double precision, extra jsonb, raw bytea
        )
        """
    )
    session.execute("comment on table sales is 'what was sold'")
    session.execute("comment on column sales.price is 'in euros'")
    session.execute("create or replace view sold as select salesid from sales")
    session.execute("insert into sales (name) values ('a'), ('b'), ('c')")
    return session


COLUMNS = [
    # name, as pg_table_def and svv_redshift_columns, as svv_columns and svv_all_columns, length, precision, scale
    ("salesid", "bigint", "bigint", None, 64, 0),
    ("name", "character varying(200)", "character varying", 200, None, None),
    ("note", "character varying(65535)", "character varying", 65535, None, None),
    ("price", "numeric(8,2)", "numeric", None, 8, 2),
    ("code", "character(3)", "character", 3, None, None),
    ("sold", "timestamp without time zone", "timestamp without time zone", None, None, None),
    ("at", "timestamp with time zone", "timestamp with time zone", None, None, None),
    ("small", "smallint", "smallint", None, 16, 0),
    ("done", "boolean", "boolean", None, None, None),
    ("day", "date", "date", None, None, None),
    ("ratio", "double precision", "double precision", None, 53, None),
    ("extra", "super", "super", None, None, None),
    ("raw", "varbyte", "varbyte", None, None, None),
]


def test_the_views_of_columns_show_redshifts_types(listed: Connection) -> None:
    full = listed.execute(
        'select "column", type from pg_table_def where schemaname = %s and tablename = %s', ["play", "sales"]
    ).fetchall()
    assert full == [row[:2] for row in COLUMNS]
    assert (
        full
        == listed.execute(
            "select column_name, data_type from svv_redshift_columns"
            " where schema_name = 'play' and table_name = 'sales' order by ordinal_position"
        ).fetchall()
    )
    short = [(row[0], *row[2:]) for row in COLUMNS]
    for view, schema in (("svv_columns", "table_schema"), ("pg_catalog.svv_all_columns", "schema_name")):
        assert (
            short
            == listed.execute(
                "select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale"
                f" from {view} where {schema} = 'play' and table_name = 'sales' order by ordinal_position".encode()
            ).fetchall()
        )


def test_the_views_of_columns_show_defaults_nullability_and_remarks(listed: Connection) -> None:
    oid = asked(listed, "select 'sales'::regclass::oid")
    for view, schema in (
        ("svv_columns", "table_schema"),
        ("svv_all_columns", "schema_name"),
        ("svv_redshift_columns", "schema_name"),
    ):
        rows = listed.execute(
            f"select column_name, ordinal_position, column_default, is_nullable, remarks from {view}"
            f" where {schema} = 'play' and table_name = 'sales' and ordinal_position in (1, 2, 4) order by 2".encode()
        ).fetchall()
        assert rows == [
            ("salesid", 1, f"\"identity\"({oid}, 0, '1,2'::text)", "NO", None),
            ("name", 2, "'x'::character varying", "YES", None),
            ("price", 4, None, "YES", "in euros"),
        ]
    for view in ("svv_columns", "svv_all_columns"):  # a name that redshift_connector expects beside its own
        found = listed.execute(f"select is_autoincrement from {view} where table_name = 'sales'").fetchall()
        assert sorted(found) == [("NO",)] * (len(COLUMNS) - 1) + [("YES",)]
    assert asked(listed, "select \"notnull\" from pg_table_def where tablename = 'sales' and \"column\" = 'salesid'")


def test_pg_table_def_shows_the_schemas_of_the_search_path(listed: Connection) -> None:
    """The example of "PG_TABLE_DEF"."""
    listed.execute("set search_path = public")
    assert asked(listed, "select count(*) from pg_table_def where tablename = 'sales'") == 0
    listed.execute("set search_path = public, play")
    assert asked(listed, "select count(*) from pg_table_def where tablename = 'sales'") == len(COLUMNS)


def test_the_views_of_tables(listed: Connection) -> None:
    database = asked(listed, "select current_database()::text")
    tables = listed.execute(
        "select database_name, schema_name, table_name, table_type, remarks from pg_catalog.svv_all_tables"
        " where schema_name = 'play' order by table_name"
    ).fetchall()
    assert tables == [
        (database, "play", "sales", "TABLE", "what was sold"),
        (database, "play", "sold", "VIEW", None),
    ]
    assert listed.execute(
        "select table_name, table_type, table_owner from svv_redshift_tables where schema_name = 'play' order by 1"
    ).fetchall() == [("sales", "TABLE", USER), ("sold", "VIEW", USER)]
    assert listed.execute(
        "select table_catalog, table_schema, table_name, table_type, remarks from svv_tables"
        " where table_schema = 'play' order by table_name"
    ).fetchall() == [
        (database, "play", "sales", "BASE TABLE", "what was sold"),
        (database, "play", "sold", "VIEW", None),
    ]
    assert asked(listed, "select count(*) from svv_tables where table_schema ~ '^pg_'") == 0


def test_the_views_of_schemas_and_databases(shared: Connection) -> None:
    database = asked(shared, "select current_database()::text")
    for view in ("svv_all_schemas", "svv_redshift_schemas"):
        assert shared.execute(
            f"select database_name, schema_name, schema_type from {view} order by 2".encode()
        ).fetchall() == [(database, "play", "local"), (database, "public", "local")]
    assert shared.execute("select database_name, database_type from svv_redshift_databases").fetchall() == [
        (database, "local")
    ]


@pytest.mark.parametrize("view", ["svv_external_schemas", "svv_external_tables", "svv_external_columns"])
def test_nothing_is_external(shared: Connection, view: str) -> None:
    assert asked(shared, f"select count(*) from {view}") == 0


def test_there_are_no_late_binding_views(shared: Connection) -> None:
    """The query of "PG_GET_LATE_BINDING_VIEW_COLS"."""
    query = """
        select * from pg_get_late_binding_view_cols()
            cols(view_schema name, view_name name, col_name name, col_type varchar, col_num int)
    """
    assert shared.execute(query).fetchall() == []
    assert shared.execute(query.replace("varchar", "text")).fetchall() == []  # as redshift_connector names it


def test_a_table_has_its_rows_and_its_size(listed: Connection) -> None:
    listed.execute("create table empty (a int)")
    rows = listed.execute(
        'select database, "table", tbl_rows, estimated_visible_rows, size, max_varchar, diststyle, sortkey1, encoded'
        " from svv_table_info where schema = 'play'"
    ).fetchall()
    database = asked(listed, "select current_database()::text")
    assert rows == [(database, "sales", 3, 3, 1, 65535, None, None, "N")]


def test_what_one_may_not_read_is_not_counted(connect: Callable[..., Connection], listed: Connection) -> None:
    listed.execute("grant usage on schema play to store_reader")
    with connect("store_reader") as reader:
        assert asked(reader, "select count(*) from svv_tables where table_schema = 'play'") == 0
        assert asked(reader, "select count(*) from svv_table_info") == 0
        assert asked(reader, "select rs_row_count('play.sales'::regclass)") is None
        listed.execute("grant select on sales to store_reader")
        assert reader.execute('select "table", tbl_rows from svv_table_info').fetchall() == [("sales", 3)]
    privileges = listed.execute(
        "select relation_name, privilege_type, identity_name, identity_type, admin_option"
        " from svv_relation_privileges where namespace_name = 'play'"
    ).fetchall()
    assert privileges == [("sales", "SELECT", "store_reader", "user", False)]


def test_materialized_views_are_listed(listed: Connection) -> None:
    listed.execute("create materialized view stored as select name from sales")
    assert listed.execute(
        "select trim(schema_name), trim(name), autorefresh from svv_mv_info union all"
        " select trim(schema), trim(name), autorefresh from stv_mv_info"
    ).fetchall() == [("play", "stored", "f"), ("play", "stored", "f")]
    assert asked(listed, "select table_type from svv_all_tables where table_name = 'stored'") == "VIEW"


def test_users_and_functions_are_listed(shared: Connection) -> None:
    assert shared.execute(
        f"select usesuper, useconnlimit from pg_user_info where usename = '{USER}'".encode()
    ).fetchall() == [(False, "UNLIMITED")]
    assert (
        asked(shared, "select prokind::text from pg_proc_info where prooid = 'strtol(text, integer)'::regprocedure")
        == "f"
    )


def test_a_running_query_is_in_the_history(shared: Connection) -> None:
    assert shared.execute(
        "select trim(status), trim(query_type), session_id = pg_backend_pid(), end_time,"
        " trim(query_text) like 'sel%%'"
        " from sys_query_history where session_id = pg_backend_pid() and %s",
        [True],
    ).fetchall() == [("running", "SELECT", True, None, True)]


def test_load_errors_are_noted_and_read_by_all(connect: Callable[..., Connection]) -> None:
    with connect() as connection, connect("store_reader") as reader:
        connection.execute(
            "select note_load_error(query_id => 762949, table_id => 137885, start_time => '2022-02-15 22:14:46.759151',"
            " file_name => 's3://load-test/copyfail/wrong_format_000', line_number => 3, column_name => 'id',"
            " column_type => 'int4', column_length => '', error_position => 0, error_code => 1207,"
            " error_message => 'Invalid digit, Value ''a'', Pos 0, Type: Integer')"
        )
        # the query of "SYS_LOAD_ERROR_DETAIL"
        rows = reader.execute(
            "select query_id, table_id, start_time, trim(file_name) as file_name, trim(column_name) as column_name,"
            " trim(column_type) as column_type, trim(error_message) as error_message from sys_load_error_detail"
            " where query_id = 762949 order by start_time limit 10"
        ).fetchall()
        assert rows == [
            (
                762949, 137885, datetime(2022, 2, 15, 22, 14, 46, 759151), "s3://load-test/copyfail/wrong_format_000",
                "id", "int4", "Invalid digit, Value 'a', Pos 0, Type: Integer",
            )
        ]  # fmt: skip
        pid, user = connection.execute("select pg_backend_pid(), current_user_id()").fetchone() or ()
        assert reader.execute(
            "select query, line_number, trim(err_reason), err_code, session, userid from stl_load_errors"
        ).fetchall() == [(762949, 3, "Invalid digit, Value 'a', Pos 0, Type: Integer", 1207, pid, user)]
        for statement in ("insert into sys_load_error_detail (user_id) values (1)", "delete from sys_load_history"):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(statement.encode())


def test_a_long_message_is_cut(connect: Callable[..., Connection]) -> None:
    with connect() as connection:
        connection.execute(
            "select note_load_error(2, 1, now()::timestamp, %s, 1, %s, %s, %s, 1, 1, %s)",
            ["f" * 999, "c" * 999, "timestampwithout", "1" * 99, "é" * 999],
        )
        row = connection.execute(
            "select length(file_name), length(column_name), length(column_type), length(error_message)"
            " from sys_load_error_detail where query_id = 2"
        ).fetchone()
    assert row == (256, 127, 10, 512)


def test_loads_are_noted(connect: Callable[..., Connection]) -> None:
    with connect() as connection, connect("store_reader") as reader:
        connection.execute(
            "select note_load(query_id => 6389, status => 'completed', table_name => 'sales',"
            " start_time => (clock_timestamp() at time zone 'UTC') - interval '1 second', data_source => 's3://b/k',"
            " file_format => 'csv', loaded_rows => 3, loaded_bytes => 30, file_count => 2, file_bytes => 25)"
        )
        row = reader.execute(
            "select status, table_name, data_source, file_format, loaded_rows, loaded_bytes, source_file_count,"
            " source_file_bytes, error_count, duration between 1000000 and 60000000"
            " from sys_load_history where query_id = 6389"
        ).fetchone()
    assert row == ("completed", "sales", "s3://b/k", "csv", 3, 30, 2, 25, 0, True)


# --- Installing


def test_it_is_installed_once(platform: Platform, database: str) -> None:
    with postgres.connect(platform.state, database) as connection:
        assert not catalog.install(connection)
        connection.execute(f"comment on event trigger {catalog.EVENT_TRIGGER} is 'of an older version'")
        connection.execute("create table play.before (id int primary key)")
        assert catalog.install(connection)
        assert not catalog.install(connection)
        connection.execute("insert into play.before values (1), (1)")
        connection.execute("drop table play.before")


def test_everything_is_found_whatever_the_search_path_is(connect: Callable[..., Connection]) -> None:
    with connect() as connection:
        connection.execute("set search_path = ''")
        assert asked(connection, "select len('abc') + (select count(*) from svv_external_tables)") == 3


def test_every_new_function_has_a_test() -> None:
    """By its name: what is made for all to call stands in an example or in a test above."""
    names = {
        line.partition("function pg_catalog.")[2].partition("(")[0].strip('"')
        for path in catalog.SQL.glob("*.sql")
        for line in path.read_text().splitlines()
        if line.lstrip().startswith("create or replace function pg_catalog.")
    }
    tests = Path(__file__).read_text()
    missing = {name for name in names if not name.startswith("rs_") and f"{name}(" not in tests}
    assert missing == set()
