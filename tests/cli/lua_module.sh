# The Lua tests again in a plain Lua interpreter with the module: there the
# main chunk is no task, so waiting runs the loop.
. "$(dirname "$0")/support/lib.sh"
root=${COPAL_ROOT:-.}
build=${COPAL_BUILD:-build}
lua=$(command -v lua5.4) || exit 77
[ -f "$build/lua/5.4/copal_core.so" ] || exit 77
# The sanitizers' runtime would have to be in the interpreter.
grep -q '^COPAL_SANITIZE:.*=.' "$build/CMakeCache.txt" && exit 77

export LUA_PATH="$root/lua/?.lua;$root/tests/lua/?.lua;;"
export LUA_CPATH="$build/lua/5.4/?.so;;"
for test in "$root"/tests/lua/*.lua; do
    "$lua" "$test" >"$work/out" 2>"$work/err" || fail "$test"
done
