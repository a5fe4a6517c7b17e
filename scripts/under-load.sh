#!/usr/bin/env bash
# Runs a command several times beside busy loops, to see whether anything in it depends on how fast the computer is.
#
#   scripts/under-load.sh RUNS LOOPS COMMAND...
set -euo pipefail

runs=$1 loops=$2
shift 2

busy=()
trap 'kill "${busy[@]}" 2>/dev/null || true' EXIT
for ((n = 0; n < loops; n++)); do
    while :; do :; done &
    busy+=("$!")
done

failed=()
for ((run = 1; run <= runs; run++)); do
    printf '==> run %d of %d, beside %d busy loops\n' "$run" "$runs" "$loops"
    "$@" || failed+=("$run")
done
if ((${#failed[@]})); then
    printf 'Failed: run %s of %d.\n' "${failed[*]}" "$runs"
    exit 1
fi
printf '%d runs, none failed.\n' "$runs"
