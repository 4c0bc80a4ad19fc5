# coap+tcp and coap+ws beside libcoap (TCP only, in Debian's build) and aiocoap,
# each as client and as server.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/aiocoap.sh"
limit=20
here=$(cd "$(dirname "$0")" && pwd)
tested=

head -c 3000 /dev/zero | tr '\0' y >"$work/body"

# start_copal: $tcp and $ws are where; $ws is empty where it is not built in.
start_copal() {
    last='coap+tcp'
    ! has_tls || last='coap+ws'
    timeout 170 "$COPAL_BIN" serve --test --listen coap+tcp://127.0.0.1:0 \
        --listen $last://127.0.0.1:0 >"$work/copal.out" 2>&1 </dev/null &
    pids="$pids $!"
    within 10 grep -q "listening on $last" "$work/copal.out" ||
        fail "copal does not listen"
    tcp=$(sed -n 's/^listening on \(coap+tcp:.*\)/\1/p' "$work/copal.out" | head -n 1)
    ws=$(sed -n 's/^listening on \(coap+ws:.*\)/\1/p' "$work/copal.out")
}

has() {
    grep -qE -e "$1" "$work/out" || fail "$what: no '$1' in its output"
}

# them WORDS...: what a peer's client gives is in $work/out.
them() {
    what=$*
    timeout $limit "$@" >"$work/out" 2>"$work/err" </dev/null
}

# us WORDS...: copal has to end with 0.
us() {
    what="copal $*"
    timeout $limit "$COPAL_BIN" "$@" >"$work/out" 2>"$work/err" </dev/null ||
        fail "$what: exit $?: $(tail -n 1 "$work/err")"
}

free_port() {
    "$python" -c 'import socket
s = socket.socket()
for port in range(40000, 60000):
    try:
        s.bind(("127.0.0.1", port))
        socket.socket().bind(("127.0.0.1", port + 3000))
        break
    except OSError:
        continue
print(port)'
}

# ---- libcoap ---------------------------------------------------------------

libcoap() {
    client=$(command -v coap-client-notls || command -v coap-client) || return
    server=$(command -v coap-server-notls || command -v coap-server) || return
    tested="$tested libcoap"
    them "$client" -m get "$tcp/time"
    has '^20..-..-.. ..:..'
    them "$client" -m put -f "$work/body" "$tcp/other/block"
    them "$client" -m get "$tcp/other/block"
    has '^y{3000}$'
    them "$client" -s 7 -m get "$tcp/obs"
    has 'tick .*tick'

    port=$(free_port)
    timeout 60 "$server" -A 127.0.0.1 -p "$port" >"$work/server.out" 2>&1 &
    pids="$pids $!"
    within 10 "$COPAL_BIN" get "coap+tcp://127.0.0.1:$port/" >"$work/out" 2>&1
    us get "coap+tcp://127.0.0.1:$port/"
    has libcoap
    us ls "coap+tcp://127.0.0.1:$port"
    has '/time'
    us ping -C 1 "coap+tcp://127.0.0.1:$port"
    us observe -C 2 "coap+tcp://127.0.0.1:$port/time"
    us put "coap+tcp://127.0.0.1:$port/example_data" "@$work/body"
    us get "coap+tcp://127.0.0.1:$port/example_data"
    [ "$(wc -c <"$work/out")" -eq 3000 ] || fail "libcoap gives another body"
}

# ---- aiocoap ---------------------------------------------------------------

aiocoap() {
    tested="$tested aiocoap"
    client=$venv/bin/aiocoap-client
    for uri in "$tcp" $ws; do
        them "$client" "$uri/time"
        has '^20..-..-.. ..:..'
        them "$client" -m PUT --payload "@$work/body" "$uri/other/block"
        them "$client" "$uri/other/block"
        has 'y{100}'
    done

    port=$(free_port)
    timeout 100 "$venv/bin/python" "$here/support/aiocoap_streams.py" "$port" \
        >"$work/streams.out" 2>&1 </dev/null &
    pids="$pids $!"
    within 10 grep -q ready "$work/streams.out" ||
        fail "aiocoap's server: $(tail -n 3 "$work/streams.out")"
    for uri in "coap+tcp://127.0.0.1:$port" ${ws:+"coap+ws://127.0.0.1:$((port + 3000))"}; do
        us get "$uri/hello"
        has '^made with aiocoap$'
        us ping -C 1 "$uri"
        us put "$uri/echo" "@$work/body"
        [ "$(wc -c <"$work/out")" -eq 3000 ] || fail "$uri echoes another body"
        us observe -C 3 "$uri/count"
        [ "$(grep -c '^[0-9]*$' "$work/out")" -eq 3 ] || fail "$uri counts otherwise"
    done
}

start_copal
libcoap
no_aiocoap() {
    echo "aiocoap: skipped: $1"
    without_aiocoap=yes
}
without_aiocoap=
install_aiocoap no_aiocoap
[ -n "$without_aiocoap" ] || aiocoap
[ -n "$tested" ] || skip "neither libcoap's tools nor aiocoap are here"
echo "as client and as server, all ok:$tested"
