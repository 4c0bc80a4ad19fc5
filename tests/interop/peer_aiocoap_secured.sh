# aiocoap by TCP, WebSocket, TLS and DTLS (tinydtls), both ways.
needs=
. "$(dirname "$0")/check.sh"
needs_tls
. "$(dirname "$0")/support/matrix.sh"
. "$(dirname "$0")/support/secured.sh"
. "$(dirname "$0")/support/aiocoap.sh"

peer=aiocoap
install_aiocoap unavailable
driver="$venv/bin/python $COPAL_ROOT/tests/interop/aiocoap/peer.py"
modes='coap+tcp:plain coap+ws:plain coaps+tcp:server-cert coaps+ws:server-cert'

# Of DTLSSocket there is source only, which needs more than a compiler.
if "$venv/bin/python" -c 'import DTLSSocket' 2>/dev/null ||
    timeout 300 "$venv/bin/pip" install -q --timeout 10 --retries 1 \
        DTLSSocket==0.2.3 >"$work/out" 2>&1; then
    modes="$modes coaps:psk"
else
    for direction in asks serves; do
        in_column "$peer-secured-$direction"
        printf 'coaps psk: GET, PUT, 4.04\tskipped\t%s\n' \
            "DTLSSocket cannot be built here (Debian: autoconf, automake)" >>"$results"
    done
fi
secured
