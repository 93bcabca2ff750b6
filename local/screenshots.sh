#!/usr/bin/env bash
# Takes docs/images/ui.png: the DAG ingest_files in the Airflow UI of the running platform, with its latest runs.
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

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
mkdir -p docs/images
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$profile" \
    --window-size=1440,900 --virtual-time-budget=20000 \
    --screenshot=docs/images/ui.png "${1:-$AIRFLOW_URL/dags/ingest_files}" >.local/log/screenshots.log 2>&1 ||
    { tail -n 15 .local/log/screenshots.log >&2; exit 1; }
echo "docs/images/ui.png"
