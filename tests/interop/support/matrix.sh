# The matrix: the same behaviours for every peer, copal asking and copal
# serving. A peer's script sets $peer (its name), $driver (the command of its
# program) and calls ask_peer and serve_peer; where the peer does otherwise it
# has a function of its own in place of one below. The program of a peer:
#
#   serve FILE                 prints "listening on URI" and offers
#                                /          GET      made with NAME
#                                /large     GET      the file
#                                /store     GET PUT DELETE, of any size
#                                /obs       the same, and can be observed
#                                /echo      POST FETCH: what was sent
#                                /separate  GET      done, a second later
#                                /etag      GET      tagged; 2.03 for its ETag
#   ask METHOD URI [body=FILE] [block=SIZE] [non] [etag=HEX] [option=NUMBER]
#                              payload on standard output; on standard error
#                              "code 2.05" and "etag HEX"; block is that of the
#                              body, or else of the answer
#   observe URI COUNT          a line a notification; then it takes leave, says
#                              "let go" and stays for two seconds
#   ping URI                   prints "answered"
sizes="1024 512 256 128 64 32 16"
separate=/separate
block_limit=60 # seconds for 100 kB
server_limit=880

# What the peer does wrong, which is known: the row passes, and says so.
peers_fault() {
    echo "peer: $*"
    exit 78
}

# unavailable WHY...: the peer cannot be had, and its columns, $columns if they are
# not named for it, say so.
unavailable() {
    for direction in asks serves; do
        in_column "${columns:-$peer}-$direction"
        printf 'set-up\tskipped\t%s\n' "$*" >>"$results"
    done
    echo "skipped: $*"
    exit 77
}

# is_built FOLDER: in $made, from what that folder holds now. Else $made holds
# a copy of it, to be built.
is_built() {
    home=$COPAL_ROOT/tests/interop/$1
    made=$COPAL_BUILD/interop-peers/$1
    stamp=$(cd "$home" && find . -type f | sort | xargs cat | cksum)
    [ "$(cat "$made/ready" 2>/dev/null)" = "$stamp" ] && return
    rm -rf "$made"
    mkdir -p "$made"
    cp -R "$home/." "$made"
    return 1
}

in_made() {
    seconds=$1
    shift
    (cd "$made" && timeout "$seconds" "$@") >"$work/out" 2>&1 </dev/null
}

# fetch SECONDS COMMAND...: in $made; a peer that cannot be had is skipped.
fetch() {
    in_made "$@" || unavailable "cannot be fetched: $(
        { grep -i 'error' "$work/out" || cat "$work/out"; } | head -n 1 |
            cut -c 1-100)"
}

# compile SECONDS COMMAND...: what was fetched, and our program on it.
compile() {
    in_made "$@" || fail "$peer's program cannot be built"
}

built() {
    echo "$stamp" >"$made/ready"
}

needs_tool() {
    command -v "$1" >/dev/null || unavailable "no $1 (Debian: $2)"
}

# ---- Programs --------------------------------------------------------------

start_peer() {
    log=$(mktemp "$work/peer.XXXXXX")
    timeout $server_limit $driver serve "$large" >"$log.out" 2>"$log" </dev/null &
    pids="$pids $!"
    within 20 grep -q '^listening on ' "$log.out" ||
        fail "$peer does not listen: $(tail -n 3 "$log")"
    uri=$(sed -n 's/^listening on //p' "$log.out" | head -n 1)
}

# start_relay NAME URI: support/NAME.py stands before what is there; $uri leads
# there by way of it, and $relay is to be told by a signal.
start_relay() {
    : >"$work/relay"
    : >"$work/later.err"
    ${COPAL_PYTHON:-python3} "$COPAL_ROOT/tests/interop/support/$1.py" \
        "$(echo "$2" | sed 's|.*://||; s|localhost|127.0.0.1|')" >"$work/relay" 2>&1 &
    relay=$!
    pids="$pids $relay"
    within 10 grep -q '^port' "$work/relay" || fail "no relay"
    uri=${2%%:*}://127.0.0.1:$(sed -n 's/^port //p' "$work/relay")
}

# peer_asks CODE METHOD PATH WORDS...: by the peer's client, which is to get
# that code.
peer_asks() {
    expected=$1
    method=$2
    path=$3
    shift 3
    timeout $limit $driver ask "$method" "$uri$path" "$@" \
        >"$work/out" 2>"$work/err" </dev/null ||
        fail "$peer ask $method $path $*: exit $?"
    grep -aqx "code $expected" "$work/err" ||
        fail "$peer got $(grep -a '^code' "$work/err"), not $expected"
}

# What copal's server said of this behaviour.
since() {
    tail -n +$((marked + 1)) "$log"
}

# What arrived may be told of a moment later.
served() {
    within 2 logged_since "$1" || fail "copal's log lacks '$1': $(since | tail -n 5)"
}

logged_since() {
    since | grep -aq -e "$1"
}

