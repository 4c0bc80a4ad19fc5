# copal serve --reload: handlers change with their file, observers stay.
. "$(dirname "$0")/support/lib.sh"

version() {
    cat >"$work/site.lua.new" <<E2
local coap = ...
coap:serve("/v", { observable = true, get = function() return "version $1" end })
coap:serve("/only$1", function() return "x" end)
coap:every(0.1, function() end)
E2
    mv "$work/site.lua.new" "$work/site.lua"
}

version 1
serve --reload --listen coap://127.0.0.1:0 "$work/site.lua"
check 0 get "$uri/v"
out_is 'version 1'
"$COPAL_BIN" observe -C 2 -W 10s "$uri/v" >"$work/notes" &
notes=$!
sleep 0.3
version 2
wait $notes
printf 'version 1\nversion 2\n' | cmp -s - "$work/notes" || fail 'the observer is told'
check 0 get "$uri/v"
out_is 'version 2'
check 0 get "$uri/only2"
check 4 get "$uri/only1"

# One that does not load changes nothing.
echo 'syntax error' >"$work/site.lua"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    grep -q 'site.lua:1' "$work/server.err" && break
    sleep 0.2
done
grep -q 'site.lua:1' "$work/server.err" || fail 'a syntax error is told'
check 0 get "$uri/v"
out_is 'version 2'
version 3
for _ in 1 2 3 4 5 6 7 8 9 10; do
    "$COPAL_BIN" get "$uri/v" >"$work/out" 2>&1
    grep -q 'version 3' "$work/out" && break
    sleep 0.2
done
out_is 'version 3'
stop TERM
[ "$stopped" = 0 ] || fail "ends with $stopped"
