#!/usr/bin/env bash
# Installs Chromium where it is missing: the tests in a browser and the pictures of docs/images are taken with Debian's.
set -euo pipefail

if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ]; then sudo=(); else sudo=(sudo -n); fi
if ! { "${sudo[@]}" apt-get -q update &&
    "${sudo[@]}" apt-get -q install -y --no-install-recommends chromium fonts-dejavu-core; }; then
    echo "chromium is missing. Type: sudo apt-get install -y --no-install-recommends chromium fonts-dejavu-core" >&2
    exit 1
fi
