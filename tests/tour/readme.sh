# The programs in README.md do what it says.
. "$(dirname "$0")/check.sh"

# block LANGUAGE NUMBER FILE: a piece of code as it stands in the README, but
# for the server that is asked and the port that is listened at.
block() {
    awk -v language="$1" -v number="$2" '
        $0 == "```" { inside = 0 }
        inside
        $0 == "```" language { inside = ++seen == number }' \
        "$COPAL_ROOT/README.md" |
        sed -e "s|coap://localhost|$uri|" -e "s|coap://\*|$own|" >"$work/$3"
    [ -s "$work/$3" ] || fail "README.md has no block $2 of $1"
}

compile() {
    cc -o "$work/$1" "$work/$1.c" -I"$COPAL_ROOT/core/include" \
        -L"$COPAL_BUILD/core" -lcopal -Wl,-rpath,"$COPAL_BUILD/core" ||
        fail "$1.c is not compiled"
}

# asks WORDS...: the program of the first chapter.
asks() {
    run 0 "$@"
    out_matches '^2\.05 Content[[:space:]]+[0-9]{4}-[0-9]{2}-[0-9]{2} '
}

# serves WORDS...: that of the second. It takes a moment to listen.
serves() {
    "$@" >"$work/own.out" 2>&1 &
    pid=$!
    servers="$servers $pid"
    for _ in $(seq 50); do
        "$copal" ping -C 1 -T 1s "$own" >/dev/null 2>&1 && break
        kill -0 $pid 2>/dev/null || fail "$* ended"
        sleep 0.1
    done
    run 0 "$copal" observe -C 3 -W 10s "$own/count"
    [ "$(wc -l <"$work/run.out")" -eq 3 ] || fail "$*: not three values"
    [ "$(sort -n "$work/run.out" | uniq | wc -l)" -eq 3 ] ||
        fail "$*: not one after the other"
    run 0 "$copal" get "$own/.well-known/core"
    out_matches '</count>.*;obs'
    kill $pid
    wait $pid 2>/dev/null || true
}

# shows_more WORDS...: that of the simulator.
shows_more() {
    run 0 "$@"
    out_matches '^coap://server/temp$'
    out_matches '^too hot: 40 at most$'
    out_matches 'broke off at [1-9]'
    out_matches '^20000 bytes$'
    out_matches '^value[[:space:]]21\.5$'
    out_matches '^silent[[:space:]].*nothing heard'
}

python=$(sed -n 's/^_\{0,1\}Python3_EXECUTABLE:[A-Z]*=//p' \
    "$COPAL_BUILD/CMakeCache.txt" | tail -n 1)
export PYTHONPATH="$COPAL_BUILD/python" PYTHONDONTWRITEBYTECODE=1

if grep -q '^COPAL_SANITIZE:.*=.' "$COPAL_BUILD/CMakeCache.txt"; then
    echo 'skipped: programs of others would have to be sanitized, too'
    exit 77
fi
start_demo
own=coap://127.0.0.1:$(awk "BEGIN { srand($$); print int(20000 + rand() * 12000) }")

block c 1 get.c
block c 2 count.c
compile get
compile count
asks "$work/get"
serves "$work/count"

block lua 1 get.lua
block lua 2 count.lua
asks "$copal" run "$work/get.lua"
serves "$copal" run "$work/count.lua"
block lua 4 more.lua
shows_more "$copal" run "$work/more.lua"

set -- "$COPAL_BUILD"/python/copal/_copal.*.so
if [ -f "$1" ]; then
    block python 1 get.py
    block python 2 count.py
    asks "$python" "$work/get.py"
    serves "$python" "$work/count.py"
    block python 3 more.py
    shows_more "$python" "$work/more.py"
else
    echo 'python: skipped, the package is not built'
fi
