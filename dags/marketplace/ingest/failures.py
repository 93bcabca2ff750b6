"""What is kept and shown of a failure: what the database says of an error may quote rows, and those are people's."""

from __future__ import annotations

import re

import psycopg

# Classes of SQLSTATE whose primary message is about the server, a privilege, or something by its name. What others say
# (a value's form, an exception of a trigger) may quote a value; the names are in fields of their own.
_QUOTES_NO_VALUE = frozenset({"08", "23", "25", "28", "40", "42", "53", "54", "55", "57", "58"})
_COPIED = re.compile(r"COPY \w+, line \d+(?:, column \w+)?")


def without_values(error: Exception) -> Exception:
    """Return an error of the database as one of the same type and traceback that quotes no value; others as they are.

    It says the SQLSTATE, the primary message where that quotes nothing, and which table, column or constraint it is.
    DETAIL and CONTEXT show rows.
    """
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return error
    diagnosed = error.diag
    said = [diagnosed.message_primary] if error.sqlstate[:2] in _QUOTES_NO_VALUE else []
    copied = _COPIED.match(diagnosed.context or "")
    names = {
        "table": diagnosed.table_name and f"{diagnosed.schema_name}.{diagnosed.table_name}",
        "column": diagnosed.column_name,
        "constraint": diagnosed.constraint_name,
        "in": copied and copied[0],
    }
    where = ", ".join(f"{what} {name}" for what, name in names.items() if name)
    text = "; ".join(part for part in (*said, where) if part) or "the database's log has its message"
    return type(error)(f"{error.sqlstate}: {text}").with_traceback(error.__traceback__)
