#!/usr/bin/env bash
# Builds the wheel, installs it into a bare virtual environment outside of the repository, with what the lock file names, and starts the
# platform with it: what `pip install openclaw-hosted && openclaw-hosted up` does elsewhere.
#
#   scripts/try-wheel.sh
#
# An OpenClaw that tests have installed before is used again; without one, the first start installs it, which takes a minute.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
REPOSITORY=$PWD
INSTALLED=${OPENCLAW_HOSTED_TEST_CACHE:-$REPOSITORY/.cache/openclaw}
ROOM=$(mktemp -d)
DATA=$ROOM/data
BIN=$ROOM/venv/bin
up=

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'try-wheel: %s\n' "$*" >&2; exit 1; }

leave() {
    [ -z "$up" ] || "$BIN/openclaw-hosted" down --data-dir "$DATA" >/dev/null 2>&1 || true
    [ -z "$up" ] || wait "$up" || true
    rm -rf "$ROOM"
}
trap leave EXIT

say "Building the wheel"
.venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$ROOM" .

say "Installing it into a bare virtual environment"
"$PYTHON" -m venv "$ROOM/venv"
"$BIN/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
"$BIN/python" -m pip install --quiet --disable-pip-version-check --no-deps "$ROOM"/openclaw_hosted-*.whl
cd "$ROOM"
"$BIN/python" -c 'import openclaw_hosted.client, sys; sys.exit(not openclaw_hosted.__file__.startswith(sys.prefix))' ||
    fail "the package that was imported is not the installed one"
"$BIN/python" -c 'from openclaw_hosted.adapters.local.docker.image import IMAGE_DIR as d; d.joinpath("Dockerfile").stat()' ||
    fail "the wheel lacks image/Dockerfile"
"$BIN/openclaw-hosted" --version

say "Starting the platform"
mkdir -p "$DATA"
for kept in openclaw compile-cache; do
    [ ! -d "$INSTALLED/$kept" ] || ln -s "$INSTALLED/$kept" "$DATA/$kept"
done
port=$("$BIN/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
env -u PYTHONPATH MACHINES=process POOL_SPARE_COUNT=0 "$BIN/openclaw-hosted" up --port "$port" --data-dir "$DATA" >"$ROOM/up.out" 2>&1 </dev/null &
up=$!
address=http://127.0.0.1:$port
asked() { "$BIN/python" -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).status)' "$1" 2>/dev/null; }
for _ in $(seq 1200); do
    kill -0 "$up" 2>/dev/null || break
    ! asked "$address/readyz" >/dev/null || break
    sleep 0.5
done
for path in /readyz /sign-in /static/app.css /api/docs; do
    [ "$(asked "$address$path")" = 200 ] || { cat "$ROOM/up.out" >&2; fail "$path does not answer"; }
done

say "Stopping it"
"$BIN/openclaw-hosted" down --data-dir "$DATA"
wait "$up" || true
up=
! asked "$address/readyz" >/dev/null || fail "it still answers after down"
say "The wheel works"
