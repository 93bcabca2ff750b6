#!/usr/bin/env bash
# Installs what the platform needs: a PostgreSQL server with PostGIS, and the Python environments .venv/airflow and
# .venv/emulator. Does nothing when they are there and their lock files have not changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV_VERSION=0.13.8
STAMP=.venv/bootstrap.stamp
LOG=.local/log
LOCK=.local/bootstrap.lock
NEEDED_MB=1500 # both environments have about 900 MB, and uv may keep its cache on the same disk

# What the environments were made from. pyvenv.cfg holds the interpreter's path.
made_from() {
    cat local/bootstrap.sh requirements-dev.txt local/requirements-emulator.txt .venv/airflow/pyvenv.cfg .venv/emulator/pyvenv.cfg
}

up_to_date() {
    [ -f "$STAMP" ] && made_from 2>/dev/null | cmp -s - "$STAMP" &&
        [ -x .venv/airflow/bin/python ] && [ -x .venv/emulator/bin/python ] &&
        [ -x "$(cat .venv/postgres-bin 2>/dev/null)/postgres" ]
}

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }

fail() {
    printf '\nThe installation stopped: %s\n' "$1" >&2
    exit 1
}

# Runs a step with its output in a log; on failure shows the log's end and what to do.
step() {
    local name=$1 fix=$2 log=$LOG/bootstrap-$1.log
    shift 2
    if ! "$@" >"$log" 2>&1; then
        printf '\nThe step "%s" failed. The last lines of %s:\n' "$name" "$log" >&2
        tail -n 15 "$log" | sed 's/^/    /' >&2
        printf 'What to do: %s\n' "$fix" >&2
        return 1
    fi
}

