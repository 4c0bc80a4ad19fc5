# copal serve --workers: each has its part of the clients, all hear of changes,
# and none is missed for long.
. "$(dirname "$0")/support/lib.sh"
python=${COPAL_PYTHON:-/usr/bin/python3}
command -v "$python" >/dev/null || { echo "skipped: no Python"; exit 77; }

echo first >"$work/value"
cat >"$work/site.lua" <<'E2'
local copal = require "copal"
local coap, folder = ...
local generation = io.open(folder .. "/generation"):read "a"
local name, puts = folder .. "/value", 0

coap:serve("/who", function() return tostring(coap.worker) end)
coap:serve("/generation", function() return generation end)
coap:serve("/die", { post = function()
  local f = io.open(folder .. "/died", "a")
  f:write(coap.worker, "\n")
  f:close()
  -- not in answer to the repeats that wait
  if io.open(folder .. "/died"):read "a" == coap.worker .. "\n" then os.exit(3) end
  return "alive"
end })
coap:serve("/v", { observable = true,
  get = function() return (io.open(name):read "l") end,
  put = function(req)
    local f = io.open(name, "w")
    f:write(req.payload, "\n")
    f:close()
    coap:notify "/v"
    return copal.CHANGED
  end })
-- What a worker alone knows: which requests it had, by the name in the payload.
local seen = {}
coap:serve("/seen", { post = function(req)
  seen[req.payload] = (seen[req.payload] or 0) + 1
  return tostring(seen[req.payload])
end })
coap:serve("/size", { put = function(req) return tostring(#req.payload) end })
coap:serve("/p/{i}", { observable = true, get = function() return "x" end })
coap:serve("/burst", { post = function()
  for i = 1, 20000 do coap:notify("/p/" .. i) end
  return "done"
end })
coap:serve("/slow", function() coap:sleep(1) return "worth the wait" end)
coap:serve("/stop", { post = function()
  coap:after(0.1, function() coap:stop() end)
  return "bye"
end })
E2
printf 1 >"$work/generation"

# ask FUNCTION WORDS...: the clients, in support/workers.py.
ask() {
    "$python" "$(dirname "$0")/support/workers.py" "$uri" "$@" >"$work/out" 2>"$work/err" ||
        fail "$*"
}

workers() {
    serve "$work/site.lua" "$work" --listen coap://127.0.0.1:0 --workers 3 "$@"
}

workers
[ "$(grep -c '^listening on' "$work/server.out")" = 1 ] || fail 'an address is told once'
[ "$(pgrep -cP "$server")" = 3 ] || fail 'three processes'

# The clients are spread, and each stays with one: repeats and blocks.
ask spread 3
ask repeats
ask blocks

# Who dies is back; the others are served all the time.
ask observers 12 second
ask death
grep -q 'ended (exit 3); started again in 0.1 s' "$work/server.err" || fail 'a death is told'
[ "$(pgrep -cP "$server")" = 3 ] || fail 'three processes again'
ask spread 3
ask observers 12 third

# One killed comes back as well, and its share of the clients.
kill -KILL "$(pgrep -P "$server" | head -n 1)"
ask spread 3
grep -q 'was ended by signal 9' "$work/server.err" || fail 'a killing is told'

# One that stands still holds nobody up, and hears the newest when it goes on.
ask standstill "$(pgrep -P "$server" | head -n 1)"
grep -q 'is slow: some notifications do not reach its observers' "$work/server.err" ||
    fail 'what is left out is told'

# HUP: each is started anew, one after the other. No request is refused or lost.
printf 2 >"$work/generation"
ask renewal "$server"
grep -q 'each was started anew' "$work/server.err" || fail 'the end of it is told'
ask generation 2

# One that does not load does not take a place.
echo 'syntax error' >>"$work/site.lua"
kill -HUP "$server"
for _ in $(seq 100); do
    grep -q 'the old ones go on' "$work/server.err" && break
    sleep 0.1
done
grep -q 'the old ones go on' "$work/server.err" || fail 'a file that does not load is told'
ask spread 3
sed -i '$d' "$work/site.lua"

# TERM: observers hear of it, what is owed is answered.
ask farewell "$server"
wait "$server"
stopped=$?
server=
[ "$stopped" = 0 ] || fail "ends with $stopped"

# A script's stop() ends all; so does an interrupt.
workers
check 0 post "$uri/stop"
wait "$server" || fail "stopped, ends with $?"
server=
workers
stop INT
[ "$stopped" = 0 ] || fail "interrupted, ends with $stopped"

# Nobody is left behind when who looks after them is killed.
workers
pids=$(pgrep -P "$server")
stop KILL
for _ in $(seq 50); do
    kill -0 $pids 2>/dev/null || break
    sleep 0.1
done
kill -0 $pids 2>/dev/null && fail 'orphans'

# A port that another has, a script that fails: nothing begins.
serve --test --listen coap://127.0.0.1:0
check 1 serve --test --workers 2 --listen "$uri"
err_has 'another program listens there'
out_is_empty
stop TERM
check 2 serve --workers 0 --test
err_has 'from 1 to'
echo 'error "no such luck"' >"$work/bad.lua"
check 1 serve "$work/bad.lua" --workers 2 --listen coap://127.0.0.1:0
err_has 'no such luck'

# The first one alone answers to groups.
cat >"$work/group.lua" <<'E2'
local coap = ...
coap:serve("/who", { group = true, rt = "worker", get = function() return tostring(coap.worker) end })
assert(coap:listen "coap://*:0")
assert(coap:join("coap://224.0.1.187" .. coap:addresses()[1]:match ":%d+$", "lo"))
E2
serve "$work/group.lua" --workers 3 --leisure 0
group=coap://224.0.1.187:${uri##*:}
for _ in 1 2; do # once more when it was started anew
    "$COPAL_BIN" find lo --group "$group" --wait 1s --json -q >"$work/out" 2>"$work/err"
    status=$?
    [ $status = 3 ] || [ $status = 7 ] && break # no multicast on lo
    [ "$(grep -c '"event":"found"' "$work/out")" = 1 ] || fail 'one answers to the group'
    "$COPAL_BIN" get --non -i lo "$group/who" -T 1s >"$work/out" 2>"$work/err"
    [ "$(sed 's/.* //' "$work/out" | tr -d '\n')" = 1 ] || fail 'the first one does'
    kill -HUP "$server"
    for _ in $(seq 100); do
        grep -q 'each was started anew' "$work/server.err" && break
        sleep 0.1
    done
done
stop TERM

# The examples: processes in Lua, threads in C.
root=${COPAL_ROOT:-.}
build=${COPAL_BUILD:-build}
serve "$root/examples/lua/workers.lua" "$work/note" --workers 3 --listen coap://127.0.0.1:0
ask note
stop TERM
if [ -x "$build/examples/workers" ]; then
    "$build/examples/workers" 3 coap://127.0.0.1:0 2>"$work/server.err" &
    server=$!
    for _ in $(seq 100); do
        uri=$(sed -n 's/^listening on //p' "$work/server.err")
        [ -n "$uri" ] && break
        sleep 0.1
    done
    ask note
    stop TERM
    [ "$stopped" = 0 ] || fail "the C example ends with $stopped"
fi

# A page of counters each; the file is read again by each.
workers --reload --metrics 127.0.0.1:0
[ "$(grep -c '^metrics of worker [123] at http://127.0.0.1:' "$work/server.out")" = 3 ] ||
    fail 'three pages'
printf 3 >"$work/generation"
touch "$work/site.lua"
for _ in $(seq 100); do
    [ "$(grep -c 'loaded again' "$work/server.err")" = 3 ] && break
    sleep 0.1
done
ask generation 3
stop TERM
[ "$stopped" = 0 ] || fail "ends with $stopped"
