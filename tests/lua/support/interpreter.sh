# interpreter.sh INTERPRETER VERSION SCRIPT: a test in a plain interpreter with
# the module built for VERSION. There the main chunk is no task, so waiting
# runs the loop.
if ! command -v "$1" >/dev/null 2>&1; then
    echo "skipped: no $1 here; examples/setup.sh installs it"
    exit 77
fi
if [ ! -f "$COPAL_BUILD/lua/$2/copal_core.so" ]; then
    echo "skipped: no module for Lua $2; its headers were not there"
    exit 77
fi
# The sanitizers' runtime has to come first, since the interpreter has none.
if grep -q '^COPAL_SANITIZE:.*=.' "$COPAL_BUILD/CMakeCache.txt"; then
    runtime=$(cc -print-file-name=libasan.so)
    if [ ! -e "$runtime" ] ||
        ! grep -q '^COPAL_SANITIZE:.*=address' "$COPAL_BUILD/CMakeCache.txt"; then
        echo "skipped: no runtime of these sanitizers to put into $1"
        exit 77
    fi
    LD_PRELOAD="$runtime $(cc -print-file-name=libubsan.so)"
    # LuaJIT keeps pointers where nobody looks for them.
    [ "$1" = luajit ] && ASAN_OPTIONS=detect_leaks=0
    export LD_PRELOAD ASAN_OPTIONS
fi
export LUA_PATH="$COPAL_ROOT/lua/?.lua;$COPAL_ROOT/tests/lua/?.lua;;"
export LUA_CPATH="$COPAL_BUILD/lua/$2/?.so;;"
exec "$1" "$3"
