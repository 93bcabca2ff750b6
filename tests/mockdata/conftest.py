"""What is made is loaded by the real ingestion, into a store of the test's own."""

from __future__ import annotations

from tests.ingest.conftest import ingestion

__all__ = ["ingestion"]
