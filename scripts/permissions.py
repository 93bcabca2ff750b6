"""Add what the running platform has called to infra/permissions/calls.txt, and write docs/permissions.md's tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from infra import permissions
from infra.permissions import Call, Statement
from local import identities, state
from local.layout import REPO, Layout
from scripts import marked

PAGE = REPO / "docs" / "permissions.md"
START = "<!-- From infra/permissions and the templates, by scripts/permissions.py: `make docs`. Do not edit. -->"


def recorded(layout: Layout) -> list[Call]:
    """Return the calls that the platform's emulator has allowed; say which it has refused."""
    lines = (layout.emulator / "services" / identities.CALLS).read_text().splitlines()
    outputs = state.load(layout).outputs
    found = []
    for line in map(json.loads, lines):
        call = Call(line["role"], line["action"], permissions.with_exports(line["resource"], outputs))
        if line["allowed"]:
            found.append(call)
        else:
            print(f"Refused at least once: {call.role} {call.action} {call.resource}", file=sys.stderr)
    return found


def page(current: str) -> str:
    """Return the page `current` with the part between the marks written anew."""
    return marked.replaced(current, START, content())


def content() -> str:
    """Return a table for each role: statement, action, and how it was called or why it is allowed all the same."""
    lines: list[str] = []
    calls, reasons, role = permissions.calls(), permissions.exceptions(), ""
    for statement in permissions.statements():
        if statement.role != role:
            role = statement.role
            lines += ["", f"### {role}", "", "| statement | action | called on, or why it is allowed all the same |"]
            lines += ["|---|---|---|"]
        for action in statement.actions or ("all of the policy",):
            lines.append(f"| {statement.name} | `{action}` | {_witness(statement, action, calls, reasons)} |")
    return "\n".join(lines)


def _witness(statement: Statement, action: str, calls: list[Call], reasons: dict[str, str]) -> str:
    for name in (statement.role, f"{statement.role}/{statement.name}", f"{statement.role}/{statement.name}/{action}"):
        if name in reasons:
            return reasons[name]
    only = Statement(statement.role, statement.name, (action,), statement.resources)
    return ", ".join(f"`{call.resource}`" for call in calls if only.allows(call)) or "nobody"


def main(directory: str | None = None) -> int:
    """Merge the calls of the platform in `directory`, when one is named; write the page."""
    if directory:
        known = set(permissions.calls())
        new = set(recorded(Layout(Path(directory)))) - known
        lines = [f"{call.role} {call.action} {call.resource}\n" for call in sorted(known | new)]
        permissions.CALLS.write_text("".join(lines))
        print(f"{len(new)} new kinds of calls, {len(known)} known")
    PAGE.write_text(page(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
