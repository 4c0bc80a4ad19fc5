#!/bin/sh
# Installs what building and testing copal needs and is not there yet, on
# Debian 12 and its kin. "setup.sh fuzz" adds the fuzzers' compiler.
set -eu

needed="build-essential cmake pkg-config libuv1-dev liblua5.4-dev lua5.4 swig
    liblua5.3-dev lua5.3 libluajit-5.1-dev luajit liblua5.1-0-dev lua5.1
    lua-luv lua-cqueues libedit-dev
    python3-dev python3-pytest python3-uvloop python3-pip python3-venv mypy
    libgnutls28-dev nettle-dev libgmp-dev libwslay-dev
    libcmocka-dev libjansson-dev clang-format-14
    libcoap3-bin valgrind"
if [ "${1:-}" = fuzz ]; then
    needed="$needed clang-14 libclang-rt-14-dev"
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: no apt-get here; what is needed goes by these names in Debian:" \
        $needed
    exit 0
fi

missing=
for package in $needed; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
    *" installed") ;;
    *) missing="$missing $package" ;;
    esac
done
if [ -z "$missing" ]; then
    echo "setup: everything needed is installed"
    exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    echo "setup: some packages are missing and only root can install them:" >&2
    echo "apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 2
fi

echo "setup: installing$missing"
# A stale list may still do, so a failed update is not the end.
$as_root apt-get update -qq || echo "setup: apt-get update failed; going on" >&2
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq -o Dpkg::Use-Pty=0 \
    --no-install-recommends $missing
