# coaps with libcoap's programs, on GnuTLS and on OpenSSL, both ways.
needs='coap-client-gnutls coap-server-gnutls coap-client-openssl coap-server-openssl'
. "$(dirname "$0")/check.sh"

here=$(dirname "$0")
key=0123456789abcdef
needs_tls

peer() {
    timeout $limit "$COPAL_BIN" run "$here/support/dtls.lua" "$@"
}

# serve WORDS...: credentials. Sets uri.
serve() {
    : >"$work/server" # not what the one before said
    peer serve coaps://127.0.0.1:0 "$@" >"$work/server" 2>"$work/err" &
    pids="$pids $!"
    within 10 grep -q 'listening on' "$work/server" || fail "the server does not start"
    uri=$(sed -n 's/listening on //p' "$work/server")
}

is_answered() {
    serve psk dev1 $key
    timeout 20 "coap-client-$1" -u dev1 -k $key "$uri/name" >"$work/out" 2>&1
    grep -q 'you are dev1$' "$work/out" || fail "no answer, or another name"
    timeout 20 "coap-client-$1" -u dev1 -k $key "$uri/large" >"$work/out" 2>"$work/err"
    [ "$(tr -d '\n' <"$work/out" | wc -c)" = 8192 ] || fail "not all blocks came"
}

is_told_of_changes() {
    serve psk dev1 $key
    timeout 20 "coap-client-$1" -s 2 -u dev1 -k $key "$uri/count" >"$work/out" 2>&1
    [ "$(grep -c '[0-9]' "$work/out")" -ge 1 ] || fail "nothing came"
}

is_refused_with_another_key() {
    serve psk dev1 $key
    timeout 4 "coap-client-$1" -B 3 -u dev1 -k wrong-key "$uri/name" >"$work/out" 2>&1
    ! grep -q 'you are' "$work/out" || fail "it was let in"
}

# libcoap takes port and port + 1, and "any" is none that it understands.
serve_peer() {
    for tries in 1 2 3 4 5; do
        port=$("$COPAL_BIN" run "$here/support/free_port.lua")
        "coap-server-$1" -A 127.0.0.1 -p "$port" -k $key -h hint -v 7 \
            >"$work/peer" 2>&1 &
        pids="$pids $!"
        ready="created DTLS endpoint *127.0.0.1:$((port + 1))"
        ! within 4 grep -q "$ready" "$work/peer" || break
    done
    uri=coaps://127.0.0.1:$((port + 1))
    grep -q "$ready" "$work/peer" || fail "coap-server-$1 does not start"
}

answers_us() {
    serve_peer "$1"
    peer get "$uri/" psk dev1 $key >"$work/out" 2>"$work/err" ||
        fail "no answer"
    grep -q 'libcoap' "$work/out" || fail "another answer"
}

creds() {
    row="\"psk-id\": \"dev1\", \"psk\": \"0x30313233343536373839616263646566\""
    echo "{ \"coaps://\": { $row }, \"*\": [ { $row } ] }" >"$work/creds.json"
    chmod 600 "$work/creds.json"
}

takes_and_tells_us() {
    creds
    serve_peer "$1"
    head -c 3000 "$large" >"$work/body"
    copal 0 put --creds "$work/creds.json" "$uri/example_data" "@$work/body" -t octets
    copal 0 get --creds "$work/creds.json" -o "$work/got" "$uri/example_data"
    same "$work/body" "$work/got"
    copal 0 observe --creds "$work/creds.json" -C 2 -T 50s "$uri/time"
}

# Its servers do not say "coap" by ALPN, as they have to but at port 5684.
is_answered_by_tls() {
    creds
    start_copal --test --creds "$work/creds.json" --listen coaps+tcp://127.0.0.1:0
    timeout 20 "coap-client-$1" -u dev1 -k $key "$uri/whoami" >"$work/out" 2>&1
    out_has 'scheme:   coaps+tcp'
    out_has 'identity: dev1'
}

for library in gnutls openssl; do
    behaviour "coap-client-$library: GET, in blocks, by its name" "is_answered $library"
    behaviour "coap-client-$library: observe" "is_told_of_changes $library"
    behaviour "coap-client-$library: another key" "is_refused_with_another_key $library"
    behaviour "coap-client-$library: coaps+tcp" "is_answered_by_tls $library"
    behaviour "coap-server-$library: GET" "answers_us $library"
    behaviour "coap-server-$library: PUT and GET in blocks, observe" "takes_and_tells_us $library"
done
finish
