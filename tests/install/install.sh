#!/bin/sh
# An installed copal is found by pkg-config and by find_package(), shared and
# static, in C and C++, and by a Lua interpreter of its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
prefix=$work/prefix

cmake --install "$COPAL_BUILD" --prefix "$prefix" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
libdir=$(dirname "$(find "$prefix" -name libcopal.a)")

echo "-- pkg-config"
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
pkg-config --print-requires copal | grep -qx libuv
cc -Wall -Wextra -Werror -o "$work/by-pkg-config" "$here/consumer.c" \
    $(pkg-config --cflags --libs copal)
LD_LIBRARY_PATH=$libdir "$work/by-pkg-config" "$(pkg-config --modversion copal)"
# The archive needs what the library is linked with already.
cc -o "$work/by-static" "$here/consumer.c" $(pkg-config --cflags copal) \
    "$libdir/libcopal.a" $(pkg-config --libs --static copal | sed 's/-lcopal//')
"$work/by-static" "$(pkg-config --modversion copal)"

echo "-- the headers in C++"
printf '#include <copal_sim.h>\nint main() { return 0; }\n' >"$work/header.cc"
c++ -Wall -Wextra -Werror -fsyntax-only "$work/header.cc" \
    $(pkg-config --cflags copal)

echo "-- find_package"
unset PKG_CONFIG_PATH
cmake -S "$here" -B "$work/by-cmake" -DCMAKE_PREFIX_PATH="$prefix" \
    >"$work/log" 2>&1 && cmake --build "$work/by-cmake" >>"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
"$work/by-cmake/consumer" 0.1.0
"$work/by-cmake/consumer-static" 0.1.0

echo "-- only copal_ is exported"
exported=$(nm -D --defined-only "$libdir/libcopal.so" | awk '{ print $3 }' |
    grep -v '^copal_' || true)
[ -z "$exported" ] || {
    echo "also exported: $exported"
    exit 1
}

if [ -x "$prefix/bin/copal" ]; then
    echo "-- the program"
    "$prefix/bin/copal" --version
fi
if [ -f "$libdir/lua/5.4/copal_core.so" ] && command -v lua5.4 >/dev/null; then
    echo "-- the Lua module"
    LUA_PATH="$prefix/share/lua/5.4/?.lua" LUA_CPATH="$libdir/lua/5.4/?.so" \
        lua5.4 -e 'assert(require "copal")'
fi
