# coap-rs, both ways.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"

peer=coap-rs
needs_tool cargo cargo
is_built coap-rs || {
    fetch 120 cargo fetch -q
    compile 400 cargo build -q --offline --target-dir target
    built
}
driver=$made/target/debug/peer

asks_critical() {
    answered_in_spite_of_critical
}

asks_ping() {
    answered_a_ping
}

asks_separate() {
    skip "coap-rs acknowledges by its answer only"
}

# Its numbers of blocks have 12 bits: enough for 64 kB in blocks of 16 bytes.
loses_count() {
    peers_fault "loses count at block 4096, RFC 7959 2.2"
}

# It takes block 4096 for the whole body, and says so.
asks_block1() {
    if [ "$1" != 16 ]; then
        uploads "$1"
        return
    fi
    copal 0 put -v --block-size 16 "$uri/store" -p "@$large" -t octets
    said '> CON PUT .* block1 4096/1/16 '
    said '< ACK 2.0[14]  *mid'
    loses_count
}

# It answers with another block.
asks_block2() {
    if [ "$1" != 16 ]; then
        downloads "$1"
        return
    fi
    copal 10 get -v --block-size 16 -o "$work/got" "$uri/large"
    said '> CON GET .* block2 4096/0/16 '
    ! said_block 4096 || fail "it went on"
    loses_count
}

said_block() {
    grep -aq "^< ACK 2.05 .*block2 $1/" "$work/err"
}

# It begins again at 0.
serves_block1() {
    if [ "$1" != 16 ]; then
        takes "$1"
        return
    fi
    peer_asks 2.04 PUT /store "body=$large" block=16
    served '< CON PUT .* block1 4095/1/16 '
    served '< CON PUT .* block1 2303/0/16 '
    loses_count
}

serves_block2() {
    if [ "$1" != 16 ]; then
        gives "$1"
        return
    fi
    ! timeout $limit $driver ask GET "$uri/store" block=16 \
        >"$work/out" 2>"$work/err" </dev/null || fail "it was content"
    served '> ACK 2.05 .*block2 4095/1/16 '
    loses_count
}

serves_ping() {
    skip "coap-rs's client cannot ping"
}

ask_and_serve
