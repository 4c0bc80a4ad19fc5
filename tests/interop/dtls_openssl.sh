# A server of coaps and OpenSSL's own client, suite by suite.
needs=openssl
. "$(dirname "$0")/check.sh"

here=$(dirname "$0")
key=0123456789abcdef
needs_tls
hex=30313233343536373839616263646566

serve() {
    : >"$work/server" # not what the one before said
    timeout $limit "$COPAL_BIN" run "$here/support/dtls.lua" \
        serve coaps://127.0.0.1:0 psk dev1 $key >"$work/server" 2>"$work/err" &
    pids="$pids $!"
    within 10 grep -q 'listening on' "$work/server" || fail "the server does not start"
    uri=$(sed -n 's/listening on //p' "$work/server")
}

# Its input stays open, since it leaves at the end of it.
mkfifo "$work/in"

shakes_hands() {
    serve
    timeout 30 openssl s_client -dtls1_2 -cipher "$1@SECLEVEL=0" \
        -connect "${uri#coaps://}" -psk_identity dev1 -psk $hex \
        <>"$work/in" >"$work/out" 2>&1 &
    pids="$pids $!"
    within 20 grep -q "Cipher is $1\$" "$work/out" || fail "no handshake"
    within 5 grep -q 'Extended master secret: yes' "$work/out" ||
        fail "without extended master secret"
}

for suite in PSK-AES128-CCM8 PSK-AES128-CCM PSK-AES128-GCM-SHA256 \
    PSK-AES256-GCM-SHA384 PSK-CHACHA20-POLY1305 ECDHE-PSK-CHACHA20-POLY1305; do
    behaviour "$suite" "shakes_hands $suite"
done
finish
