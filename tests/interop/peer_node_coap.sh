# node-coap, both ways.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"

peer=node-coap
needs_tool node nodejs
needs_tool npm npm
is_built node-coap || {
    fetch 120 npm ci --no-audit --no-fund --ignore-scripts --fetch-retries 1
    built
}
driver="node $made/peer.js"

asks_critical() {
    answered_in_spite_of_critical
}

asks_ping() {
    answered_a_ping
}

asks_leave() {
    leaves
    echo "$after" | grep -q '< CON 2.05 obs=' || fail "not notified"
    peers_fault "notifies on after Observe 1, RFC 7641 4.1"
}

# Block2 0/0/16 is a value of no bytes, which it takes for a size of 0.
asks_block2() {
    if [ "$1" != 16 ]; then
        downloads "$1"
        return
    fi
    copal 10 get -v --block-size 16 -o "$work/got" "$uri/large"
    said '< ACK 2.05 .*block2 0/1/16 .* 19 B'
    peers_fault "sends a block of 16 bytes with none, RFC 7959 2.2"
}

serves_ping() {
    skip "node-coap's client cannot ping"
}

ask_and_serve
