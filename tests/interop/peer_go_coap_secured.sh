# go-coap and pion/dtls by TCP, TLS and DTLS, both ways.
needs=
. "$(dirname "$0")/check.sh"
needs_tls
. "$(dirname "$0")/support/matrix.sh"
. "$(dirname "$0")/support/secured.sh"
. "$(dirname "$0")/support/go_coap.sh"

# It says nothing in its CSM, so it takes 1152 bytes (RFC 8323 5.3).
asks_large() {
    case $scheme in
    *+tcp)
        copal 1 put $creds "$uri/store" -p "@$large" -t octets
        said 'longer than the server takes'
        peers_fault "takes 1152 bytes by TCP, and no blocks: its CSM says so"
        ;;
    esac
    copal 0 put $creds "$uri/store" -p "@$large" -t octets
    copal 0 get $creds -o "$work/got" "$uri/store"
    [ "$(wc -c <"$work/got")" = 1024 ] || fail "it kept more than a block"
    copal 0 get $creds -o "$work/got" "$uri/large"
    same "$large" "$work/got"
    peers_fault "keeps the first block of a body whose blocks have other tokens"
}

serves_large() {
    case $scheme in
    *+tcp)
        copal 0 put $creds "$uri/store" -p "@$large" -t octets
        peer_asks 5.00 GET /store
        peers_fault "takes 1152 bytes by TCP, and no blocks: its CSM says so"
        ;;
    esac
    serves_body
}

modes='coap+tcp:plain coaps+tcp:cert coaps:psk coaps:cert coaps:cid'
secured
