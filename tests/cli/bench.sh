# copal bench: what it counts adds up, what it measures is there, and who asks
# for nonsense is told.
. "$(dirname "$0")/support/lib.sh"

cat >"$work/json.lua" <<'E2'
local json = require "copal.json"
local last
for line in io.lines(arg[1]) do last = assert(json.decode(line)) end
s, l = last, last.latency
function sum(t)
  return t.ok + t.client_errors + t.server_errors + t.timeouts + t.resets
    + t.failed + t.unanswered
end
function bars(latency)
  local n = 0
  for _, bar in ipairs(latency.bars) do n = n + bar.count end
  return n
end
if not assert(load("return " .. arg[2]))() then os.exit(1) end
E2

# holds EXPRESSION: of the last line of stdout, s, and its latency, l.
holds() {
    "$COPAL_BIN" run "$work/json.lua" "$work/out" "$1" || fail "not so: $1"
}

# behind WORDS...: copal WORDS, beside the test; end STATUS waits for it.
behind() {
    "$COPAL_BIN" "$@" >"$work/out" 2>"$work/err" </dev/null &
    asked=$!
}

end() {
    wait $asked
    got=$?
    [ $got = "$1" ] || fail "copal bench ended with $got, wanted $1"
}

# ---- Bad input ---------------------------------------------------------------

check 2 bench
err_has 'wants a URI'
check 2 bench localhost/x
check 2 bench 'coap://127.0.0.1:99999/'
# Its sources have no keys: what was to be protected must not go in clear.
check 2 bench --creds "$work/none" coap://127.0.0.1/
err_has 'unknown flag --creds'
check 2 bench http://127.0.0.1/
check 2 bench coap://224.0.1.187/
err_has 'a group'
for words in '-R 0' '-R fast' '-R 99999999' '-W 0' '-W 9999999' '-E 0' \
    '-E 99999' '-n 0' '-n x' '-d soon' '-d 0' '--interval 1ms' '-X 2.05' \
    '-X nonsense' '-p x' '-X get -p x' '--size 5' '--transfer --size x' \
    '--transfer --size 0' '--transfer -X get --size 5' '--observe --transfer' \
    '--observe -R 5' '--observe -X put' '--transfer -s x.lua' '-s /none.lua' \
    '--nstart 0' '-a no/such' '-C 5'; do
    check 2 bench $words coap://127.0.0.1:1/
    out_is_empty
done

# ---- Nobody is there ---------------------------------------------------------

began=$(date +%s)
check 8 bench coap://127.0.0.1:1/
[ $(($(date +%s) - began)) -le 2 ] || fail "a refused port took long"
err_has '127.0.0.1:1'
check 3 bench coap://no-label-of-a-name-in-the-dns-is-longer-than-sixty-three-characters/
check 7 bench --json -n 5 -T 300ms --ignore-icmp coap://127.0.0.1:1/
holds 's.timeouts == 5 and s.sent == 5 and l.count == 0'
check 7 bench --json -d 100ms --grace 100ms -W 7 --ignore-icmp coap://127.0.0.1:1/
holds 's.unanswered == 7 and s.sent == 7'

# ---- A window of requests ----------------------------------------------------

serve --test --listen coap://127.0.0.1:0
for how in '-W 16' '-N -W 16' '-W 1 -E 3' '-W 40 -E 1' '--nstart 1 -W 20 -E 2'; do
    check 0 bench --json -n 900 $how "$uri/test"
    err_is_empty
    holds 's.event == "summary" and s.mode == "requests" and s.sent == 900'
    holds 's.ok == 900 and sum(s) == s.sent and l.count == 900'
    holds 'bars(l) == l.count and l.min <= l.p50 and l.p50 <= l.p90'
    holds 'l.p90 <= l.p99 and l.p99 <= l.p99_9 and l.p99_9 <= l.max'
    holds 's.bytes_in > s.bytes_out and s.datagrams_out >= 900'
done
check 0 bench -d 300ms --interval 100ms "$uri/test"
out_has 'retransmitted'
out_has '64 source endpoints'
out_has 'latency  p50'
[ "$(grep -c 'outstanding' "$work/out")" -ge 2 ] || fail "no line an interval"
check 0 bench --json -d 300ms --interval 100ms "$uri/test"
[ "$(grep -c '"event":"interval"' "$work/out")" -ge 2 ] || fail "no line an interval"
holds 's.elapsed > 0.25 and s.elapsed < 2 and sum(s) == s.sent'

