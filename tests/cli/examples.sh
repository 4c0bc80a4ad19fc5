# The Lua examples do what their first line says, in each Lua there is.
. "$(dirname "$0")/support/lib.sh"
root=${COPAL_ROOT:-.}
build=${COPAL_BUILD:-build}
examples=$root/examples/lua
export LUA_PATH="$root/lua/?.lua;;"

# start SCRIPT ARGS...: an example that serves; $uri is where.
start() {
    : >"$work/server.err" # what the last one said
    $lua "$@" >"$work/server.out" 2>"$work/server.err" &
    server=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        uri=$(sed -n 's/^listening on //p' "$work/server.err")
        [ -z "$uri" ] || return 0
        kill -0 "$server" 2>/dev/null || fail "$lua $* ended"
        sleep 0.1
    done
    fail "$lua $* does not listen"
}

# run STATUS SCRIPT ARGS...: one that asks.
run() {
    wanted=$1
    shift
    $lua "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    [ "$got" = "$wanted" ] || fail "$lua $*: exit $got, wanted $wanted"
}

an_example_for_everything() {
    start "$examples/server.lua" coap://127.0.0.1:0
    run 0 "$examples/get.lua" "$uri/hello/you"
    out_is 'Hello, you!'
    run 1 "$examples/get.lua" "$uri/nothing"
    err_has '4.04'
    check 0 put "$uri/note" -p 'milk, eggs'
    run 0 "$examples/get.lua" "$uri/note"
    out_is 'milk, eggs'
    run 0 "$examples/observe.lua" "$uri/time" 2
    [ "$(wc -l <"$work/out")" = 2 ] || fail 'two notifications'
    run 0 "$examples/parallel.lua" "$uri/time" "$uri/note" "$uri/hello/me"
    [ "$(grep -c '2.05 Content' "$work/out")" = 3 ] || fail 'three answers'
    run 1 "$examples/parallel.lua" "$uri/time" coap://127.0.0.1:1/
    err_has '127.0.0.1:1'
    stop TERM

    awk 'BEGIN { for (i = 0; i < 9000; i++) print "line", i }' >"$work/file"
    start "$examples/stream.lua" "$work/file" coap://127.0.0.1:0
    run 0 "$examples/download.lua" "$uri/file"
    cmp -s "$work/file" "$work/out" || fail 'the file came whole'
    check 0 put "$uri/count" @"$work/file"
    out_has "$(wc -c <"$work/file") bytes came"
    stop TERM

    start "$examples/slow.lua" coap://127.0.0.1:0
    run 0 "$examples/get.lua" "$uri/slow"
    out_is 'worth the wait'
    stop TERM
}

bench_server() {
    (cd / && exec $lua "$examples/bench-server.lua" 56830) \
        >"$work/server.out" 2>"$work/server.err" &
    server=$!
    uri=coap://127.0.0.1:56830
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        "$COPAL_BIN" get "$uri/hello" >/dev/null 2>&1 && break
        sleep 0.1
    done
    check 0 get "$uri/hello"
    out_is 'hello, world'
    check 0 get "$uri/big"
    [ "$(wc -c <"$work/out")" = 1024 ] || fail '/big has 1,024 bytes'
    check 0 put --expect 2.04 "$uri/sink" -p x
    "$COPAL_BIN" observe -v -C 2 "$uri/obs" >"$work/notes" 2>"$work/notes.err" &
    sleep 0.3
    check 0 put "$uri/obs" -p x
    wait $!
    printf 'value 000000\nvalue 000001\n' | cmp -s - "$work/notes" ||
        fail 'a PUT to /obs is told'
    grep -q "$1 2.05" "$work/notes.err" || fail "a notification is $1"
    stop TERM
}

lua="$COPAL_BIN run"
an_example_for_everything
unset NOTIFY_CON
bench_server NON
export NOTIFY_CON=1
bench_server CON
unset NOTIFY_CON

grep -q '^COPAL_SANITIZE:.*=.' "$build/CMakeCache.txt" && exit 0
for row in lua5.4:5.4 lua5.3:5.3 luajit:5.1; do
    lua=${row%:*}
    export LUA_CPATH="$build/lua/${row#*:}/?.so;;"
    [ -f "$build/lua/${row#*:}/copal_core.so" ] || continue
    command -v "$lua" >/dev/null 2>&1 && an_example_for_everything
done
exit 0
