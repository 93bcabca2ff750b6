"""Cursors of pages: where the next page begins, signed, and good only for the question that they came with."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from marketplace.api.problems import Problem, refused

ACCEPTED = "`next` of the page before, unchanged, with the same other parameters (limit may differ)"
MAC_BYTES = 16
LONGEST = 1000  # characters of a cursor
PATTERN = r"^[A-Za-z0-9_-]+$"


class Cursors:
    """Makes and reads cursors.

    A cursor holds the key of a page's last row. The signature covers the question as well (who asks, and for what), so
    that a cursor changed by hand, of another question or of another customer is refused.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, question: dict[str, Any], last: int | str) -> str:
        """Return the cursor of the page that follows the row of key `last`."""
        text = json.dumps(last, ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(self._mac(question, text) + text).decode().rstrip("=")

    def read(self, question: dict[str, Any], cursor: str) -> Any:
        """Return the key that `make` was given for the same question. Raises Problem."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _not_ours() from None
        mac, text = raw[:MAC_BYTES], raw[MAC_BYTES:]
        # Only one spelling: the last character of base64 may have bits that mean nothing.
        spelled = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        if spelled != cursor or not hmac.compare_digest(mac, self._mac(question, text)):
            raise _not_ours()
        return json.loads(text)

    def _mac(self, question: dict[str, Any], text: bytes) -> bytes:
        asked = json.dumps(question, sort_keys=True, ensure_ascii=False, default=str).encode()
        signed = hashlib.sha256(asked).digest() + text
        return hmac.new(self._key, signed, hashlib.sha256).digest()[:MAC_BYTES]


def _not_ours() -> Problem:
    return refused("cursor", "it is not one of this API for this question", ACCEPTED)
