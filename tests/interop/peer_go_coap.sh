# go-coap, both ways.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"

. "$(dirname "$0")/support/go_coap.sh"

asks_non() {
    copal 0 get -v -N "$uri/"
    out_has "made with $peer"
    said '> NON GET'
    said '< CON 2.05'
    peers_fault "answers a NON by a CON, RFC 7252 5.2.3"
}

ask_and_serve
