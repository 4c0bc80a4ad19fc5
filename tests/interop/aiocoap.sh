# copal's three clients against a server on aiocoap, and aiocoap-client against
# copal serve --test.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/aiocoap.sh"
limit=20

here=$(cd "$(dirname "$0")" && pwd)

# ---- aiocoap ---------------------------------------------------------------

# start_aiocoap: $uri is where, $log every message.
start_aiocoap() {
    log=$(mktemp "$work/aiocoap.XXXXXX")
    timeout 170 "$venv/bin/python" "$here/support/aiocoap_server.py" \
        >"$log.out" 2>"$log" </dev/null &
    pids="$pids $!"
    within 10 grep -q '^listening on ' "$log.out" ||
        fail "aiocoap's server does not listen: $(tail -n 3 "$log")"
    uri=$(sed -n 's/^listening on //p' "$log.out")
}

# client WORDS...: aiocoap-client; payload in $work/out, the messages it tells
# of in $work/err. $failed is whether it was content.
client() {
    failed=no
    timeout $limit "$venv/bin/aiocoap-client" -vv --no-color --no-pretty-print \
        "$@" >"$work/out" 2>"$work/err" </dev/null || failed=yes
}

# ---- copal's clients -------------------------------------------------------

# asks STATUS VERB URI [BODY|COUNT]: by $who; exits so.
asks() {
    wanted_status=$1
    verb=$2
    shift 2
    case $who in
    lua) set -- "$COPAL_BIN" run "$here/support/client.lua" "$verb" "$@" ;;
    python) set -- "$python" "$here/support/client.py" "$verb" "$@" ;;
    *) set -- "$COPAL_BIN" "$verb" $(program_words "$verb" "$@") ;;
    esac
    PYTHONPATH=$build/python PYTHONDONTWRITEBYTECODE=1 \
        timeout $limit "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    [ $got = "$wanted_status" ] || fail "$*: exit $got, not $wanted_status"
}

# Words without spaces only.
program_words() {
    case $1 in
    put | post)
        case $3 in
        @*) echo "$2 -p $3 -t octets" ;;
        *) echo "$2 -p $3 -t text" ;;
        esac
        ;;
    observe) echo "$2 -F %p -C $3" ;;
    ping) echo "$2 -C 1" ;;
    *) echo "$2" ;;
    esac
}

# logged NUMBER PATTERN: the server saw it, so many times at least.
logged() {
    within 5 count "$@" "$log" || count "$@" "$log"
}

gets() {
    asks 0 get "$uri/"
    out_is 'made with aiocoap'
}

puts() {
    asks 0 put "$uri/other/block" small
    logged 1 'Incoming message <aiocoap.Message: PUT'
    asks 0 get "$uri/other/block"
    out_is small
}

posts() {
    asks 0 post "$uri/other/block" abc
    out_is cba
    asks 0 post "$uri/" x
    logged 1 'Sending message <aiocoap.Message: 2.01 Created'
}

deletes() {
    asks 0 delete "$uri/other/block"
    logged 1 'Sending message <aiocoap.Message: 2.02 Deleted'
}

finds_nothing() {
    asks 4 get "$uri/nothing"
    grep -q '^copal: 4.04' "$work/err" || fail "no word of 4.04"
}

waits_for_a_separate_response() {
    before=$(grep -c 'Incoming message <aiocoap.Message: EMPTY' "$log")
    asks 0 get "$uri/other/separate"
    out_is 'done'
    logged $((before + 1)) 'Incoming message <aiocoap.Message: EMPTY'
}

discovers() {
    asks 0 ls "$uri"
    out_has /time
    out_has /other/separate
    out_has /other/block
}

sends_blocks() {
    before=$(grep -c 'Sending message <aiocoap.Message: 2.31 Continue' "$log")
    asks 0 put "$uri/other/block" "@$large"
    logged $((before + 99)) 'Sending message <aiocoap.Message: 2.31 Continue'
}

fetches_blocks() {
    asks 0 put "$uri/other/block" "@$large"
    asks 0 get "$uri/other/block"
    same "$large" "$work/out"
}

sends_and_fetches_blocks() {
    asks 0 post "$uri/other/block" "@$large"
    "$python" -c 'import sys; sys.stdout.buffer.write(open(sys.argv[1], "rb").read()[::-1])' \
        "$large" >"$work/reversed"
    same "$work/reversed" "$work/out"
}

observes() {
    asks 0 observe "$uri/time" 4
    count 4 '^tick [0-9]*$' "$work/out"
}

deregisters() {
    asks 0 observe "$uri/time" 2
    within 5 sh -c "grep 'observers of /time' '$log' | tail -n 1 | grep -q ': 0'" ||
        fail "still registered"
}

# aiocoap does not take its notifications apart.
observes_what_is_large() {
    head -c 8192 "$large" | tr '\200-\377' a-za-za-za-za-z >"$work/text"
    asks 0 put "$uri/other/block" "@$work/text"
    asks 0 observe "$uri/other/block" 1
    echo >>"$work/text"
    same "$work/text" "$work/out"
}

pings() {
    before=$(grep -c 'Incoming message <aiocoap.Message: EMPTY' "$log")
    asks 0 ping "$uri"
    logged $((before + 1)) 'Incoming message <aiocoap.Message: EMPTY'
}

