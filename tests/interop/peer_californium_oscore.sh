# OSCORE with Californium's cf-oscore, both ways: every algorithm, methods, blocks
# and observing within, what is refused, and what is left when one end has lost
# its numbers.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"

columns=oscore-californium
"$COPAL_BIN" get --creds "$work/none" coap://127.0.0.1:1/ 2>&1 |
    grep -q 'without GnuTLS' && unavailable "copal was built without GnuTLS"
. "$(dirname "$0")/support/californium.sh"

# ---- Contexts --------------------------------------------------------------

# context AEAD [HKDF [ID-CONTEXT [rederives]]]: a new one of both, by COSE's
# numbers; $creds is copal's, Californium finds its own in its environment. copal
# has the ID 01.
context() {
    folder=$(mktemp -d "$work/context.XXXXXX")
    secret=0102030405060708090a0b0c0d0e0f10
    salt=9e7ca92223786340
    PEER_OSCORE="aead=$1 hkdf=${2:--10} secret=$secret salt=$salt sender=02 recipient=01
        ${3:+context=$3} ${4:-} numbers=$folder/numbers"
    export PEER_OSCORE
    echo "{ \"$scope\": { \"oscore\": { \"secret\": \"0x$secret\", \"salt\": \"0x$salt\",
        \"sender_id\": \"0x01\", \"recipient_id\": \"0x02\", \"aead\": $1, \"hkdf\": ${2:--10}
        ${3:+, \"id_context\": \"0x$3\"} ${4:+, \"$4\": true} } } }" >"$folder/creds.json"
    chmod 600 "$folder/creds.json"
    creds="--creds $folder/creds.json"
}

# copal's end has other keys.
other_keys() {
    sed 's/0e0f10"/0e0f11"/' "$folder/creds.json" >"$folder/other.json"
    chmod 600 "$folder/other.json"
    creds="--creds $folder/other.json"
}

serve_protected() {
    start_copal "$COPAL_ROOT/tests/interop/support/site.lua" $creds \
        --listen "coap://127.0.0.1:${1:-0}"
    mark
}

# ---- copal asks ------------------------------------------------------------

# asks_with AEAD [HKDF [ID-CONTEXT]]: the second one under a number that follows.
asks_with() {
    context "$@"
    start_peer
    for _ in 1 2; do
        copal 0 get $creds "$uri/secret"
        out_is 'between us'
    done
}

asks_methods() {
    copal 0 put $creds "$uri/store" -p one -t octets
    copal 0 put $creds "$uri/store" -p two -t octets
    copal 0 get $creds "$uri/store"
    out_is two
    copal 0 delete $creds "$uri/store"
    copal 4 get $creds "$uri/store"
    copal 0 post $creds "$uri/echo" -p abc -t text
    out_is abc
    copal 0 fetch $creds "$uri/echo" -p what -t text
    out_is what
}

asks_options() {
    copal 0 get $creds -vv "$uri/etag"
    out_is tagged
    copal 0 get $creds -F '%c %p' "$uri/etag" -O ETag=0x0102
    out_is '2.03 Valid 
'
}

asks_slowly() {
    copal 0 get $creds -v "$uri/separate"
    out_is 'done'
    said '< ACK (empty)'
    said '< CON 2.04'
}

asks_nothing_there() {
    copal 4 get $creds -v "$uri/nothing"
    said '^copal: 4.04'
    said '< ACK 2.04' # which is all that others see
}

# asks_blocks SIZE
asks_blocks() {
    copal 0 put $creds --block-size "$1" "$uri/store" -p "@$large" -t octets
    copal 0 get $creds --block-size "$1" -o "$work/got" "$uri/large"
    same "$large" "$work/got"
    copal 0 get $creds -o "$work/got" "$uri/store"
    same "$large" "$work/got"
}

# Who puts does so without OSCORE: one process at a time has a context.
asks_to_observe() {
    copal 0 put "$uri/obs" -p zero -t text
    later "$COPAL_BIN" observe -v $creds -C 4 -F '%p' "$uri/obs"
    watched zero
    for word in one two three; do
        copal 0 put "$uri/obs" -p $word -t text
        watched $word
    done
    wait "$job" || fail "copal observe: exit $?"
}

asks_with_a_wrong_key() {
    other_keys
    copal 6 get $creds "$uri/secret"
    said "^copal: "
}

asks_without() {
    copal 4 get "$uri/secret"
    said '^copal: 4.01'
}

# What the peer took once it does not take again, by whomever it is sent.
asks_twice() {
    straight=$uri
    start_relay replay "$uri"
    copal 0 put $creds "$uri/store" -p one -t octets
    copal 0 put $creds "$straight/store" -p two -t octets
    kill -USR1 "$relay"
    within 5 grep -q '^again' "$work/relay" || fail "nothing was sent again"
    grep -q '^again 4.01 Replay detected' "$work/relay" ||
        fail "$(grep '^again' "$work/relay")"
    copal 0 get $creds "$straight/store"
    out_is two
}

# RFC 8613 B.2.
asks_for_new_keys() {
    context 10 -10 '' rederives
    start_peer
    copal 0 get $creds -v "$uri/secret"
    out_is 'between us'
    [ "$(grep -c '^> CON POST' "$work/err")" = 2 ] || fail "not two requests"
    copal 0 get $creds "$uri/secret"
    out_is 'between us'
}

# ---- copal serves ----------------------------------------------------------

serves_with() {
    context "$@"
    serve_protected
    peer_asks 2.05 GET /secret
    out_is 'between us'
}

# body WORDS: $work/body, for the peer to send.
body() {
    printf '%s' "$1" >"$work/body"
    echo "body=$work/body"
}

serves_methods() {
    copal 0 put "$uri/store" -p one -t octets
    peer_asks 2.04 PUT /store "$(body two)"
    peer_asks 2.05 GET /store
    out_is two
    peer_asks 2.02 DELETE /store
    peer_asks 4.04 GET /store
    peer_asks 2.04 POST /echo "$(body abc)"
    out_is abc
    peer_asks 2.05 FETCH /echo "$(body what)"
    out_is what
}

serves_options() {
    peer_asks 2.05 GET /etag
    said '^etag 0102$'
    peer_asks 2.03 GET /etag etag=0102
}

serves_slowly() {
    peer_asks 2.05 GET /separate
    out_is 'done'
    served '> ACK (empty)'
    served '> CON 2.04'
}

serves_nothing_there() {
    peer_asks 4.04 GET /nothing
    served '> ACK 2.04'
}

serves_blocks() {
    copal 0 put "$uri/store" -p x -t octets
    peer_asks 2.04 PUT /store "body=$large" "block=$1"
    copal 0 get -o "$work/got" "$uri/store"
    same "$large" "$work/got"
    peer_asks 2.05 GET /store "block=$1"
    same "$large" "$work/out"
}

told_of_leaving() {
    since | grep -aq '^< CON FETCH .*obs=1'
}

# It takes the first notification, and acknowledges those after it unheard.
serves_observers() {
    copal 0 put "$uri/obs" -p zero -t text
    later $driver observe "$uri/obs" 2
    watched zero
    copal 0 put "$uri/obs" -p one -t text
    served '^> CON 2.05 obs='
    served '^< ACK (empty)'
    peers_fault "orders by the inner Observe, which must be empty, RFC 8613 4.1.3.5.2"
}

serves_leavers() {
    copal 0 put "$uri/obs" -p zero -t text
    later $driver observe "$uri/obs" 1
    watched zero
    watched 'let go'
    within 5 told_of_leaving || fail "no word of its going"
    copal 0 put "$uri/obs" -p unheard -t text
    ! logged_since '^> CON 2.05 obs=' || fail "copal still notifies"
}

refuses_a_wrong_key() {
    other_keys
    serve_protected
    peer_asks 4.00 GET /secret
    served '> ACK 4.00'
}

refuses_without() {
    env -u PEER_OSCORE timeout $limit $driver ask GET "$uri/secret" \
        >"$work/out" 2>"$work/err" </dev/null || fail "no answer"
    said '^code 4.01'
    out_lacks 'between us'
}

serves_twice() {
    straight=$uri
    copal 0 put "$straight/store" -p zero -t octets
    start_relay replay "$uri"
    peer_asks 2.04 PUT /store "$(body one)"
    copal 0 put "$straight/store" -p two -t octets
    kill -USR1 "$relay"
    within 5 grep -q '^again' "$work/relay" || fail "nothing was sent again"
    grep -q '^again 4.01' "$work/relay" || fail "$(grep '^again' "$work/relay")"
    copal 0 get "$straight/store"
    out_is two
}

# RFC 8613 B.1.2.
serves_after_it_lost_its_state() {
    context 10
    serve_protected
    peer_asks 2.05 GET /secret
    end_processes
    serve_protected "${uri##*:}"
    peer_asks 2.05 GET /secret
    out_is 'between us'
    said '^asked for an Echo'
}

serves_with_new_keys() {
    context 10 -10 '' rederives
    serve_protected
    ! timeout 20 $driver ask GET "$uri/secret" >"$work/out" 2>"$work/err" \
        </dev/null || fail "it was answered"
    served '> ACK 2.04'
    peers_fault "overlooks an answer's Partial IV in B.2, RFC 8613 8.4"
}

# ---- The rows --------------------------------------------------------------

# rows DIRECTION
rows() {
    for one in "AES-CCM-16-64-128 10" "AES-CCM-16-64-256 11" \
        "AES-CCM-64-64-128 12" "AES-CCM-64-64-256 13" \
        "AES-CCM-16-128-128 30" "AES-CCM-16-128-256 31" \
        "AES-CCM-64-128-128 32" "AES-CCM-64-128-256 33" \
        "A128GCM 1" "A192GCM 2" "A256GCM 3 -11" "ChaCha20/Poly1305 24"; do
        behaviour "${one%% *}" "$1_with ${one#* }"
    done
    behaviour "ID Context" "$1_with 10 -10 37cbf3210017a2d3"
    context 10
    if [ "$1" = asks ]; then start_peer; else serve_protected; fi
    behaviour "PUT, POST, FETCH, DELETE" "$1_methods"
    behaviour "ETag, 2.03" "$1_options"
    behaviour "separate response" "$1_slowly"
    behaviour "4.04 within" "$1_nothing_there"
    behaviour "blocks" "$1_blocks 1024"
    behaviour "blocks of 64 bytes" "$1_blocks 64"
}

in_column oscore-californium-asks
scope=coap://127.0.0.1
rows asks
behaviour "observe" asks_to_observe
behaviour "a wrong key" asks_with_a_wrong_key
behaviour "without OSCORE: 4.01" asks_without
behaviour "a replay: 4.01" asks_twice
end_processes
behaviour "keys made anew (B.2)" asks_for_new_keys

in_column oscore-californium-serves
scope='*'
rows serves
behaviour "observe: deregistration" serves_leavers
behaviour "observe" serves_observers
behaviour "without OSCORE: 4.01" refuses_without
behaviour "a replay: 4.01" serves_twice
end_processes
behaviour "a wrong key" refuses_a_wrong_key
behaviour "keys made anew (B.2)" serves_with_new_keys
behaviour "the server began anew: Echo" serves_after_it_lost_its_state
finish
