#!/usr/bin/env bash
# Makes .venv with all that the platform and its tests need, exactly as the lock file says.
# Works on a bare Debian or Ubuntu with Python 3.11 or newer; does nothing when .venv is up to date.
#
#   scripts/setup.sh            for running the platform
#   scripts/setup.sh --dev      for its tests as well
#   scripts/setup.sh --browser  installs Chromium by apt-get where it is missing; says so where it can't
#   scripts/setup.sh --lab      the same for what the full lab needs beside a Docker engine
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=.venv

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"
    else return 1
    fi
}

apt_install() {
    command -v apt-get >/dev/null || return 1
    say "Installing $* by apt-get"
    as_root apt-get update -qq >/dev/null || return 1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

install_browser() {
    if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then return; fi
    apt_install chromium || say "Chromium is missing and can't be installed here (apt-get install chromium, as root): tests in the browser are skipped"
}

install_lab() {
    local missing=()
    command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
    command -v docker-registry >/dev/null || missing+=(docker-registry)
    command -v iptables >/dev/null || missing+=(iptables)
    if [ ${#missing[@]} -gt 0 ]; then
        apt_install "${missing[@]}" || say "Missing: ${missing[*]} (apt-get install, as root). The lab with LAB_ARGS=--plain does without."
    fi
}

check_python() {
    command -v "$PYTHON" >/dev/null || fail "$PYTHON is missing. Install Python 3.11 or newer (apt-get install python3), or say PYTHON=/path/to/python3."
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$PYTHON" --version 2>&1) is too old: Python 3.11 or newer is needed. Say PYTHON=/path/to/python3.11."
}

make_venv() {
    if "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then :
    else
        version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        apt_install "python$version-venv" || apt_install python3-venv ||
            fail "Python's venv module is missing. Install it, as root: apt-get install python$version-venv"
    fi
    "$PYTHON" -m venv --clear "$VENV"
}

install_packages() {
    local lock=$1 stamp=$VENV/.installed wanted
    wanted=$(cat "$lock" pyproject.toml | sha256sum | cut -d' ' -f1)
    if [ -x "$VENV/bin/openclaw-hosted" ] && grep -qsx "$2 $wanted" "$stamp"; then return; fi
    check_python
    if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        say "Making $VENV with $("$PYTHON" --version)"
        make_venv
    fi
    say "Installing Python packages from $lock (the first time takes a minute or two)"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$lock"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
    printf '%s\n' "$2 $wanted" >"$stamp"
    if [ "$2" = dev ]; then
        printf '%s\n' "run $(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1)" >>"$stamp"
    fi
    say "Done"
}

case "${1:-}" in
    --dev) install_packages requirements-dev.lock dev ;;
    --browser) install_browser ;;
    --lab) install_lab ;;
    '') install_packages requirements.lock run ;;
    *) fail "unknown argument $1" ;;
esac