# last_block SIZE: the number of the last block of $large.
last_block() {
    echo $((102400 / $1 - 1))
}

# ---- copal asks ------------------------------------------------------------

asks_get() {
    copal 0 get -v "$uri/"
    out_has "made with $peer"
    said '< ACK 2.05'
}

asks_put() {
    copal 0 put -v "$uri/store" -p one -t octets
    said '< ACK 2.0[14]'
    copal 0 put -v "$uri/store" -p two -t octets
    said '< ACK 2.04'
    copal 0 get "$uri/store"
    out_is two
}

asks_post() {
    copal 0 post -v "$uri/echo" -p abc -t text
    said '> CON POST'
    out_is abc
}

asks_delete() {
    copal 0 put "$uri/store" -p x -t octets
    copal 0 delete -v "$uri/store"
    said '< ACK 2.02'
    copal 4 get "$uri/store"
}

asks_fetch() {
    copal 0 fetch -v "$uri/echo" -p what -t text
    said '> CON FETCH'
    out_is what
}

asks_nothing() {
    copal 4 get -v "$uri/nothing"
    said '< ACK 4.04'
    said '^copal: 4.04'
}

asks_critical() {
    copal 4 get -v "$uri/" -O 2049=critical
    said '< ACK 4.02'
}

answered_in_spite_of_critical() {
    copal 0 get -v "$uri/" -O 2049=critical
    said '< ACK 2.05'
    peers_fault "answers what it has not understood, RFC 7252 5.4.1"
}

asks_etag() {
    copal 0 get -vv "$uri/etag"
    out_is tagged
    said 'ETag: '
    copal 0 get -v "$uri/etag" -O ETag=0x0102
    said '< ACK 2.03'
    out_is ''
}

asks_non() {
    copal 0 get -v -N "$uri/"
    out_has "made with $peer"
    said '> NON GET'
    said '< NON 2.05'
}

asks_separate() {
    copal 0 get -v "$uri$separate"
    out_is 'done'
    said '< ACK (empty)'
    said '< CON 2.05'
    said '> ACK (empty)'
}

asks_ping() {
    copal 0 ping -v -C 2 "$uri"
    out_has '2 probes, 2 answered, 0% lost'
}

# Instead of RST.
answered_a_ping() {
    copal 7 ping -v -C 1 -T 2s "$uri"
    said '> CON (empty)'
    said '< ACK 2.05'
    peers_fault "answers an Empty message as a GET, RFC 7252 4.2"
}

# watched LINE: the observer in the background has shown it. On a machine with
# much to do a virtual machine is slow to begin.
watched() {
    within 20 grep -aqx "$1" "$work/later" ||
        fail "no notification of '$1': $(tail -n 5 "$work/later.err")"
}

asks_observe() {
    copal 0 put "$uri/obs" -p zero -t text
    later "$COPAL_BIN" observe -v -C 4 -F '%p' "$uri/obs"
    watched zero
    for word in one two three; do
        copal 0 put "$uri/obs" -p $word -t text
        watched $word
    done
    wait "$job" || fail "copal observe: exit $?"
    [ "$(grep -ac '^< .* 2.05 obs=' "$work/later.err")" -ge 4 ] ||
        fail "not every notification has Observe"
}

# leaves: copal observes and takes leave; $after is what still came.
leaves() {
    copal 0 put "$uri/obs" -p zero -t text
    later "$COPAL_BIN" run "$COPAL_ROOT/tests/interop/support/leave.lua" \
        "$uri/obs" 2
    watched zero
    copal 0 put "$uri/obs" -p one -t text
    watched one
    within 5 grep -q '^-- let go' "$work/later.err" || fail "it did not let go"
    grep -q '> CON GET .*obs=1 ' "$work/later.err" || fail "no deregistration"
    copal 0 put "$uri/obs" -p unheard -t text
    wait "$job" || fail "leave.lua: exit $?"
    after=$(sed -n '/^-- let go/,$p' "$work/later.err" | grep '^< ')
}

asks_leave() {
    leaves
    [ -z "$after" ] || fail "still notified: $after"
}

# uploads SIZE, downloads SIZE: each block of that size, none missing.
uploads() {
    limit=$block_limit
    copal 0 put -v --block-size "$1" "$uri/store" -p "@$large" -t octets
    said "> CON PUT .* block1 $(last_block "$1")/0/$1 "
    copal 0 get -o "$work/got" "$uri/store"
    same "$large" "$work/got"
}

downloads() {
    limit=$block_limit
    copal 0 get -v --block-size "$1" -o "$work/got" "$uri/large"
    said "< ACK 2.05 .*block2 $(last_block "$1")/0/$1 "
    same "$large" "$work/got"
}

# ---- copal serves ----------------------------------------------------------

serves_get() {
    peer_asks 2.05 GET /
    out_is 'made with copal'
}

serves_put() {
    printf two >"$work/body"
    copal 0 put "$uri/store" -p one -t octets
    peer_asks 2.04 PUT /store "body=$work/body"
    copal 0 get "$uri/store"
    out_is two
}

