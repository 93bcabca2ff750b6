#!/usr/bin/env bash
# Takes the pictures of docs/images that show the Airflow UI of the running platform (local/screenshots.py), and installs
# the browser that this needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ -f .local/env ] || { echo "The platform is not running: make up" >&2; exit 1; }
# shellcheck source=/dev/null
. .local/env

local/chromium.sh
PYTHONPATH=dags exec .venv/airflow/bin/python -m local.screenshots "$(command -v chromium || command -v chromium-browser)"
