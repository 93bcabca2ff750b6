"""The dials: every class of defect that a row or a file can have, and what it can happen to.

A dial's rate is the share of what *can* have the defect that gets it. Where several want one file, one row (defects
that reject it) or one value, the first in this list wins, so that what a line is rejected for is never in doubt.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["file", "header", "row", "value", "reference"]


class Dial(NamedTuple):
    """One class of defect: where it happens, and what it does."""

    level: Level
    what: str


DIALS: dict[str, Dial] = {
    # A file as a whole: at most one of those that set it aside, and any of the others.
    "empty_file": Dial("file", "the file has no byte"),
    "header_only": Dial("file", "the file has a header and no row"),
    "not_csv": Dial("file", "the file is JSON, or a PDF"),
    "gzip": Dial("file", "the file is compressed"),
    "utf_16": Dial("file", "the file is UTF-16"),
    "latin_1": Dial("file", "the file is Latin-1, with at least one letter that shows it"),
    "wrong_delimiter": Dial("file", "semicolons or tabs between the values"),
    "byte_order_mark": Dial("file", "the file begins with a byte order mark"),
    "crlf": Dial("file", "lines end as on Windows"),
    "lone_cr": Dial("file", "lines end with CR alone"),
    "no_final_newline": Dial("file", "the last line does not end"),
    "unbalanced_quote": Dial("file", "a quote near the end is never closed, and takes what follows into one record"),
    "odd_key": Dial("file", "the file's name has a space, +, % or a letter beyond ASCII"),
    "same_name_new_content": Dial("file", "the file comes twice under one name, with some values corrected"),
    # Its header: at most one.
    "missing_column": Dial("header", "a column is not there"),
    "extra_column": Dial("header", "a column too many"),
    "duplicated_column": Dial("header", "a column is there twice"),
    "reordered_columns": Dial("header", "the columns are in another order"),
    "header_case": Dial("header", "the header is in another case"),
    "header_padding": Dial("header", "the header is padded"),
    # A row: at most one of those that reject it, values included.
    "too_few_fields": Dial("row", "fields are missing at the end"),
    "too_many_fields": Dial("row", "fields too many"),
    "all_empty": Dial("row", "nothing but commas, or a blank line more (which is no record)"),
    "key_missing": Dial("row", "a column of the key is empty"),
    "exact_duplicate": Dial("row", "the row comes twice"),
    "same_key_other_values": Dial("row", "the key comes before with other values; the last one counts"),
    # A value that rejects its row; where the value is optional, it is lost and the row is accepted.
    "nul_byte": Dial("value", "a NUL byte in a value"),
    "huge_field": Dial("value", "a value of a million characters"),
    "missing_value": Dial("value", "a required value is empty, or NULL, nan, N/A, -"),
    "invalid_id": Dial("value", "a customer who is none, such as CUST-12A"),
    "unknown_currency": Dial("value", "a currency that no country has"),
    "not_boolean": Dial("value", "an answer that is neither yes nor no"),
    "invalid_email": Dial("value", "an e-mail address that is none, or more than one"),
    "unknown_locale": Dial("value", "a language or a region that there is not"),
    "unknown_time_zone": Dial("value", "a time zone without a name, such as UTC+2"),
    "infinity": Dial("value", "a number is inf"),
    "exponent": Dial("value", "an amount is written as 1.5E3"),
    "too_large": Dial("value", "a number that nothing can hold"),
    "wrong_sign": Dial("value", "a sale with a negative total, or a refund with a positive one"),
    "negative_number": Dial("value", "a line number or a duration below its least"),
    "impossible_date": Dial("value", "31 September and the like"),
    "unreadable_date": Dial("value", "a date with a month's name, AM and PM, or a year of two digits"),
    "february_29": Dial("value", "29 February, in a leap year or not"),
    "epoch_seconds": Dial("value", "a time as seconds since 1970"),
    "leap_second": Dial("value", "a time with second 60"),
    "implausible_year": Dial("value", "a date in the year 0001 or 9999"),
    "latitude_95": Dial("value", "a latitude beyond the pole"),
    "unknown_type": Dial("value", "a transaction of a type that does not exist"),
    "customer_on_payout": Dial("value", "a payout that names a customer"),
    "no_customer_on_sale": Dial("value", "a sale without customer"),
    # A value that is accepted all the same.
    "missing_optional": Dial("value", "an optional value is empty, or NULL, nan, N/A, -"),
    "padding": Dial("value", "white space and invisible characters around a value"),
    "letter_case": Dial("value", "a name, a code or a customer in another case"),
    "legal_suffix": Dial("value", "a publisher with Corp, Co., Ltd. and the like behind its name"),
    "look_alike": Dial("value", "a name with Cyrillic or Greek letters that look Latin"),
    "decomposed": Dial("value", "accents as characters of their own (NFD)"),
    "quoted_newline": Dial("value", "a line break within a quoted name"),
    "decimal_comma": Dial("value", "an amount such as 12,50, or a coordinate such as 48,8566"),
    "thousands_separator": Dial("value", "an amount such as 1,234.50 or 1 234,50"),
    "currency_sign": Dial("value", "an amount such as $12.50 or 12.50 USD"),
    "loose_number": Dial("value", "an amount such as 007.50 or .50"),
    "extra_digits": Dial("value", "more digits than are kept: of an amount, or of a second"),
    "float_for_integer": Dial("value", "a whole number such as 5.0"),
    "date_form": Dial("value", "a date or time in another accepted form"),
    "day_first": Dial("value", "a date with the day first, of a day after the 12th"),
    "zone_offset": Dial("value", "a time with an offset from UTC"),
    "coordinate_letters": Dial("value", "a coordinate such as 48.85N"),
    "swapped_coordinates": Dial("value", "latitude and longitude in each other's place"),
    "null_island": Dial("value", "the coordinates 0, 0"),
    "enum_spelling": Dial("value", "a platform or region under another of its names"),
    "unknown_enum": Dial("value", "a platform or region that nobody has heard of"),
    "locale_form": Dial("value", "a locale such as en-US"),
    "boolean_form": Dial("value", "yes, Y or 1 for true"),
    "country_form": Dial("value", "a country by its name or its alpha-3 code"),
    "unknown_country": Dial("value", "a country that does not exist"),
    # Across rows and files.
    "several_publisher_ids": Dial("reference", "a publisher under several ids"),
    "several_game_ids": Dial("reference", "a game under several ids"),
    "same_title": Dial("reference", "two games of one title, with different dates"),
    "by_name": Dial("reference", "a game or publisher is referred to by its name"),
    "late_reference": Dial("reference", "a game that comes in a file after those that refer to it"),
    "unknown_reference": Dial("reference", "a transaction, game or publisher that never comes"),
    "other_publisher": Dial("reference", "a line that names another publisher than the release's"),
    "total_mismatch": Dial("reference", "a total that its lines do not add up to"),
    "net_mismatch": Dial("reference", "a net that is not gross less fee"),
    "line_sign": Dial("reference", "a line with a sign that its transaction forbids"),
    "refund_too_large": Dial("reference", "a refund of more than its sale"),
}
