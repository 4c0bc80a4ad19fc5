# Shared by the tests of the copal program. Each says what it proves with
# check; the first failure ends the file.
COPAL_BIN=${COPAL_BIN:-build/copal}
work=$(mktemp -d)
server=
unset NO_COLOR

finish() {
    status=$?
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

fail() {
    echo "not ok: $*" >&2
    for f in out err server.out server.err; do
        [ -s "$work/$f" ] && sed "s/^/  $f: /" "$work/$f" >&2
    done
    exit 1
}

# check STATUS WORDS...: copal WORDS exits with STATUS; what it wrote is in
# $work/out and $work/err.
check() {
    wanted=$1
    shift
    "$COPAL_BIN" "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    [ "$got" = "$wanted" ] || fail "copal $*: exit $got, wanted $wanted"
}

out_is() {
    printf '%s' "$1" | cmp -s - "$work/out" || fail "stdout is not exactly '$1'"
}

out_has() {
    grep -qF -e "$1" "$work/out" || fail "stdout has no '$1'"
}

err_has() {
    grep -qF -e "$1" "$work/err" || fail "stderr has no '$1'"
}

err_is_empty() {
    [ ! -s "$work/err" ] || fail "stderr is not empty"
}

out_is_empty() {
    [ ! -s "$work/out" ] || fail "stdout is not empty"
}

# serve ARGS...: starts copal serve, waits until it listens; $uri is its first
# address.
serve() {
    : >"$work/server.out" # what the last one said
    "$COPAL_BIN" serve "$@" >"$work/server.out" 2>"$work/server.err" &
    server=$!
    for _ in $(seq 100); do
        grep -q "^listening on" "$work/server.out" && break
        kill -0 "$server" 2>/dev/null || fail "copal serve $* ended"
        sleep 0.1
    done
    uri=$(sed -n 's/^listening on //p' "$work/server.out" | head -n 1)
    [ -n "$uri" ] || fail "copal serve $* does not listen"
}

# stop SIGNAL: ends the server; its status is in $stopped.
stop() {
    kill "-$1" "$server"
    wait "$server"
    stopped=$?
    server=
}
