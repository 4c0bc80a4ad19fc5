# Shared by the tests against others' programs. A test is a list of behaviours,
# each a function run in a subshell of its own: the first thing in it that is
# not so ends it with fail, and the next one runs.
#
#   behaviour "GET" gets        a line of output, and of the table; the function
#                               may have arguments
#   in_column NAME              of the table, from here on; at first the test's
#   finish                      exits with 1 if one failed
#
# Whatever runs has a time limit, and is ended by its process id. Without
# libcoap's programs a test is skipped, unless it says needs= before.
COPAL_BIN=${COPAL_BIN:-$(dirname "$0")/../../build/copal}
limit=60 # seconds a program may take
unset NO_COLOR

for program in ${needs-coap-client-notls coap-server-notls}; do
    command -v $program >/dev/null || {
        echo "skipped: no $program (Debian: libcoap3-bin)"
        exit 77
    }
done

# A copal without GnuTLS has no TLS, DTLS and WebSocket.
has_tls() {
    ! "$COPAL_BIN" get -T 5s coaps://127.0.0.1:1/ 2>&1 | grep -q 'is not built in'
}

needs_tls() {
    has_tls && return
    echo "skipped: copal was built without GnuTLS"
    exit 77
}

work=$(mktemp -d) || exit 1
pids=
failures=0

in_column() {
    results=/dev/null
    [ -n "${COPAL_BUILD:-}" ] || return 0
    mkdir -p "$COPAL_BUILD/interop"
    results=$COPAL_BUILD/interop/$1
    : >"$results"
}
in_column "$(basename "$0" .sh)"

end_processes() {
    for pid in $pids; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    pids=
}

leave() {
    status=$?
    end_processes
    rm -rf "$work"
    exit $status
}
trap leave EXIT
trap 'exit 1' INT TERM

leave_behaviour() {
    status=$?
    end_processes
    exit $status
}

fail() {
    echo "$*"
    for file in out err; do
        [ -s "$work/$file" ] && tail -n 20 "$work/$file" | cut -c 1-200 |
            tr -d '\000' | sed "s/^/  $file: /"
    done
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

# What the server's log says from here on.
mark() {
    marked=$(wc -l <"${log:-/dev/null}")
}

behaviour() {
    (
        pids=
        trap leave_behaviour EXIT
        mark
        $2
    ) >"$work/said" 2>&1
    case $? in
    0) verdict=ok ;;
    77) verdict=skipped ;;
    78) verdict="peer's" ;;
    *)
        verdict=FAILED
        failures=$((failures + 1))
        ;;
    esac
    echo "$verdict $1"
    sed 's/^/  /' "$work/said"
    note=
    [ "$verdict" = ok ] || note=$(head -n 1 "$work/said")
    printf '%s\t%s\t%s\n' "$1" "$verdict" "$note" >>"$results"
}

finish() {
    [ "$failures" -eq 0 ]
    exit
}

# ---- Programs --------------------------------------------------------------

# within SECONDS COMMAND...: until it succeeds.
within() {
    tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

# copal STATUS WORDS...: exits so; what it says is in $work/out and $work/err.
copal() {
    wanted=$1
    shift
    timeout $limit "$COPAL_BIN" "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    [ $got = "$wanted" ] || fail "copal $*: exit $got, not $wanted"
}

# client WORDS...: coap-client writes the payload to $work/out and its log,
# with every message, to $work/err. Its exit code says nothing of the answer.
client() {
    rm -f "$work/out"
    timeout $limit coap-client-notls -v 7 -o "$work/out" "$@" \
        >"$work/err" 2>&1 </dev/null || fail "coap-client $*: exit $?"
    [ -e "$work/out" ] || : >"$work/out"
}

# start_copal WORDS...: copal serve; $uri is where, $log every message.
start_copal() {
    log=$(mktemp "$work/copal.XXXXXX")
    timeout ${server_limit:-170} "$COPAL_BIN" serve -v "$@" >"$log.out" 2>"$log" </dev/null &
    pids="$pids $!"
    within 10 grep -q '^listening on ' "$log.out" ||
        fail "copal serve $* does not listen: $(cat "$log")"
    uri=$(sed -n 's/^listening on //p' "$log.out" | head -n 1)
}

# start_libcoap HOST WORDS...: coap-server; the same. It says the port it chose.
start_libcoap() {
    log=$(mktemp "$work/libcoap.XXXXXX")
    host=$1
    shift
    timeout 170 coap-server-notls -A "$(echo "$host" | tr -d '[]')" -p 0 -v 7 \
        "$@" >"$log" 2>&1 </dev/null &
    pids="$pids $!"
    within 10 grep -q 'created UDP  endpoint' "$log" ||
        fail "coap-server $* does not listen: $(cat "$log")"
    port=$(sed -n 's/.*created UDP  endpoint .*:\([0-9]*\).*/\1/p' "$log")
    uri=coap://$host:$port
}

# later COMMAND...: in the background, for at most $limit seconds; $job is it.
later() {
    : >"$work/later" # what the one before said is not taken for its words
    : >"$work/later.err"
    timeout $limit "$@" >"$work/later" 2>"$work/later.err" </dev/null &
    job=$!
    pids="$pids $job"
}

# ---- What must be so -------------------------------------------------------

out_is() {
    printf '%s' "$1" | cmp -s - "$work/out" || fail "the payload is not '$1'"
}

out_has() {
    grep -aqF -e "$1" "$work/out" || fail "the payload lacks '$1'"
}

out_lacks() {
    ! grep -aqF -e "$1" "$work/out" || fail "the payload has '$1'"
}

# said PATTERN: in the log of the client.
said() {
    grep -aq -e "$1" "$work/err" || fail "the client's log lacks '$1'"
}

# count NUMBER PATTERN FILE: so many lines, at least.
count() {
    seen=$(grep -ac -e "$2" "$3")
    [ "$seen" -ge "$1" ] || fail "$seen of '$2', not $1"
}

# same FILE FILE
same() {
    cmp -s "$1" "$2" || fail "$(basename "$1") and $(basename "$2") differ"
}

needs_ipv6() {
    grep -q ' lo$' /proc/net/if_inet6 2>/dev/null || skip "no ::1 here"
}

# Bytes of every value; a shifted or repeated block shows.
large=$work/large
LC_ALL=C awk 'BEGIN { for (i = 0; i < 102400 / 8; i++)
    printf "%c%c%06d", 128 + i % 128, i % 32 + 1, i }' >"$large"