# Methods, payloads, options; a status for what is not 2.xx.
check 0 bench -n 20 -X put -t text -p 'by bench' "$uri/other/block"
check 0 get "$uri/other/block"
out_is 'by bench'
check 0 bench -n 20 -X post "$uri/test"
check 0 bench -n 20 "$uri/query" first==1
check 4 bench --json -n 20 "$uri/nothing-here"
holds 's.client_errors == 20 and sum(s) == 20 and l.count == 20'
check 4 bench -n 20 -X 0.30 "$uri/test"
check 0 bench --json -n 4 -W 4 -T 9s "$uri/separate"
holds 'l.p50 > 900 and l.max < 9000'

# Answers that come when nobody waits any more.
check 7 bench --json -d 1300ms --grace 1s -T 500ms -W 4 "$uri/separate"
holds 's.timeouts == s.sent and s.late >= 4 and s.strays == 0'

# ---- At a rate ---------------------------------------------------------------

check 0 bench --json -R 200 -d 500ms "$uri/test"
holds 's.target_rate == 200 and s.sent + s.unsent == 100 and sum(s) == s.sent'
check 0 bench --json -R 1000 -n 50 "$uri/test"
holds 's.sent == 50 and s.unsent == 0 and s.elapsed >= 0.049'

# A server that stands still for 1.2 s: everybody who would have asked meanwhile
# waits, 120 of 400. One after another, a single one does. On a busy machine it
# may begin to stand still much later.
pause() {
    sleep 0.3
    kill -STOP "$server"
    sleep 1.2
    kill -CONT "$server"
}
behind bench --json -R 100 -d 4s "$uri/test"
pause
end 0
holds 'l.max >= 1000 and l.p90 >= 400 and l.p50 < 1000 and s.sent + s.unsent == 400'
behind bench --json -W 1 -d 4s "$uri/test"
pause
end 0
holds 'l.max >= 1000 and l.p90 < 100'

# The window is full meanwhile: they begin late, and count from when they were
# due all the same.
behind bench --json -R 100 -W 2 -d 4s "$uri/test"
pause
end 0
holds 'l.max >= 1000 and l.p90 >= 400 and s.delayed >= 80 and sum(s) == s.sent'

# ---- Interrupted; message ids --------------------------------------------------

behind bench --json -R 2000 -d 60s -E 1 "$uri/test"
sleep 0.5
kill -INT $asked
end 130
holds 's.interrupted and sum(s) == s.sent and s.sent > 0 and s.elapsed < 5'
err_has 'message ids will repeat within 247 s'
err_has '-E 8 would do'
check 0 bench -R 500 -n 100 -E 2 "$uri/test"
err_is_empty

# ---- Bodies --------------------------------------------------------------------

check 0 bench --json --transfer -n 8 -W 2 --size 5000 "$uri/large-update"
holds 's.transfer.up.transfers == 4 and s.transfer.up.bytes == 4 * 5000'
holds 's.transfer.down.transfers == 4 and s.transfer.up.blocks >= 20'
holds 's.transfer.down.bytes == 4 * 5000 and s.transfer.down.blocks == 20'
holds 's.latency == nil and s.transfer.up.latency.count == 4 and sum(s) == 8'
check 0 get "$uri/large-update"
[ "$(wc -c <"$work/out")" = 5000 ] || fail "the body that went up is another"
head -c 3000 /dev/zero >"$work/zero"
check 0 bench --transfer -X put -n 2 "$uri/large-update" @"$work/zero"
out_has 'blocks/s'
check 0 get -o "$work/back" "$uri/large-update"
cmp -s "$work/zero" "$work/back" || fail "the file that went up is another"
check 0 bench --json --transfer -X get -n 3 --block-size 64 "$uri/large-update"
holds 's.transfer.up == nil and s.transfer.down.blocks == 3 * 47'

# ---- Hooks ---------------------------------------------------------------------

