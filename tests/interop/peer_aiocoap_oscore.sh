# OSCORE with aiocoap, both ways: each algorithm, observe, blocks, and what is
# left when one end has lost its state.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/aiocoap.sh"
limit=30

here=$(cd "$(dirname "$0")" && pwd)
unavailable() {
    echo "skipped: $*"
    exit 77
}
"$COPAL_BIN" get --creds "$work/none" coap://127.0.0.1:1/ 2>&1 |
    grep -q 'without GnuTLS' && unavailable "built without GnuTLS"
install_aiocoap unavailable

large=$work/large
awk 'BEGIN { for (i = 0; i < 700; i++) print "line", i }' >"$large"

# ---- Contexts --------------------------------------------------------------

# contexts AEAD NUMBER HKDF [ID_CONTEXT]: $ours, a credentials file of copal's, and
# $theirs, a folder of aiocoap's; $scope is ours.
contexts() {
    theirs=$(mktemp -d "$work/ctx.XXXXXX")
    ours=$theirs.json
    cat >"$theirs/settings.json" <<END
{ "algorithm": "$1", "kdf-hashfun": "$(echo "$3" | tr A-Z a-z | tr -d -)",
  "sender-id_hex": "02", "recipient-id_hex": "01", ${4:+"\"id-context_hex\": \"$4\","}
  "secret_hex": "0102030405060708090a0b0c0d0e0f10", "salt_hex": "9e7ca92223786340" }
END
    cat >"$ours" <<END
{ "$scope": { "oscore": { "sender_id": "0x01", "recipient_id": "0x02",
  "secret": "0x0102030405060708090a0b0c0d0e0f10", "salt": "0x9e7ca92223786340",
  ${4:+"\"id_context\": \"0x$4\","} "aead": $2, "hkdf": "$3" } } }
END
    chmod 600 "$ours"
}

usual() {
    contexts AES-CCM-16-64-128 10 SHA-256
}

# ---- Both ends -------------------------------------------------------------

start_aiocoap() {
    log=$(mktemp "$work/aiocoap.XXXXXX")
    "$venv/bin/python" "$here/support/aiocoap_oscore.py" serve \
        "$theirs" >"$log.out" 2>"$log" </dev/null &
    server=$!
    pids="$pids $server"
    within 10 grep -q '^listening on ' "$log.out" ||
        fail "aiocoap's server does not listen: $(tail -n 3 "$log")"
    uri=$(sed -n 's/^listening on //p' "$log.out")
}

start_copal() {
    log=$(mktemp "$work/serve.XXXXXX")
    "$COPAL_BIN" serve --test --creds "$ours" --listen "coap://127.0.0.1:${1:-0}" \
        >"$log" 2>"$log.err" </dev/null &
    server=$!
    pids="$pids $server"
    within 10 grep -q '^listening on ' "$log" ||
        fail "copal does not listen: $(cat "$log.err")"
    uri=$(sed -n 's/^listening on //p' "$log")
}

kill_hard() {
    kill -9 $server
    wait $server 2>/dev/null
}

# copal STATUS WORDS...
copal() {
    wanted_status=$1
    shift
    timeout $limit "$COPAL_BIN" "$@" --creds "$ours" >"$work/out" 2>"$work/err" \
        </dev/null
    got=$?
    [ $got = "$wanted_status" ] || fail "$*: exit $got, not $wanted_status"
}

# aiocoap STATUS VERB PATH [MORE]
aiocoap() {
    wanted_status=$1 verb=$2 path=$3
    shift 3
    timeout $limit "$venv/bin/python" "$here/support/aiocoap_oscore.py" \
        "$verb" "$uri$path" "$theirs" "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    [ $got = "$wanted_status" ] || fail "$verb $path: exit $got, not $wanted_status"
}

# ---- copal asks ------------------------------------------------------------

asks_with() {
    contexts "$@"
    start_aiocoap
    copal 0 get "$uri/hello"
    out_is hello
    copal 0 get "$uri/hello"
    out_is hello
}

asks_blocks() {
    usual
    start_aiocoap
    copal 0 put "$uri/block" -p "@$large" -t octets
    copal 0 get "$uri/block"
    cmp -s "$large" "$work/out" || fail "the body came back changed"
}

asks_to_observe() {
    usual
    start_aiocoap
    copal 0 observe "$uri/time" -F %p -C 4
    [ "$(grep -c '^tick' "$work/out")" = 4 ] || fail "not four ticks"
    sort -t ' ' -k 2 -n -u "$work/out" | cmp -s - "$work/out" ||
        fail "out of order"
}

