# Shared by the tests of the examples. Each example runs on ports of its own;
# the first thing that is not so ends the file.
copal=$COPAL_BIN
examples=$COPAL_BUILD/examples
work=$(mktemp -d)
servers=

finish() {
    status=$?
    for pid in $servers; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

fail() {
    echo "not ok: $*" >&2
    for f in "$work"/*.out "$work"/*.err; do
        [ ! -s "$f" ] || sed "s|^|  ${f##*/}: |" "$f" >&2
    done
    exit 1
}

# start NAME WORDS...: a server that says where it listens; $uri.
start() {
    name=$1
    : >"$work/$name.err"
    shift
    "$@" >"$work/$name.out" 2>>"$work/$name.err" &
    servers="$servers $!"
    for _ in $(seq 100); do
        uri=$(sed -n 's/^listening on //p' "$work/$name.out" \
            "$work/$name.err" 2>/dev/null | head -n 1)
        [ -z "$uri" ] || return 0
        sleep 0.1
    done
    fail "$name does not listen"
}

start_example() {
    example=$1
    shift
    start "$example" "$examples/$example" "$@" coap://127.0.0.1:0
}

start_demo() {
    start demo "$copal" serve --test --listen coap://127.0.0.1:0
}

# run STATUS WORDS...: exits with STATUS; what it wrote is in run.out, run.err.
run() {
    wanted=$1
    shift
    "$@" >"$work/run.out" 2>"$work/run.err" </dev/null
    got=$?
    [ "$got" = "$wanted" ] || fail "$*: exit $got, wanted $wanted"
}

out_is() {
    printf '%s' "$1" | cmp -s - "$work/run.out" || fail "stdout is not '$1'"
}

out_matches() {
    grep -qE -e "$1" "$work/run.out" || fail "stdout has no '$1'"
}

err_has() {
    grep -qF -e "$1" "$work/run.err" || fail "stderr has no '$1'"
}
