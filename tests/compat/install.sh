#!/bin/bash
# Installs Debian's xenstore clients and daemons, git, sqlite3 and rrdtool, and compiles the stand-in for Xen beside this file.
# Needs root for the packages only; quick when they are there already. Prints where the stand-in is.
# install.sh [--packages-only | --compile-only]
set -euo pipefail
cd "$(dirname "$0")"
CACHE=${RRDSTORE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rrdstore}
PACKAGES=(xen-utils-4.17 xenstore-utils libxenstore4 libxen-dev python3-pyxs gcc libc6-dev git sqlite3 rrdtool)

packages() {
    local missing=() name
    for name in "${PACKAGES[@]}"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

compile() {
    mkdir -p "$CACHE"
    # Beside and moved, so that a daemon that is being started never loads half a file.
    gcc -O2 -w -shared -fPIC -o "$CACHE/fakexen.so.$$" fakexen.c -ldl
    mv "$CACHE/fakexen.so.$$" "$CACHE/fakexen.so"
    echo "$CACHE/fakexen.so"
}

case ${1:-} in
    --packages-only) packages ;;
    --compile-only) compile ;;
    "")
        packages
        compile
        ;;
    *) echo "usage: $0 [--packages-only | --compile-only]" >&2; exit 2 ;;
esac
