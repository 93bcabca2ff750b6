#!/usr/bin/env bash
# Write requirements-dev.txt from requirements-dev.in, requirements.txt and requirements-api.in, and requirements-api.txt,
# local/requirements-emulator.txt, bench/requirements-*.txt, infra/requirements-checkov.txt and
# tests/redshift/clients/requirements-clients.txt from their .in: `make lock`.
#
# One lock for Linux and macOS, Python 3.11 and later. From 3.12 on it obeys MWAA's constraints; packages whose
# constrained version has no build for 3.11 (no_py311 below) are free there.
# Pins that still fit are kept; UPGRADE=1 takes the newest versions of everything the constraints leave open.
# UV names the uv to run (default: the one of .venv/airflow, else the one on the PATH).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
no_py311='numpy'

uv="${UV:-$PWD/.venv/airflow/bin/uv}"
[ -x "$uv" ] || uv="$(command -v uv)" || {
    echo "lock: uv is missing: run 'make up' once, or name one by its absolute path: UV=... make lock" >&2
    exit 1
}

# uv writes the names of its inputs into the lock: run it on copies, so that only plain names get there.
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp requirements-{dev,api}.{in,txt} {local,bench,infra,tests/redshift/clients}/requirements-*.{in,txt} "$work/"
# --constraint names MWAA's path, which does not exist here; the copy below takes its place.
sed '/^--constraint /d' requirements.txt > "$work/requirements.txt"
sed -E "s/^(($no_py311)==[^ ]+)\$/\1 ; python_version >= '3.12'/" dags/constraints-3.3.1-py3.12.txt > "$work/constraints.txt"

(
    cd "$work"
    compile() {
        "$uv" pip compile --quiet --universal --python-version 3.11 \
            --custom-compile-command 'make lock' ${UPGRADE:+--upgrade} "$@"
    }
    compile --constraint constraints.txt --output-file requirements-dev.txt requirements-dev.in
    # As in the development environment, also where the constraints say nothing.
    compile --constraint constraints.txt --constraint requirements-dev.txt --output-file requirements-api.txt \
        requirements-api.in
    # An environment of its own: the emulator pins another botocore than Airflow.
    compile --output-file requirements-emulator.txt requirements-emulator.in
    # What `make bench` compares with, what the local Redshift endpoint is tested with, and what judges the templates.
    for job in ingest mockdata sync clients checkov; do
        compile --output-file "requirements-$job.txt" "requirements-$job.in"
    done
)
cp "$work"/requirements-{dev,api}.txt .
cp "$work/requirements-emulator.txt" local/requirements-emulator.txt
cp "$work"/requirements-{ingest,mockdata,sync}.txt bench/
cp "$work"/requirements-clients.txt tests/redshift/clients/
cp "$work/requirements-checkov.txt" infra/