serves_post() {
    printf abc >"$work/body"
    peer_asks 2.04 POST /echo "body=$work/body"
    out_is abc
}

serves_delete() {
    copal 0 put "$uri/store" -p x -t octets
    peer_asks 2.02 DELETE /store
    copal 4 get "$uri/store"
}

serves_fetch() {
    printf what >"$work/body"
    peer_asks 2.05 FETCH /echo "body=$work/body"
    served '< CON FETCH'
    out_is what
}

serves_nothing() {
    peer_asks 4.04 GET /nothing
}

serves_critical() {
    peer_asks 4.02 GET / option=2049
}

serves_etag() {
    peer_asks 2.05 GET /etag
    out_is tagged
    said '^etag 0102$'
    peer_asks 2.03 GET /etag etag=0102
    served '> ACK 2.03'
}

serves_non() {
    peer_asks 2.05 GET / non
    out_is 'made with copal'
    served '< NON GET'
    served '> NON 2.05'
}

serves_separate() {
    peer_asks 2.05 GET /separate
    out_is 'done'
    served '> ACK (empty)'
    served '> CON 2.05'
    served '< ACK (empty)'
}

serves_ping() {
    copal 0 put "$uri/obs" -p zero -t text # there are peers that watch to ping
    timeout $limit $driver ping "$uri" >"$work/out" 2>"$work/err" </dev/null ||
        fail "$peer ping: exit $?"
    out_has answered
    served '< CON (empty)'
    served '> RST (empty)'
}

# peer_observes COUNT: in the background, registered.
peer_observes() {
    copal 0 put "$uri/obs" -p zero -t text
    later $driver observe "$uri/obs" "$1"
    watched zero
}

# By CON, each.
notified() {
    [ "$(since | grep -ac '^> CON 2.05 obs=')" -ge "$1" ]
}

serves_observe() {
    peer_observes 4
    for word in one two three; do
        copal 0 put "$uri/obs" -p $word -t text
        watched $word
    done
    within 2 notified 3 || fail "fewer than three notifications: $(since | tail -n 9)"
}

# By GET with Observe 1, or by rejecting the next notification (RFC 7641 3.6)
# or the one after that.
said_goodbye() {
    copal 0 put "$uri/obs" -p refused -t text
    since | grep -aq '^< CON GET .*obs=1 \|^< RST'
}

notifications() {
    since | grep -ac '^> .* 2.05 obs='
}

serves_leave() {
    peer_observes 2
    copal 0 put "$uri/obs" -p one -t text
    watched one
    watched 'let go'
    within 2 said_goodbye || fail "no word of its going"
    told=$(notifications)
    copal 0 put "$uri/obs" -p unheard -t text
    sleep 0.5
    [ "$(notifications)" = "$told" ] || fail "copal still notifies"
}

takes() {
    limit=$block_limit
    copal 0 put "$uri/store" -p x -t octets
    peer_asks 2.04 PUT /store "body=$large" "block=$1"
    served "< CON PUT .* block1 $(last_block "$1")/0/$1 "
    copal 0 get -o "$work/got" "$uri/store"
    same "$large" "$work/got"
}

gives() {
    limit=$block_limit
    copal 0 put "$uri/store" -p "@$large" -t octets
    peer_asks 2.05 GET /store "block=$1"
    served "> ACK 2.05 .*block2 $(last_block "$1")/0/$1 "
    same "$large" "$work/out"
}

# ---- The rows --------------------------------------------------------------

asks_block1() {
    uploads "$1"
}

asks_block2() {
    downloads "$1"
}

serves_block1() {
    takes "$1"
}

serves_block2() {
    gives "$1"
}

# rows DIRECTION
rows() {
    behaviour "GET" "$1_get"
    behaviour "PUT" "$1_put"
    behaviour "POST" "$1_post"
    behaviour "DELETE" "$1_delete"
    behaviour "FETCH" "$1_fetch"
    behaviour "4.04 for what is not there" "$1_nothing"
    behaviour "4.02 for a critical option" "$1_critical"
    behaviour "ETag, 2.03" "$1_etag"
    behaviour "NON request" "$1_non"
    behaviour "separate response" "$1_separate"
    behaviour "ping" "$1_ping"
    behaviour "observe" "$1_observe"
    behaviour "observe: deregistration" "$1_leave"
    for size in $sizes; do
        behaviour "Block1 in $size bytes, 100 kB" "$1_block1 $size"
    done
    for size in $sizes; do
        behaviour "Block2 in $size bytes, 100 kB" "$1_block2 $size"
    done
}

ask_peer() {
    in_column "$peer-asks"
    start_peer
    rows asks
    end_processes
}

serve_peer() {
    in_column "$peer-serves"
    start_copal "$COPAL_ROOT/tests/interop/support/site.lua" \
        --listen coap://127.0.0.1:0
    rows serves
    end_processes
}

ask_and_serve() {
    ask_peer
    serve_peer
    finish
}
