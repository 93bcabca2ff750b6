#!/usr/bin/env bash
# Takes docs/images/ui.png: what became of each file of the largest run, in the Airflow UI of the running platform.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ -f .local/env ] || { echo "The platform is not running: make up" >&2; exit 1; }
# shellcheck source=/dev/null
. .local/env

if ! command -v chromium >/dev/null; then
    if [ "$(id -u)" = 0 ]; then sudo=(); else sudo=(sudo -n); fi
    "${sudo[@]}" apt-get -q update
    "${sudo[@]}" apt-get -q install -y --no-install-recommends chromium fonts-dejavu-core ||
        { echo "chromium is missing. Type: sudo apt-get install -y chromium" >&2; exit 1; }
fi

page=$(.venv/airflow/bin/python - <<'PYTHON'
import os
from urllib.parse import quote

import psycopg

RUN = "select claimed_by from ops.load where kind = 'file' group by 1 order by count(*) desc, max(load_id) desc limit 1"
with psycopg.connect(os.environ["STORE_URL"]) as connection:
    run = connection.execute(RUN).fetchone()
if run is None:
    raise SystemExit("No file has been loaded yet: make demo")
print(f"{os.environ['AIRFLOW_URL']}/dags/ingest_files/runs/{quote(run[0], safe='')}/tasks/file.load/mapped")
PYTHON
)

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
mkdir -p docs/images
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$profile" \
    --window-size=1440,900 --virtual-time-budget=20000 \
    --screenshot=docs/images/ui.png "$page" >.local/log/screenshots.log 2>&1 ||
    { tail -n 15 .local/log/screenshots.log >&2; exit 1; }
echo "docs/images/ui.png"
