#!/usr/bin/env bash
# Makes .venv from requirements.lock. Needs nothing but Python 3.11+ or uv, and finds or installs uv itself.
# Sourced with --only-uv it just sets UV.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV_VERSION=0.13.9
TOOLS=.cache/tools

die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

python_with_venv() {
    command -v python3 >/dev/null || return 1
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

install_system_python() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        die "Python 3.11 or newer with its venv module is needed; run: sudo apt-get install python3-venv"
    echo "setup: installing python3-venv"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 python3-venv >/dev/null
    python_with_venv || die "the system's Python is older than 3.11; install uv (docs.astral.sh/uv), which brings its own"
}

find_uv() {
    if command -v uv >/dev/null; then
        UV=$(command -v uv)
    elif [ -x "$TOOLS/bin/uv" ]; then
        UV=$TOOLS/bin/uv
    else
        python_with_venv || install_system_python
        echo "setup: installing uv $UV_VERSION into $TOOLS"
        python3 -m venv "$TOOLS"
        "$TOOLS/bin/pip" install --quiet --disable-pip-version-check "uv==$UV_VERSION"
        UV=$TOOLS/bin/uv
    fi
    export UV
}

find_uv
if [ "${1:-}" != --only-uv ]; then
    [ -x .venv/bin/python ] || "$UV" venv --quiet .venv
    echo "setup: installing the packages of requirements.lock into .venv"
    "$UV" pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
    # The Pulumi CLI reads the list of SDKs from uv.lock (docs/adr/0006-a-lock-without-addresses.md).
    "$UV" lock --quiet --python .venv/bin/python
    touch .venv/.ready
fi
