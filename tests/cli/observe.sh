# observe and watch: values on stdout, all else on stderr.
. "$(dirname "$0")/support/lib.sh"

cat >"$work/site.lua" <<'E2'
local coap = ...
local n = 0
coap:serve("/n", { observable = true,
  get = function() return { payload = tostring(n), max_age = 2 } end })
coap:serve("/observers", function() return tostring(coap:stats().observers) end)
coap:serve("/plain", function() return "plain" end)
coap:every(0.1, function()
  n = n + 1
  coap:notify "/n"
end)
E2
serve "$work/site.lua" --listen coap://127.0.0.1:0

check 0 observe -C 3 "$uri/n"
[ "$(wc -l <"$work/out")" = 3 ] || fail "observe -C 3 gives other than 3 lines"
err_is_empty
check 0 observe -C 2 --json "$uri/n"
out_has '"event":"value"'
out_has '"observe":'
check 0 observe -W 500ms "$uri/n"
[ "$(wc -l <"$work/out")" -ge 3 ] || fail "observe -W 500ms saw too little"
check 4 observe "$uri/none"
err_has '4.04'

check 0 watch -C 3 "$uri/n"
[ "$(wc -l <"$work/out")" = 3 ] || fail "watch -C 3 gives other than 3 lines"
check 0 watch -C 4 "$uri/n" "$uri/n?x"
out_has "$uri/n?x  "
check 0 watch -C 1 -F '%p at %u' "$uri/n"
out_has "at $uri/n"

# Nothing heard at all is a timeout, also where it goes on trying.
check 7 watch --json -W 300ms --ignore-icmp coap://127.0.0.1:1/n
out_has '"error":"ETIMEOUT"'
check 7 observe -W 300ms --ignore-icmp coap://127.0.0.1:1/n
err_has 'no value in the time of -W'

# Interrupted: 130, and nobody observes any more.
"$COPAL_BIN" watch "$uri/n" >"$work/out" 2>"$work/err" &
watcher=$!
sleep 0.6
kill -TERM $watcher
wait $watcher
[ $? = 130 ] || fail "an interrupted watch does not exit with 130"

# A server that goes away: silence is told on stderr.
"$COPAL_BIN" watch --silence 500ms --ack-timeout 100ms --max-retransmit 1 \
    -W 4s "$uri/n" >"$work/out" 2>"$work/err" &
watcher=$!
sleep 0.6
stop TERM
wait $watcher
err_has 'silent'

# Killed and begun anew at the same port: told on stderr, and heard again.
serve "$work/site.lua" --listen coap://127.0.0.1:0
"$COPAL_BIN" watch --silence 1s "$uri/n" >"$work/out" 2>"$work/err" &
watcher=$!
await() {
    for _ in $(seq 100); do
        grep -q "$2" "$work/$1" && return
        sleep 0.1
    done
    kill -TERM $watcher
    fail "no '$2' within 10 s in $1"
}
await out '[0-9]'
stop KILL
await err 'silent'
serve "$work/site.lua" --listen "$uri"
await err 'heard again'
before=$(wc -l <"$work/out")
for _ in $(seq 100); do
    [ "$(wc -l <"$work/out")" -gt "$before" ] && break
    sleep 0.1
done
[ "$(wc -l <"$work/out")" -gt "$before" ] || fail "nothing heard after 'heard again'"

# Ctrl-C takes leave of the server: nobody observes any more.
kill -INT $watcher
wait $watcher
[ $? = 130 ] || fail "a watch that was interrupted does not exit with 130"
check 0 get "$uri/observers"
grep -qx 0 "$work/out" || fail "the server still has its observer"