cat >"$work/load.lua" <<'E2'
local heard, kinds, base = 0, {}, nil
return {
  init = function(run) base = run.uri; assert(run.window == 5 and run.number == nil) end,
  request = function(i)
    if i > 60 then return false end
    if i % 4 == 1 then return "put", "/other/block", "n" .. i, { format = "text" } end
    if i % 4 == 2 then return "get", nil, nil, { non = true, query = { "a=1" } } end
    if i % 4 == 3 then return "get", base:match "^coap://[^/]*" .. "/nothing" end
  end,
  response = function(res, ms, err)
    assert(ms > 0 and err == nil)
    heard = heard + 1
    kinds[res.code.dotted] = (kinds[res.code.dotted] or 0) + 1
  end,
  done = function(s)
    print("heard", heard, s.sent, s.ok, kinds["2.04"], kinds["2.05"], kinds["4.04"])
    return s.client_errors == 15 and 0 or 1
  end,
}
E2
check 0 bench -s "$work/load.lua" -W 5 "$uri/test"
out_has "$(printf 'heard\t60\t60\t45\t15\t30\t15')"
# An endpoint counts whole milliseconds, the hook is told of parts: one is between.
cat >"$work/lost.lua" <<'E2'
return { response = function(res, ms, err) print(res, err.name, ms >= 199) end }
E2
check 7 bench -T 200ms -n 1 --ignore-icmp -s "$work/lost.lua" coap://127.0.0.1:1/
out_has "$(printf 'nil\tETIMEOUT\ttrue')"
hooks() { # STATUS TEXT: of a script with that in it
    printf '%s\n' "$2" >"$work/hooks.lua"
    check "$1" bench -n 20 -s "$work/hooks.lua" "$uri/test"
}
hooks 1 'return { request = function() error "thrown" end }'
err_has 'hooks.lua:1: thrown'
[ "$(grep -c 'stack traceback' "$work/err")" = 1 ] || fail "not one traceback"
hooks 1 'return { response = function() error "thrown" end }'
hooks 1 'return { done = function() error "thrown" end }'
hooks 1 'return { request = function() return "get", "no-slash" end }'
err_has "write /no-slash"
hooks 1 'return { request = function() return "nonsense" end }'
err_has 'nonsense is no method'
hooks 2 'return { reqest = function() end }'
err_has "no hook is called 'reqest'"
hooks 2 'return { done = 5 }'
hooks 2 'print "nothing"'
hooks 2 'return {'
hooks 9 'return { done = function(s) return s.latency.p99 < 0, "too slow" end }'
err_has 'too slow'
hooks 42 'return { done = function() return 42 end }'
hooks 1 'return { done = function() return 256 end }'
hooks 0 'return {}'
stop TERM

# ---- Notifications -------------------------------------------------------------

cat >"$work/site.lua" <<'E2'
local coap = ...
local n = 0
coap:serve("/count", { observable = true, get = function() return "n " .. n end })
coap:serve("/time", { observable = true, get = function()
  return ('{"n":%d,"t":%.3f}'):format(n, os.time() - 2)
end })
coap:serve("/once", function() return "x" end)
coap:every(0.05, function()
  n = n + 1
  coap:notify "/count"
  coap:notify "/time"
end)
E2
serve "$work/site.lua" --listen coap://127.0.0.1:0
check 0 bench --json --observe -W 70 -E 3 -d 1s "$uri/count"
holds 's.mode == "observe" and s.ok == 70 and s.sent == 70 and sum(s) == 70'
holds 's.observe.notifications >= 70 and s.observe.rate > 50 and l.count == 0'
check 0 bench --json --observe -W 4 -n 20 -N "$uri/time"
holds 's.observe.notifications >= 20 and l.count >= 20 and l.min >= 2000'
holds 'l.max < 20000 and s.elapsed < 10'
check 0 bench --observe -W 2 -d 300ms --interval 100ms "$uri/time"
out_has 'notifications'
out_has 'from the time in the payload'
check 8 bench --observe -W 2 "$uri/once"
err_has 'cannot be observed'
check 4 bench --observe -W 2 -d 200ms "$uri/nothing"
stop TERM

# ---- Faster than a script can answer -------------------------------------------

peer=$COPAL_BUILD/tests/bench/peer
if [ -x "$peer" ]; then
    "$peer" serve >"$work/server.out" &
    server=$!
    for _ in $(seq 50); do
        grep -q '^listening' "$work/server.out" && break
        sleep 0.1
    done
    uri=$(sed -n 's/^listening on //p' "$work/server.out")
    check 0 bench --json -n 66000 -E 1 -W 32 "$uri/hello"
    holds 's.reused_ids and s.endpoints_needed > 1'
    err_has 'message ids repeat, from now on'
    err_has ' would do'
    check 0 bench --json -n 3000 -W 32 "$uri/hello"
    holds 'not s.reused_ids'
fi
exit 0
