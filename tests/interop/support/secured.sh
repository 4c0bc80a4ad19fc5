# The second matrix: the same by other schemes, and with keys. After
# support/matrix.sh; a peer's script sets $peer, $driver and $modes, words of the
# form SCHEME:KIND, and calls secured. Its program is that of the first matrix; by
# these words in its environment it knows more:
#
#   PEER_SCHEME   by which serve listens; ask and observe see it in the URI
#   PEER_KIND     plain; psk: identity "me", key in $PEER_KEYS/psk as 0x...; cert:
#                 server.pem, server.key, client.pem, client.key and ca.pem, for
#                 whom the server's name is localhost; rpk: the same keys, bare,
#                 and server.pub, client.pub; cid: psk with Connection IDs;
#                 server-cert: cert, but clients show none
#   PEER_KEYS     the folder of those
#   PEER_WRONG    set: as somebody else: wrong-psk, stranger.pem, stranger.key,
#                 stranger.pub
keys=$work/keys

make_party() { # NAME WORDS...: a certificate of $ca's, or one of its own
    name=$1
    shift
    openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null |
        openssl pkcs8 -topk8 -nocrypt -out "$keys/$name.key" &&
        openssl req -new -key "$keys/$name.key" -subj "/CN=$name" \
            -out "$keys/$name.csr" &&
        openssl x509 -req -in "$keys/$name.csr" -days 3 "$@" \
            -out "$keys/$name.pem" &&
        openssl ec -in "$keys/$name.key" -pubout -out "$keys/$name.pub" &&
        cat "$keys/$name.key" "$keys/$name.pem" >"$keys/$name-both.pem" &&
        chmod 600 "$keys"/*
}

make_keys() {
    command -v openssl >/dev/null || unavailable "no openssl"
    mkdir -p "$keys"
    echo 0x000102030405060708090a0b0c0d0e0f >"$keys/psk"
    echo 0x0f0e0d0c0b0a09080706050403020100 >"$keys/wrong-psk"
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature\n' \
        >"$keys/end.ext"
    printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n' >"$keys/ca.ext"
    {
        make_party ca -signkey "$keys/ca.key" -extfile "$keys/ca.ext"
        for name in server client; do
            make_party $name -CA "$keys/ca.pem" -CAkey "$keys/ca.key" \
                -CAcreateserial -extfile "$keys/end.ext"
        done
        make_party stranger -signkey "$keys/stranger.key" -extfile "$keys/end.ext"
    } >"$keys/log" 2>&1 || fail "openssl makes no certificates: $(tail -n 3 "$keys/log")"
}

# credentials SCOPE US THEM [WRONG]: a file for copal; $creds are its words.
credentials() {
    psk=psk
    us=$2
    [ -z "${4:-}" ] || {
        psk=wrong-psk
        us=stranger
    }
    case $kind in
    plain)
        creds=
        return
        ;;
    server-cert)
        [ "$1" = '*' ] || us=${4:+stranger}
        row="\"ca\": \"${us:-ca}.pem\""
        [ "$1" != '*' ] || row='"cert": "server.pem", "key": "server.key"'
        ;;
    psk | cid) row="\"psk-id\": \"me\", \"psk-file\": \"$psk\"" ;;
    cert) row="\"cert\": \"$us.pem\", \"key\": \"$us.key\", \"ca\": \"ca.pem\"" ;;
    rpk) row="\"rpk\": \"$us.pub\", \"key\": \"$us.key\", \"ca\": \"$3.pub\"" ;;
    esac
    echo "{ \"$1\": { $row } }" >"$keys/copal.json"
    chmod 600 "$keys/copal.json"
    creds="--creds $keys/copal.json"
}

# A name, for those who look at it; the address where it is but one.
named() {
    case $kind in
    *cert) echo "$uri" | sed 's/127\.0\.0\.1/localhost/' ;;
    *) echo "$uri" ;;
    esac
}

start_secured_peer() {
    export PEER_SCHEME=$scheme PEER_KIND=$kind PEER_KEYS=$keys
    start_peer
    credentials "$scheme://" client server
    uri=$(named)
}

start_secured_copal() {
    export PEER_SCHEME=$scheme PEER_KIND=$kind PEER_KEYS=$keys
    credentials '*' server client
    start_copal "$COPAL_ROOT/tests/interop/support/site.lua" $creds \
        --listen "$scheme://127.0.0.1:0"
    credentials "$scheme://" client server # who puts what the peer is to get
    uri=$(named)
}

# ---- copal asks ------------------------------------------------------------

asks_get_and_put() {
    copal 0 get $creds "$uri/"
    out_has "made with $peer"
    copal 0 put $creds "$uri/store" -p two -t octets
    copal 0 get $creds "$uri/store"
    out_is two
    copal 4 get $creds "$uri/nothing"
}

asks_body() {
    copal 0 put $creds "$uri/store" -p "@$large" -t octets
    copal 0 get $creds -o "$work/got" "$uri/store"
    same "$large" "$work/got"
}

asks_observed() {
    copal 0 put $creds "$uri/obs" -p zero -t text
    later "$COPAL_BIN" observe $creds -C 3 -F '%p' "$uri/obs"
    watched zero
    for word in one two; do
        copal 0 put $creds "$uri/obs" -p $word -t text
        watched $word
    done
    wait "$job" || fail "copal observe: exit $?"
}

asks_as_stranger() {
    credentials "$scheme://" client stranger wrong
    copal 6 get $creds -T 50s "$uri/"
    said "^copal: "
    echo "copal: $(tail -n 1 "$work/err")" >&2
}

relay_moves() {
    seen=$(grep -c moved "$work/relay")
    kill -USR1 "$relay"
    within 5 relay_has_moved || fail "the relay does not move"
}

relay_has_moved() {
    [ "$(grep -c moved "$work/relay")" -gt "$seen" ]
}

# By requests, since there are servers that notify where they were asked from.
asks_on_the_move() {
    straight=$uri
    start_relay relay "$uri"
    mkfifo "$work/again"
    timeout $limit "$COPAL_BIN" run "$COPAL_ROOT/tests/interop/support/asks_again.lua" \
        "$keys/copal.json" "$uri/obs" 4 <"$work/again" >"$work/later" 2>&1 &
    pids="$pids $!"
    exec 7>"$work/again"
    for word in zero one two three; do
        copal 0 put $creds "$straight/obs" -p $word -t text
        echo go >&7
        watched $word
        relay_moves
    done
    exec 7>&-
}

# ---- copal serves ----------------------------------------------------------

serves_get_and_put() {
    printf two >"$work/body"
    peer_asks 2.05 GET /
    out_is 'made with copal'
    copal 0 put $creds "$uri/store" -p one -t octets
    peer_asks 2.04 PUT /store "body=$work/body"
    copal 0 get $creds "$uri/store"
    out_is two
    peer_asks 4.04 GET /nothing
}

serves_body() {
    copal 0 put $creds "$uri/store" -p x -t octets
    peer_asks 2.04 PUT /store "body=$large"
    copal 0 get $creds -o "$work/got" "$uri/store"
    same "$large" "$work/got"
    peer_asks 2.05 GET /store
    same "$large" "$work/out"
}

serves_observed() {
    copal 0 put $creds "$uri/obs" -p zero -t text
    later $driver observe "$uri/obs" 3
    watched zero
    for word in one two; do
        copal 0 put $creds "$uri/obs" -p $word -t text
        watched $word
    done
}

serves_stranger() {
    ! PEER_WRONG=yes timeout 20 $driver ask GET "$uri/" \
        >"$work/out" 2>"$work/err" </dev/null || fail "it was let in"
    ! grep -aq 'made with' "$work/out" || fail "it was answered"
    ! logged_since '^< .*GET' || fail "it was heard"
}

serves_on_the_move() {
    straight=$uri
    start_relay relay "$uri"
    copal 0 put $creds "$straight/obs" -p zero -t text
    later $driver observe "$uri/obs" 4
    watched zero
    for word in one two three; do
        relay_moves
        copal 0 put $creds "$straight/obs" -p $word -t text
        watched $word
    done
}

# ---- The rows --------------------------------------------------------------

# What a peer does otherwise it has functions of its own for in place of these.
asks_all() {
    asks_get_and_put
}

asks_large() {
    asks_body
}

asks_notes() {
    asks_observed
}

serves_all() {
    serves_get_and_put
}

serves_large() {
    serves_body
}

serves_notes() {
    serves_observed
}

# row NAME DIRECTION WHAT
row() {
    behaviour "$1" "$2_$3"
}

# mode DIRECTION: of $scheme and $kind.
mode() {
    title="$scheme $kind"
    [ "$kind" != plain ] || title=$scheme
    row "$title: GET, PUT, 4.04" "$1" all
    row "$title: 100 kB each way" "$1" large
    row "$title: observe" "$1" notes
    case $kind in
    plain) ;;
    cid) row "$title: its port changes" "$1" on_the_move ;;
    *)
        if [ "$1" = asks ]; then
            row "$title: others are refused" asks as_stranger
        else
            row "$title: others are refused" serves stranger
        fi
        ;;
    esac
}

secured() {
    make_keys
    for direction in asks serves; do
        in_column "$peer-secured-$direction"
        for one in $modes; do
            scheme=${one%%:*}
            kind=${one#*:}
            if [ $direction = asks ]; then
                start_secured_peer
            else
                start_secured_copal
            fi
            mode $direction
            end_processes
        done
    done
    finish
}
