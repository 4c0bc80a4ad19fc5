# What serve and get tell when nobody asks for more: no payload and no token, of
# good messages, of bad ones and of floods of them, and no line a datagram.
. "$(dirname "$0")/support/lib.sh"
secret=sEcReT-pAyLoAd

serve --test --guard-loopback 1 --listen coap://127.0.0.1:0
port=${uri##*:}
printf %s "$secret" >"$work/secret"
check 0 put "$uri/large-update" @"$work/secret" --expect 2.04
check 0 get "$uri/large-update"
out_is "$secret"
err_is_empty
check 0 post "$uri/nothing" @"$work/secret" --expect 4.04
if grep -q "$secret" "$work/err"; then fail "the error shows what was sent"; fi

# Odd datagrams, by bash's sockets, with a token that stands out: c0ffee.
command -v bash >/dev/null || exit 77
send() {
    bash -c 'exec 3>/dev/udp/127.0.0.1/'"$port"' && printf "$1" >&3' - "$1"
}
for _ in $(seq 50); do
    send '\103\001\022\064\300\377\356\377' # nothing after the marker
    send '\163\000\022\064\300\377\356'     # RST with a token
    send '\143\105\022\064\300\377\356'     # an answer to nothing
    send '\103\002\022\064\300\377\356\261\170\377sEcReT-pAyLoAd' # 4.04
    send '\017'
done
check 0 get "$uri/large-update"
stop TERM
if grep -qi "$secret\|c0ffee" "$work/server.out" "$work/server.err"; then
    fail "the server's log shows payloads or tokens"
fi
[ "$(cat "$work/server.out" "$work/server.err" | wc -l)" -le 5 ] ||
    fail "the server's log is long"