# Prints the path of the interpreter to use. Every directory of PATH is tried, since the first one may hold a version
# manager's stand-in for a Python that is not installed.
find_python() {
    local name dir path
    local -a dirs
    IFS=: read -ra dirs <<<"$PATH"
    for name in python3.12 python3.13 python3; do
        for dir in "${dirs[@]}"; do
            [ -x "$dir/$name" ] || continue
            path=$("$dir/$name" -c 'import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13): sys.exit(1)
print(sys.executable)' 2>/dev/null) && printf '%s\n' "$path" && return 0
        done
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

# install_packages NAME... (or the word "postgis", which stands for the newest PostgreSQL that Debian offers with it)
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    # An interrupted installation leaves packages half configured, and apt refuses to go on.
    if [ -n "$(dpkg --audit)" ]; then as_root dpkg --configure -a; fi
    as_root apt-get -q update
    if [ "$*" = postgis ]; then
        local server
        server=$(apt-cache --names-only search '^postgresql-[0-9]+-postgis-3$' | sed -E 's/^postgresql-([0-9]+)-.*/\1/' | sort -rn | head -n 1)
        if [ -z "$server" ] || [ "$server" -lt 15 ]; then
            echo "This release offers no PostgreSQL 15 or newer with PostGIS (found: ${server:-none})."
            return 1
        fi
        set -- "postgresql-$server" "postgresql-$server-postgis-3"
        # Debian's package starts a server of its own on port 5432, which nobody asked for here.
        if [ ! -d /etc/postgresql-common ]; then
            as_root mkdir -p /etc/postgresql-common/createcluster.d
            echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.d/marketplace.conf >/dev/null
        fi
    fi
    as_root apt-get -q install -y --no-install-recommends "$@"
}

# Prints all Debian packages that are missing, so that whoever must ask an administrator asks once.
missing_packages() {
    local python
    python=$(find_python)
    "$python" -B -m local.pgbin >/dev/null 2>&1 || printf 'postgresql postgresql-postgis '
    command -v uv >/dev/null || [ -x .local/tools/bin/uv ] ||
        "$python" -c 'import sys
try: import ensurepip
except ImportError: print("python%d.%d-venv" % sys.version_info[:2])'
}

# ensure_packages NAME...: apt where it may be used, else says exactly what to type.
ensure_packages() {
    local wanted=$* by_hand
    by_hand=$(missing_packages | xargs)
    if [ "$(uname)" = Darwin ]; then
        [ "$wanted" = postgis ] || fail "Python cannot make virtual environments: brew install python@3.12"
        command -v brew >/dev/null || fail "PostgreSQL with PostGIS is missing. Install Homebrew, then: brew install postgresql@17 postgis"
        say "PostgreSQL and PostGIS: brew install (macOS is not tested)"
        step postgis "brew install postgresql@17 postgis" brew install postgresql@17 postgis
    elif ! command -v apt-get >/dev/null; then
        fail "These are missing, and there is no apt-get here: $by_hand. Install them with this system's package manager."
    elif ! may_be_root; then
        fail "Packages are missing, and installing them needs root. Type:
    sudo apt-get update && sudo apt-get install -y --no-install-recommends $by_hand
then run the same make target again."
    else
        step "${wanted%% *}" "sudo apt-get install -y --no-install-recommends $by_hand" install_packages $wanted
    fi
}

install_postgis() {
    say "PostgreSQL with PostGIS: installing"
    ensure_packages postgis
    .venv/python -m local.pgbin >.venv/postgres-bin
    say "PostgreSQL with PostGIS: ready"
}

install_uv() {
    local version
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$1" -c 'import ensurepip' 2>/dev/null || ensure_packages "python$version-venv"
    say "uv $UV_VERSION: installing"
    step tools "check the network: pip must reach a package index (pip download uv==$UV_VERSION). Then run the same make target again: it goes on from here" bash -c \
        '"$1" -m venv --clear .local/tools && .local/tools/bin/python -m pip install --quiet "uv==$2"' - "$1" "$UV_VERSION"
}

# environment NAME LOCKFILE PYTHON UV
environment() {
    local made=.venv/$1
    say "Python environment $1: installing"
    # A venv of another interpreter, or one whose interpreter has gone, is made anew.
    if [ "$("$made/bin/python" -c 'import sys; print(sys._base_executable)' 2>/dev/null)" != "$3" ]; then
        step "$1" "delete $made and try again" "$4" venv --quiet --clear --python "$3" "$made"
    fi
    step "$1" "check the network: uv must reach a package index. Then run the same make target again: it goes on from here" "$4" pip sync --quiet --python "$made/bin/python" "$2"
    say "Python environment $1: ready"
}

main() {
    local free
    free=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1000))
    [ "$free" -ge "$NEEDED_MB" ] ||
        fail "the disk is full: $free MB are free in $PWD, and installing needs $NEEDED_MB MB. Free some space there, then run the same make target again."
    mkdir -p "$LOG" .venv
    if ! mkdir "$LOCK" 2>/dev/null; then
        local holder
        holder=$(cat "$LOCK/pid" 2>/dev/null || echo 0)
        if [ "$holder" != 0 ] && kill -0 "$holder" 2>/dev/null; then
            fail "another installation is at work in this clone (process $holder). Wait for it."
        fi
    fi
    echo $$ >"$LOCK/pid"
    trap 'rm -rf "$LOCK"' EXIT
    trap 'trap - INT TERM; printf "\nInterrupted. The next make continues the installation.\n" >&2; kill -TERM $(jobs -p) 2>/dev/null; exit 130' INT TERM

    local python uv
    python=$(find_python) || fail "Python 3.11, 3.12 or 3.13 is missing. Debian: sudo apt-get install -y python3 python3-venv"
    say "Python: $python"
    ln -sfn "$python" .venv/python
    export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
    # Behind a proxy with a certificate of its own, only this system's certificates will do.
    if [ -f /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS=true; fi

    local -a jobs_running=()
    if "$python" -m local.pgbin >.venv/postgres-bin 2>/dev/null; then
        :
    elif "$python" -c 'import ensurepip' 2>/dev/null || command -v uv >/dev/null; then
        install_postgis & jobs_running+=($!)
    else
        install_postgis # apt takes one installation at a time, and python3-venv is the next
    fi

    if ! uv=$(command -v uv) || ! "$uv" --version >/dev/null 2>&1; then
        uv=.local/tools/bin/uv
        [ "$("$uv" --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ] || install_uv "$python"
    fi
    environment airflow requirements-dev.txt "$python" "$uv" & jobs_running+=($!)
    environment emulator local/requirements-emulator.txt "$python" "$uv" & jobs_running+=($!)

    local job failed=0
    for job in "${jobs_running[@]}"; do wait "$job" || failed=1; done
    [ "$failed" = 0 ] || exit 1
    made_from >"$STAMP"
    say "Installed."
}

# local.doctor asks by the rules above, which change nothing: bootstrap.sh ask FUNCTION
if [ "${1:-}" = ask ]; then "$2"; else up_to_date || main; fi
