# copal's client against libcoap's server.
. "$(dirname "$0")/check.sh"

# The server's dynamic resources keep whatever is PUT.
start_libcoap 127.0.0.1 -d 100

gets() {
    copal 0 get "$uri/"
    out_has 'made with libcoap'
}

puts() {
    copal 0 put -v "$uri/put" -p one -t text
    said '< ACK 2.01'
    copal 0 put -v "$uri/put" -p two -t text
    said '< ACK 2.04'
    copal 0 get "$uri/put"
    out_is two
}

# Nothing there takes a POST.
posts() {
    copal 4 post "$uri/example_data" -p x
    grep -q '^copal: 4.05' "$work/err" || fail "no word of 4.05"
}

deletes() {
    copal 0 put "$uri/gone" -p x -t text
    copal 0 delete -v "$uri/gone"
    said '< ACK 2.02'
    copal 4 get "$uri/gone"
}

finds_nothing() {
    copal 4 get "$uri/nothing"
    grep -q '^copal: 4.04' "$work/err" || fail "no word of 4.04"
}

# The server's 4.02 repeats the option, and an answer with a critical option
# that is not understood has to be rejected: RFC 7252 5.4.1.
is_not_understood() {
    copal 10 get -v "$uri/" -O 2049=critical
    said '< ACK 4.02'
    said '^copal: .*2049'
}

waits_for_a_separate_response() {
    copal 0 get -v "$uri/async?1"
    out_is 'done'
    said '< ACK (empty)'
    said '< CON 2.05'
    said '> ACK (empty)'
}

asks_without_confirmation() {
    copal 0 get -v -N "$uri/"
    out_has 'made with libcoap'
    said '> NON GET'
    said '< NON 2.05'
}

discovers() {
    copal 0 ls "$uri"
    out_has /time
    out_has /example_data
}

filters() {
    copal 0 ls "$uri" rt=ticks
    out_has /time
    out_lacks /example_data
    copal 0 ls "$uri" 'title=Example*'
    out_has /example_data
    out_lacks /time
}

sends_blocks() {
    copal 0 put -v "$uri/block1" -p "@$large" -t octets
    said '> CON PUT .* block1 99/0/1024'
}

fetches_blocks() {
    copal 0 put "$uri/block2" -p "@$large" -t octets
    copal 0 get -v -o "$work/got" "$uri/block2"
    said '< ACK 2.05 .*block2 99/0/1024'
    same "$large" "$work/got"
}

sends_small_blocks() {
    copal 0 put -v --block-size 64 "$uri/small" -p "@$large" -t octets
    said '> CON PUT .* block1 1599/0/64'
    copal 0 get -o "$work/got" "$uri/small"
    same "$large" "$work/got"
}

fetches_small_blocks() {
    copal 0 put "$uri/small" -p "@$large" -t octets
    copal 0 get -v --block-size 64 -o "$work/got" "$uri/small"
    said '< ACK 2.05 .*block2 1599/0/64'
    same "$large" "$work/got"
}

fetches_blocks_without_confirmation() {
    copal 0 put "$uri/non" -p "@$large" -t octets
    copal 0 get -v -N -o "$work/got" "$uri/non"
    said '< NON 2.05 .*block2 99/0/1024'
    same "$large" "$work/got"
}

observes() {
    copal 0 observe -v -C 3 "$uri/time"
    count 3 '[0-9][0-9]:[0-9][0-9]:[0-9][0-9]' "$work/out"
    count 2 '< CON 2.05 obs=' "$work/err"
}

observes_without_confirmation() {
    start_libcoap 127.0.0.1 -N
    copal 0 observe -v -C 3 "$uri/time"
    count 2 '< NON 2.05 obs=' "$work/err"
}

# The clock goes on; after GET with Observe 1 nobody is told.
deregisters() {
    start_libcoap 127.0.0.1
    copal 0 observe -v -C 2 "$uri/time"
    said '> CON GET */time obs=1'
    said '< ACK 2.05  *mid'
    sent=$(grep -ac 'c:2.05' "$log")
    sleep 2.2
    [ "$(grep -ac 'c:2.05' "$log")" = "$sent" ] || fail "still notified"
}

# Each notification is the first block only; copal asks for the rest.
observes_what_is_large() {
    copal 0 put "$uri/example_data" -p "@$large" -t octets
    later "$COPAL_BIN" observe -C 2 -F '%p' "$uri/example_data"
    within 10 test -s "$work/later" || fail "nothing observed"
    { printf changed; tail -c +8 "$large"; } >"$work/changed"
    copal 0 put "$uri/example_data" -p "@$work/changed" -t octets
    wait "$job" || fail "copal observe: exit $?"
    { cat "$large"; echo; cat "$work/changed"; echo; } >"$work/both"
    same "$work/both" "$work/later"
}

pings() {
    copal 0 ping -C 2 "$uri"
    out_has '2 probes, 2 answered, 0% lost'
    within 5 grep -aq 't:CON c:0.00' "$log" || fail "no empty CON came"
    count 1 't:RST c:0.00' "$log"
}

speaks_ipv6() {
    needs_ipv6
    start_libcoap '[::1]' -d 10
    copal 0 put "$uri/six" -p "@$large" -t octets
    copal 0 get -o "$work/got" "$uri/six"
    same "$large" "$work/got"
}

# The server loses the first datagram it sends: the ACK with the answer.
repeats_when_an_answer_is_lost() {
    start_libcoap 127.0.0.1 -l 1
    copal 0 get -v --ack-timeout 300ms "$uri/"
    out_has 'made with libcoap'
    count 2 '> CON GET' "$work/err"
}

# The second: the response itself, which the server repeats.
waits_when_a_separate_response_is_lost() {
    start_libcoap 127.0.0.1 -l 2
    copal 0 get -v "$uri/async?1"
    out_is 'done'
    said '< ACK (empty)'
}

goes_on_when_blocks_are_lost() {
    start_libcoap 127.0.0.1 -d 10 -l 3,40,120,150
    copal 0 put --ack-timeout 1s "$uri/lossy" -p "@$large" -t octets
    copal 0 get --ack-timeout 1s -o "$work/got" "$uri/lossy"
    same "$large" "$work/got"
}

behaviour "GET" gets
behaviour "PUT" puts
behaviour "POST" posts
behaviour "DELETE" deletes
behaviour "4.04 for what is not there" finds_nothing
behaviour "4.02 for a critical option" is_not_understood
behaviour "separate response" waits_for_a_separate_response
behaviour "NON request" asks_without_confirmation
behaviour "discovery" discovers
behaviour "discovery with a filter" filters
behaviour "Block1, 100 kB" sends_blocks
behaviour "Block2, 100 kB" fetches_blocks
behaviour "Block1 in 64 bytes, 100 kB" sends_small_blocks
behaviour "Block2 in 64 bytes, 100 kB" fetches_small_blocks
behaviour "Block2 by NON, 100 kB" fetches_blocks_without_confirmation
behaviour "observe" observes
behaviour "observe by NON" observes_without_confirmation
behaviour "observe in blocks" observes_what_is_large
behaviour "observe: deregistration" deregisters
behaviour "ping" pings
behaviour "IPv6" speaks_ipv6
behaviour "lost message" repeats_when_an_answer_is_lost
behaviour "lost separate message" waits_when_a_separate_response_is_lost
behaviour "lost blocks" goes_on_when_blocks_are_lost
finish
