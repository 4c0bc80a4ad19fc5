# libcoap's client against copal serve --test.
. "$(dirname "$0")/check.sh"

start_copal --test --listen coap://127.0.0.1:0

gets() {
    client "$uri/"
    out_has 'This is copal'
    said 't:ACK c:2.05'
}

puts() {
    client -m put -t plain -e two "$uri/other/block"
    said 't:ACK c:2.04'
    client "$uri/other/block"
    out_is two
}

posts() {
    client -m post -e x "$uri/test"
    said 't:ACK c:2.01'
    said 'Location-Path:location1, Location-Path:location2'
}

deletes() {
    client -m delete "$uri/test"
    said 't:ACK c:2.02'
}

finds_nothing() {
    client "$uri/nothing"
    said 't:ACK c:4.04'
}

understands_not() {
    client -O 2049,critical "$uri/test"
    said 't:ACK c:4.02'
}

has_formats() {
    client -A xml "$uri/multi-format"
    out_has '<name>copal</name>'
    client -A cbor "$uri/multi-format"
    said 't:ACK c:4.06'
}

validates() {
    client "$uri/validate"
    etag=$(sed -n 's/.*c:2.05.*ETag:\(0x[0-9a-f]*\).*/\1/p' \
        "$work/err")
    [ -n "$etag" ] || fail "no ETag"
    client -O "4,$etag" "$uri/validate"
    said 't:ACK c:2.03'
    client -m put -e x -O 1,0xffff "$uri/validate"
    said 't:ACK c:4.12'
    client -m put -e two -O "1,$etag" "$uri/validate"
    said 't:ACK c:2.04'
    client -m put -e x -O 5, "$uri/validate"
    said 't:ACK c:4.12'
}

answers_separately() {
    client "$uri/separate"
    out_has 'One second later'
    said 't:ACK c:0.00'
    said 't:CON c:2.05'
}

answers_without_confirmation() {
    client -N "$uri/test"
    out_has 'NON  code 0.01'
    said 'received.*bytes'
    said 't:NON c:2.05'
}

is_discovered() {
    client "$uri/.well-known/core"
    out_has '</large>;rt="block"'
    said 'Content-Format:application/link-format'
}

filters() {
    client "$uri/.well-known/core?rt=block"
    out_has '</large>'
    out_lacks '</obs>'
    client "$uri/.well-known/core?if=If*"
    out_has '</link1>'
    out_lacks '</link3>'
}

takes_blocks() {
    client -m put -t binary -f "$large" "$uri/large-update"
    said 'c:PUT .*Block1:99/_/1024'
    said 't:ACK c:2.04'
    copal 0 get -o "$work/got" "$uri/large-update"
    same "$large" "$work/got"
}

gives_blocks() {
    copal 0 put "$uri/large-update" -p "@$large" -t octets
    client "$uri/large-update"
    said 'c:2.05 .*Block2:99/_/1024'
    same "$large" "$work/out"
}

takes_small_blocks() {
    client -m put -t binary -b 64 -f "$large" "$uri/large-update"
    said 'c:PUT .*Block1:1599/_/64'
    copal 0 get -o "$work/got" "$uri/large-update"
    same "$large" "$work/got"
}

gives_small_blocks() {
    copal 0 put "$uri/large-update" -p "@$large" -t octets
    client -b 64 "$uri/large-update"
    said 'c:2.05 .*Block2:1599/_/64'
    same "$large" "$work/out"
}

gives_blocks_without_confirmation() {
    copal 0 put "$uri/large-update" -p "@$large" -t octets
    client -N "$uri/large-update"
    said 't:NON c:2.05 .*Block2:99/_/1024'
    same "$large" "$work/out"
}

# observing SECONDS WORDS...: in the background, until its first notification.
observing() {
    seconds=$1
    shift
    later coap-client-notls -v 7 -w -s "$seconds" -B $((seconds + 5)) "$@"
    within 10 grep -aq 't:... c:2.05 .*Observe:' "$work/later" ||
        fail "no observation: $(tail -n 5 "$work/later")"
}

said_twice() {
    [ "$(grep -ac -e "$1" "$work/later")" -ge 2 ]
}