ask_aiocoap() {
    behaviour "GET" gets
    behaviour "PUT" puts
    behaviour "POST" posts
    behaviour "DELETE" deletes
    behaviour "4.04 for what is not there" finds_nothing
    behaviour "separate response" waits_for_a_separate_response
    behaviour "discovery" discovers
    behaviour "Block1, 100 kB" sends_blocks
    behaviour "Block2, 100 kB" fetches_blocks
    behaviour "Block1 and Block2, 100 kB" sends_and_fetches_blocks
    behaviour "observe" observes
    behaviour "observe, 8 kB in a datagram" observes_what_is_large
    behaviour "observe: deregistration" deregisters
    behaviour "ping" pings
}

# ---- copal serves ----------------------------------------------------------

serves_get() {
    client "$uri/"
    out_has 'This is copal'
    said '2.05 Content'
}

serves_put() {
    client -m PUT --payload two --content-format 'text/plain;charset=utf-8' \
        "$uri/other/block"
    said '2.04 Changed'
    client "$uri/other/block"
    out_is two
}

serves_post() {
    client -m POST --payload x "$uri/test"
    said '/location1/location2/location3'
}

serves_delete() {
    client -m DELETE "$uri/test"
    said '2.02 Deleted'
}

serves_nothing() {
    client "$uri/nothing"
    said '4.04 Not Found'
    [ $failed = yes ] || fail "aiocoap-client was content"
}

serves_separately() {
    client "$uri/separate"
    out_has 'One second later'
    count 1 '> ACK (empty)' "$log"
    count 1 '< ACK (empty)' "$log"
}

serves_without_confirmation() {
    client --non "$uri/test"
    out_has 'NON  code 0.01'
    count 1 '> NON 2.05' "$log"
}

serves_discovery() {
    client "$uri/.well-known/core"
    out_has '</large>;rt="block"'
    client "$uri/.well-known/core?rt=block"
    out_has '</large>'
    out_lacks '</obs>'
}

serves_formats() {
    client --accept application/xml "$uri/multi-format"
    out_has '<name>copal</name>'
    client --accept application/cbor "$uri/multi-format"
    said '4.06'
}

takes_blocks() {
    client -m PUT --payload "@$large" --content-format application/octet-stream \
        "$uri/large-update"
    said '2.04 Changed'
    count 1 'PUT .* block1 99/0/1024' "$log"
    copal 0 get -o "$work/got" "$uri/large-update"
    same "$large" "$work/got"
}

gives_blocks() {
    copal 0 put "$uri/large-update" -p "@$large" -t octets
    client "$uri/large-update"
    same "$large" "$work/out"
    count 1 '> ACK 2.05 .*block2 99/0/1024' "$log"
}

takes_and_gives_blocks() {
    client -m POST --payload "@$large" "$uri/large-post"
    out_has '102400 bytes came.'
    count 1 'block1 99/0/1024' "$log"
    count 1 'block2 1/0/1024' "$log"
}

takes_small_blocks() {
    client -m PUT --payload "@$large" --payload-initial-szx 2 \
        --content-format application/octet-stream "$uri/large-update"
    said '2.04 Changed'
    count 1 'PUT .* block1 1599/0/64' "$log"
    copal 0 get -o "$work/got" "$uri/large-update"
    same "$large" "$work/got"
}

# observing PATH COUNT
observing() {
    later "$venv/bin/python" "$here/support/aiocoap_observer.py" "$uri$1" "$2"
    within 10 test -s "$work/later" ||
        fail "no observation: $(tail -n 3 "$work/later.err")"
}

notifies() {
    copal 0 put "$uri/obs-pumping" -p zero
    observing /obs-pumping 3
    copal 0 put "$uri/obs-pumping" -p one
    within 2 grep -qx one "$work/later" || fail "no one"
    copal 0 put "$uri/obs-pumping" -p two
    within 2 grep -qx two "$work/later" || fail "no two"
}

rejected() {
    copal 0 put "$uri/obs-pumping" -p refused
    grep -q '< RST\|obs=1  *mid' "$log"
}

# aiocoap rejects what comes for an observation it gave up: the next
# notification, or the one after that.
lets_go() {
    copal 0 put "$uri/obs-pumping" -p zero
    observing /obs-pumping 2
    copal 0 put "$uri/obs-pumping" -p one
    within 5 grep -qx 'let go' "$work/later" || fail "it did not let go"
    within 2 rejected || fail "no word of its going"
    sent=$(grep -ac '2.05 obs=' "$log")
    copal 0 put "$uri/obs-pumping" -p unheard
    sleep 0.3
    [ "$(grep -ac '2.05 obs=' "$log")" = "$sent" ] || fail "still notifies"
}

serve_aiocoap() {
    behaviour "GET" serves_get
    behaviour "PUT" serves_put
    behaviour "POST" serves_post
    behaviour "DELETE" serves_delete
    behaviour "4.04 for what is not there" serves_nothing
    behaviour "separate response" serves_separately
    behaviour "NON request" serves_without_confirmation
    behaviour "discovery" serves_discovery
    behaviour "Accept, 4.06" serves_formats
    behaviour "Block1, 100 kB" takes_blocks
    behaviour "Block2, 100 kB" gives_blocks
    behaviour "Block1 and Block2, 100 kB" takes_and_gives_blocks
    behaviour "Block1 in 64 bytes, 100 kB" takes_small_blocks
    behaviour "observe" notifies
    behaviour "observe: deregistration" lets_go
}

install_aiocoap skip
for who in copal lua python; do
    in_column "aiocoap-$who"
    if [ $who = python ] &&
        ! PYTHONPATH=$build/python "$python" -c 'import copal' 2>"$work/err"; then
        echo "skipped: the Python client: $(tail -n 1 "$work/err")"
        continue
    fi
    start_aiocoap
    ask_aiocoap
    end_processes
done
in_column aiocoap-server
start_copal --test --listen coap://127.0.0.1:0
serve_aiocoap
finish
