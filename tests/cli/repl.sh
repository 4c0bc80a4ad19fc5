# Bare copal on a terminal is Lua, line by line; what waits needs no coroutine.
. "$(dirname "$0")/support/lib.sh"
command -v script >/dev/null 2>&1 || exit 77
export HOME=$work TERM=dumb

# type LINES: on a terminal; what it showed is in $work/out.
type_in() {
    printf '%s\n' "$@" >"$work/typed"
    { cat "$work/typed"; sleep 1; } |
        timeout 20 script -qec "$COPAL_BIN" /dev/null >"$work/out" 2>&1
}

type_in 'print(6*7)' 'c = copal.endpoint()' \
    'c:serve("/x", function() return "hel" .. "lo" end)' \
    'c:listen "coap://127.0.0.1:0"' \
    'c:get(c:addresses()[1] .. "/x").payload .. " there"' \
    'for i = 1, 2 do' 'print("i" .. i)' 'end' \
    'nothing.x' 'get "coap://127.0.0.1:1/"' 'coap://127.0.0.1:1/'
out_has '42'
out_has 'hello there'
out_has 'i2'
out_has 'attempt to index a nil value'
[ "$(grep -c 'nothing listens' "$work/out")" = 2 ] || fail 'a refused port is told'

# Not on a terminal it is a usage error, as ever.
check 2
exit 0
