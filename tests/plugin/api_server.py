"""Airflow's API server without the rest of Airflow, on a metadata database that is made first: HOST PORT."""

from __future__ import annotations

import sys

import uvicorn
from airflow.api_fastapi.app import cached_app
from airflow.utils.db import initdb

if __name__ == "__main__":
    host, port = sys.argv[1:]
    initdb()
    uvicorn.run(cached_app(apps="core"), host=host, port=int(port), log_level="warning")
