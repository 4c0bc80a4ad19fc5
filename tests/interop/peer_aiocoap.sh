# aiocoap, both ways: see aiocoap.sh for more of it.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"
. "$(dirname "$0")/support/aiocoap.sh"

peer=aiocoap
install_aiocoap unavailable
driver="$venv/bin/python $COPAL_ROOT/tests/interop/aiocoap/peer.py"

asks_critical() {
    answered_in_spite_of_critical
}

serves_ping() {
    skip "aiocoap's client cannot ping"
}

ask_and_serve
