# Californium by TCP, and by DTLS with Scandium, both ways.
needs=
. "$(dirname "$0")/check.sh"
needs_tls
. "$(dirname "$0")/support/matrix.sh"
. "$(dirname "$0")/support/secured.sh"
. "$(dirname "$0")/support/californium.sh"

# A connection begins with a CSM of each side: RFC 8323 5.3.
no_csm() {
    case $scheme in
    *+tcp) peers_fault "sends no CSM, RFC 8323 5.3" ;;
    esac
}

asks_all() {
    case $scheme in
    *+tcp)
        copal 7 get -T 5s -v $creds "$uri/"
        said '^> CSM'
        ! grep -q '^< CSM' "$work/err" || fail "it sends a CSM"
        no_csm
        ;;
    esac
    asks_get_and_put
}

serves_all() {
    case $scheme in
    *+tcp)
        ! timeout 20 $driver ask GET "$uri/" >"$work/out" 2>"$work/err" </dev/null ||
            fail "it was answered"
        no_csm
        ;;
    esac
    serves_get_and_put
}

asks_large() {
    no_csm
    asks_body
}

serves_large() {
    no_csm
    serves_body
}

asks_notes() {
    no_csm
    asks_observed
}

serves_notes() {
    no_csm
    serves_observed
}

modes='coap+tcp:plain coaps:psk coaps:cert coaps:rpk coaps:cid'
secured
