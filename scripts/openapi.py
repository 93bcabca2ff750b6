"""Write docs/openapi.json from the app: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path

from marketplace.api.app import create_app
from marketplace.api.config import Config

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"


def text() -> str:
    """Return the document as it is committed. The app that is asked for it has nothing behind it."""
    nothing = Config(
        store_host="",
        store_port=0,
        store_database="",
        store_password="",
        notification_table="",
        issuer="",
        audiences=frozenset(),
        token_keys={},
        scope_prefix="",
        customer_claim="",
        cursor_key=b"",
    )
    return json.dumps(create_app(nothing).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
