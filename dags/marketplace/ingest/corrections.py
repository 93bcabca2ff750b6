"""What a person says of an alias: a source id, or a name that references use, stands for another publisher or game."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql

from marketplace.contracts import load_contract, publisher_key, title_key
from marketplace.contracts.values import clean_text, trimmed
from marketplace.ingest.apply import changed_tables, settle
from marketplace.ingest.held import resolvable
from marketplace.ingest.ledger import Connection, execute, fetch_row
from marketplace.ingest.load import lock

log = logging.getLogger(__name__)

Dataset = Literal["publisher", "game"]
# How a name becomes the key under which it is matched, and the column that has it beside each source id.
KEYS: dict[str, tuple[Callable[[str], str], str]] = {
    "publisher": (publisher_key, "name_key"),
    "game": (title_key, "title_key"),
}


class CorrectionError(ValueError):
    """What a person said cannot be; the message says why, and what can."""


@dataclass(frozen=True)
class Alias:
    """What is corrected: a source id, or a name (a title) as references write it."""

    dataset: Dataset
    alias_is: Literal["id", "name"]
    text: str

    @property
    def key(self) -> str:
        """Return what it is found by: the source id itself, or the normalised name."""
        return self.text if self.alias_is == "id" else KEYS[self.dataset][0](self.text)

    @property
    def parameters(self) -> dict[str, str]:
        """Return what identifies it in ops.alias_correction."""
        return {"dataset": self.dataset, "alias_is": self.alias_is, "alias_key": self.key}

    def __str__(self) -> str:
        """Return it in words, such as `the publisher id 'P-7'`."""
        return f"the {self.dataset} {self.alias_is} {self.text!r}"


def correct(
    connection: Connection,
    alias: Alias,
    stands_for: str | None,
    *,
    reason: str,
    made_by: str,
    run: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Let an alias stand for the publisher or game of the source id `stands_for`; None removes what was said of it.

    It holds at once and for all later loads: what the source id stood for follows it, and references resolve by it. All
    is done in one transaction, under the locks of a load; held rows that it explains are left to retry_held_rows.
    Returns what has changed (`dry_run`: what would change). Saying the same again changes nothing; a `run` that says it
    again, since it died before it could pass on the result, is given the result. Raises CorrectionError when it makes
    no sense.
    """
    contract = load_contract(alias.dataset)
    alias = Alias(alias.dataset, alias.alias_is, clean_text(trimmed(alias.text)))
    stands_for = stands_for and clean_text(trimmed(stands_for))
    with connection.transaction():
        lock(connection, contract)
        kept = execute(connection, "correction/kept_result.sql", {"run": run}).fetchone()
        if kept:
            log.info("Changed by an earlier attempt: %s", kept["result"])
            return dict(kept["result"])
        standing = execute(connection, "correction/standing.sql", alias.parameters).fetchone()
        note = _check(connection, alias, stands_for, standing)
        before = standing["stands_for"] if standing else None
        if before != stands_for:
            if standing:
                execute(connection, "correction/remove.sql", standing | {"made_by": made_by})
            if stands_for:
                entry = alias.parameters | {"alias": alias.text, "stands_for": stands_for}
                execute(connection, "correction/enter.sql", entry | {"reason": reason, "made_by": made_by})
            if alias.alias_is == "id":
                _settle(connection, alias.dataset, [alias.text, *filter(None, (before, stands_for))])
        result = {
            "said": f"{alias} stands for {stands_for}" if stands_for else f"{alias} stands for itself",
            "before": f"stood for {before}" if before else "nothing was said of it",
            "note": note,
            "dry_run": dry_run,
            "rows": _changed_rows(connection, contract.tables),
            "held_rows_to_retry": _count_resolvable(connection),
            "tables_changed": changed_tables(connection, contract),
        }
        if dry_run:
            raise psycopg.Rollback
        if run:
            execute(connection, "correction/keep_result.sql", {"run": run, "result": json.dumps(result)})
    log.info("%s: %s", "Would be changed" if dry_run else "Changed", result)
    return result


def _check(connection: Connection, alias: Alias, stands_for: str | None, standing: dict[str, Any] | None) -> str | None:
    """Raise CorrectionError when a correction makes no sense; returns what a person should know about it."""
    if not alias.text or not alias.key:
        raise CorrectionError(f"alias is empty: it must be a {alias.dataset} id or name.")
    if stands_for is None:
        if standing is None:
            raise CorrectionError(f"Nothing is said of {alias}, so there is nothing to remove.")
        return None
    found = _known(connection, alias.dataset, stands_for)
    if not any(known["is_id"] for known in found):
        meant = ", ".join(known["alias_id"] for known in found)
        hint = f"; {stands_for!r} is the name of {meant}" if meant else ""
        raise CorrectionError(f"No file has brought the {alias.dataset} id {stands_for!r}: stands_for is an id{hint}.")
    found = _known(connection, alias.dataset, alias.text)
    is_id = any(known["is_id"] for known in found)
    if alias.alias_is == "id":
        if alias.text == stands_for:
            raise CorrectionError(f"{stands_for!r} cannot stand for itself.")
        chain = execute(connection, "correction/chain.sql", alias.parameters | {"stands_for": stands_for}).fetchall()
        if alias.text in [step["stands_for"] for step in chain]:
            steps = " → ".join([stands_for, *(step["stands_for"] for step in chain)])
            raise CorrectionError(
                f"{alias} cannot stand for {stands_for!r}, which stands for it by what was said before ({steps}): "
                "remove that first."
            )
        return None if is_id else f"no file has brought the {alias.dataset} id {alias.text!r} yet"
    if is_id:
        raise CorrectionError(f"{alias.text!r} is the id of a {alias.dataset}, not a name: choose alias_is = id.")
    bearers = {known["alias_id"]: known["stands_for"] for known in found}
    target = next(k["stands_for"] for k in _known(connection, alias.dataset, stands_for) if k["is_id"])
    if bearers and target not in bearers.values():
        raise CorrectionError(
            f"{alias.text!r} is the name of {', '.join(bearers)}: say what these ids stand for (alias_is = id). "
            "A name can be corrected when no id has it, or to choose between those that have it."
        )
    return None


def _aliases(dataset: Dataset) -> dict[str, sql.Composable]:
    return {
        "aliases": sql.Identifier("store", f"{dataset}_alias"),
        "id": sql.Identifier(f"{dataset}_id"),
        "name_key": sql.Identifier(KEYS[dataset][1]),
    }


def _known(connection: Connection, dataset: Dataset, text: str) -> list[dict[str, Any]]:
    parameters = {"text": text, "key": KEYS[dataset][0](text)}
    return execute(connection, "correction/known.sql", parameters, **_aliases(dataset)).fetchall()


def _settle(connection: Connection, dataset: Dataset, ids: list[str]) -> None:
    execute(connection, "correction/affected.sql", {"ids": ids}, **_aliases(dataset))
    connection.execute(settle(dataset))


def _changed_rows(connection: Connection, tables: tuple[str, ...]) -> dict[str, dict[str, int]]:
    counts = {
        table: fetch_row(
            connection, "correction/changed_rows.sql", {"table": table}, table=sql.Identifier(*table.split("."))
        )
        for table in tables
        if table.startswith("store.")
    }
    return {table: count for table, count in counts.items() if any(count.values())}


def _count_resolvable(connection: Connection) -> int:
    counted = connection.execute(sql.SQL("select count(*) from ({}) as h").format(resolvable())).fetchone()
    return int(counted[0]) if counted else 0
