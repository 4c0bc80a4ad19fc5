# libcoap, both ways: see client.sh and server.sh for more of it.
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"

peer=libcoap
driver="sh $COPAL_ROOT/tests/interop/libcoap/peer.sh"
separate='/async?1'

asks_post() {
    skip "coap-server takes no POST"
}

asks_fetch() {
    copal 0 fetch -v "$uri/time" -p what -t text
    said '> CON FETCH'
    said '< ACK 2.05'
}

asks_etag() {
    skip "coap-server compares no ETags"
}

# An answer with a critical option that is not understood has to be rejected.
asks_critical() {
    copal 10 get -v "$uri/" -O 2049=critical
    said '< ACK 4.02'
    said '^copal: .*2049'
    peers_fault "its 4.02 has the critical option too, RFC 7252 5.4.1"
}

ask_and_serve