asks_who_lost_its_state() {
    usual
    start_aiocoap
    copal 0 get "$uri/hello"
    kill_hard
    start_aiocoap
    copal 0 get "$uri/hello"
    out_is hello
    grep -q 'Echo\|echo' "$log" || fail "no word of an Echo"
}

asks_with_a_wrong_key() {
    usual
    sed -i 's/0e0f10"/0e0f11"/' "$ours"
    start_aiocoap
    copal 6 get "$uri/hello"
}

asks_about_nothing() {
    usual
    start_aiocoap
    copal 4 get "$uri/nothing"
}

# ---- copal serves ----------------------------------------------------------

serves_with() {
    contexts "$@"
    start_copal
    aiocoap 0 get /whoami
    out_has 'oscore:'
    aiocoap 0 get /oscore/hello/1
    out_is 'Hello World!'
}

serves_blocks() {
    usual
    start_copal
    aiocoap 0 put /large-update "$large"
    aiocoap 0 get /large-update
    cmp -s "$large" "$work/out" || fail "the body came back changed"
}

serves_observers() {
    usual
    start_copal
    aiocoap 0 observe /oscore/observe1 2
    printf 'one\ntwo\n' | cmp -s - "$work/out" || fail "not one, then two"
}

serves_after_it_lost_its_state() {
    usual
    start_copal
    aiocoap 0 get /oscore/hello/1
    kill_hard
    start_copal "${uri##*:}"
    aiocoap 0 get /oscore/hello/1
    out_is 'Hello World!'
}

refuses_a_wrong_key() {
    usual
    sed -i 's/0e0f10"/0e0f11"/' "$ours"
    start_copal
    aiocoap 1 get /oscore/hello/1
    grep -q 'NotAProtectedMessage\|4.00' "$work/err" || fail "no word of it"
}

refuses_without() {
    usual
    start_copal
    timeout $limit "$COPAL_BIN" get "$uri/oscore/hello/1" >"$work/out" 2>"$work/err"
    [ $? = 4 ] || fail "no 4.01"
    timeout $limit "$COPAL_BIN" get "$uri/oscore/hello/coap" >"$work/out" 2>&1
    out_is 'Hello World!'
}

in_column oscore-aiocoap-asks
scope=coap://127.0.0.1
behaviour "AES-CCM-16-64-128" "asks_with AES-CCM-16-64-128 10 SHA-256"
behaviour "AES-CCM-16-64-256" "asks_with AES-CCM-16-64-256 11 SHA-256"
behaviour "AES-CCM-64-64-128" "asks_with AES-CCM-64-64-128 12 SHA-256"
behaviour "AES-CCM-16-128-128" "asks_with AES-CCM-16-128-128 30 SHA-256"
behaviour "A128GCM" "asks_with A128GCM 1 SHA-256"
behaviour "A256GCM" "asks_with A256GCM 3 SHA-512"
behaviour "ChaCha20/Poly1305" "asks_with ChaCha20/Poly1305 24 SHA-384"
behaviour "ID Context" "asks_with AES-CCM-16-64-128 10 SHA-256 37cbf3210017a2d3"
behaviour "blocks" asks_blocks
behaviour "observe" asks_to_observe
behaviour "the server began anew: Echo" asks_who_lost_its_state
behaviour "a wrong key" asks_with_a_wrong_key
behaviour "4.04 within" asks_about_nothing

in_column oscore-aiocoap-serves
scope='*'
behaviour "AES-CCM-16-64-128" "serves_with AES-CCM-16-64-128 10 SHA-256"
behaviour "AES-CCM-16-64-256" "serves_with AES-CCM-16-64-256 11 SHA-256"
behaviour "AES-CCM-64-64-128" "serves_with AES-CCM-64-64-128 12 SHA-256"
behaviour "AES-CCM-16-128-128" "serves_with AES-CCM-16-128-128 30 SHA-256"
behaviour "A128GCM" "serves_with A128GCM 1 SHA-256"
behaviour "A256GCM" "serves_with A256GCM 3 SHA-512"
behaviour "ChaCha20/Poly1305" "serves_with ChaCha20/Poly1305 24 SHA-384"
behaviour "ID Context" "serves_with AES-CCM-16-64-128 10 SHA-256 37cbf3210017a2d3"
behaviour "blocks" serves_blocks
behaviour "observe" serves_observers
behaviour "the server began anew: Echo" serves_after_it_lost_its_state
behaviour "a wrong key" refuses_a_wrong_key
behaviour "without OSCORE: 4.01" refuses_without
finish