notifies() {
    copal 0 put "$uri/obs-pumping" -p zero
    observing 2 "$uri/obs-pumping"
    copal 0 put "$uri/obs-pumping" -p one
    within 1 grep -aq "t:CON c:2.05 .*'one'" "$work/later" || fail "no one"
    copal 0 put "$uri/obs-pumping" -p two
    wait "$job" || fail "coap-client: exit $?"
    count 1 "'zero'" "$work/later"
    count 1 "t:CON c:2.05 .*'two'" "$work/later"
}

notifies_without_confirmation() {
    observing 7 "$uri/obs-non"
    within 6 grep -aq 't:NON c:2.05 .*Observe:' "$work/later" ||
        fail "no notification by NON"
}

notifies_in_blocks() {
    observing 7 "$uri/obs-large"
    within 6 grep -aq 't:CON c:2.05 .*Observe:.*Block2:0/M/1024' \
        "$work/later" || fail "no notification with a first block"
    within 1 said_twice 'c:2.05 .*Block2:1/_/1024' || fail "no second block"
}

# Who has said GET with Observe 1 is told no more.
lets_go() {
    observing 1 "$uri/obs-pumping"
    wait "$job" || fail "coap-client: exit $?"
    within 5 grep -aq '< CON GET */obs-pumping obs=1' "$log" ||
        fail "no deregistration seen"
    sent=$(grep -ac '2.05 obs=' "$log")
    copal 0 put "$uri/obs-pumping" -p unheard
    sleep 0.5
    [ "$(grep -ac '2.05 obs=' "$log")" = "$sent" ] || fail "still notifies"
}

# The client pings when it has heard nothing for a second.
is_pinged() {
    observing 6 -K 1 "$uri/obs"
    within 6 grep -aq 't:RST c:0.00' "$work/later" || fail "no answer"
}

speaks_ipv6() {
    needs_ipv6
    start_copal --test --listen 'coap://[::1]:0'
    client -m put -t binary -f "$large" "$uri/large-update"
    client "$uri/large-update"
    same "$large" "$work/out"
}

# The client loses the first datagram it sends: the request.
answers_what_is_repeated() {
    client -l 1 "$uri/test"
    out_has 'CON  code 0.01'
}

# The second: its ACK, so that the notification comes again.
repeats_a_notification() {
    start_copal --test --ack-timeout 300ms --listen coap://127.0.0.1:0
    observing 7 -l 2 "$uri/obs-pumping"
    copal 0 put "$uri/obs-pumping" -p again
    within 3 said_twice "t:CON c:2.05 .*'again'" || fail "not sent again"
}

goes_on_when_blocks_are_lost() {
    client -l 3 -m put -t binary -f "$large" "$uri/large-update"
    client -l 40 "$uri/large-update"
    same "$large" "$work/out"
}

behaviour "GET" gets
behaviour "PUT" puts
behaviour "POST" posts
behaviour "DELETE" deletes
behaviour "4.04 for what is not there" finds_nothing
behaviour "4.02 for a critical option" understands_not
behaviour "separate response" answers_separately
behaviour "NON request" answers_without_confirmation
behaviour "discovery" is_discovered
behaviour "discovery with a filter" filters
behaviour "Block1, 100 kB" takes_blocks
behaviour "Block2, 100 kB" gives_blocks
behaviour "Block1 in 64 bytes, 100 kB" takes_small_blocks
behaviour "Block2 in 64 bytes, 100 kB" gives_small_blocks
behaviour "Block2 by NON, 100 kB" gives_blocks_without_confirmation
behaviour "observe" notifies
behaviour "observe by NON" notifies_without_confirmation
behaviour "observe in blocks" notifies_in_blocks
behaviour "observe: deregistration" lets_go
behaviour "ping" is_pinged
behaviour "IPv6" speaks_ipv6
behaviour "Accept, 4.06" has_formats
behaviour "ETag, If-Match, If-None-Match" validates
behaviour "lost message" answers_what_is_repeated
behaviour "lost separate message" repeats_a_notification
behaviour "lost blocks" goes_on_when_blocks_are_lost
finish
