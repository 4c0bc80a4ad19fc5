# copal serve --guard-loopback sends little until it knows who asks; copal get
# shows it by itself, unless told what to send as Echo.
. "$(dirname "$0")/support/lib.sh"
serve --test --guard-loopback 1 --listen coap://127.0.0.1:0

check 0 get "$uri/large" -v
[ "$(wc -c <"$work/out")" -ge 1280 ] || fail "/large is small"
err_has 'block2 0/1/64'
check 0 ls "$uri"
out_has '/large'
check 0 put "$uri/large-update" @"$0" --expect 2.04
check 0 get "$uri/large-update"
cmp -s "$work/out" "$0" || fail "/large-update is another"

# An Echo of one's own is left alone, and proves nothing.
check 0 get "$uri/large" -O echo=0x0102030405060708 -v
[ "$(wc -c <"$work/out")" -ge 1280 ] || fail "/large in small blocks is small"
[ "$(grep -c '/0/64\|/1/64' "$work/err")" -gt 30 ] || fail "blocks are large"
stop TERM

serve --test --guard-loopback 1 --echo-factor 0 --listen coap://127.0.0.1:0
check 0 get "$uri/large" -v
if grep -qF '/64' "$work/err"; then fail "cut without a limit"; fi
