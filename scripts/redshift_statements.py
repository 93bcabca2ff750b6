"""Write the table of statements in docs/local-redshift.md from the corpus of tests/redshift: `make docs`.

What lies outside the two marks is written by hand and stays as it is.
"""

from __future__ import annotations

from pathlib import Path

from scripts import marked
from tests.redshift.corpus import Case, cases

PAGE = Path(__file__).resolve().parents[1] / "docs" / "local-redshift.md"
START = "<!-- From tests/redshift/corpus, by scripts/redshift_statements.py: `make docs`. Do not edit. -->"
KINDS = {
    "ddl": "Tables",
    "dml": "Queries and changes",
    "copy": "COPY",
    "unload": "UNLOAD",
    "merge": "MERGE",
    "functions": "Functions and expressions",
    "session": "Sessions",
    "errors": "What is refused",
}


def page(current: str) -> str:
    """Return the page `current` with the part between the marks written anew."""
    return marked.replaced(current, START, content())


def content() -> str:
    """Return the tables: what is done, what Redshift refuses, and what only the endpoint refuses."""
    found = cases()
    lines = [f"{len(found)} statements, each run by the tests through Redshift's own driver.", ""]
    lines += ["| | does as documented | refuses as Redshift would | refused here only |", "|---|---:|---:|---:|"]
    for kind, title in KINDS.items():
        of_kind = [case for case in found if case.kind == kind]
        here = sum(case.is_refused_here for case in of_kind)
        refused = sum(case.error is not None for case in of_kind) - here
        lines.append(f"| {title} | {len(of_kind) - here - refused} | {refused} | {here} |")
    lines += [
        "",
        "Refused here, though Redshift does it:",
        "",
        "| what | page of the guide | SQLSTATE, error |",
        "|---|---|---|",
    ]
    lines += [row(case) for case in found if case.is_refused_here]
    lines += ["", "Refused though PostgreSQL does it, because Redshift does not:", ""]
    lines += ["| what | page of the guide | SQLSTATE, error |", "|---|---|---|"]
    lines += [
        row(case) for case in found if case.error and case.kind in ("errors", "merge") and not case.is_refused_here
    ]
    return "\n".join(lines)


def row(case: Case) -> str:
    """Return a refused statement by its name, and its error, as a line of a table."""
    error = case.error or {}
    cells = (case.name, case.guide, f"{error['code']} {error['message']}")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
