# T27: the tour by other schemes, in C, Lua and Python: only the URI changes. All
# of them are walked at once, since each waits for most of its time.
. ./check.sh

python=
if [ -d "$COPAL_BUILD/python/copal" ]; then
    python=$(sed -n 's/^_\{0,1\}Python3_EXECUTABLE:[A-Z]*=//p' \
        "$COPAL_BUILD/CMakeCache.txt" | head -n 1)
fi
walkers=

# walk NAME WORDS...: its status is waited for at the end.
walk() {
    name=$1
    shift
    "$@" >"$work/walk.$name" 2>&1 </dev/null &
    walkers="$walkers $!:$name"
}

# serve SCHEME NAME: its address is in $by.
serve() {
    start "$2" "$copal" serve --test --listen "$1://127.0.0.1:0" \
        --listen coap://127.0.0.1:0
    by=$(sed -n "s|^listening on \($1:.*\)|\1|p" "$work/$2.out" "$work/$2.err")
    [ -n "$by" ] || fail "$1 is not listened to"
}

# Each has a server of its own, since they change what it has.
for scheme in coap+tcp coap+ws; do
    serve "$scheme" "$scheme.c.server"
    run 0 "$copal" get "$by/time"
    run 0 "$copal" ping -C 1 "$by"
    run 4 "$copal" get "$by/others/separate"
    walk "$scheme.c" "$examples/tour" "$by"
    serve "$scheme" "$scheme.lua.server"
    walk "$scheme.lua" "$copal" run "$COPAL_ROOT/examples/lua/tour.lua" "$by"
    [ -n "$python" ] || continue
    serve "$scheme" "$scheme.python.server"
    walk "$scheme.python" \
        env PYTHONPATH="$COPAL_BUILD/python" "$python" \
        "$COPAL_ROOT/examples/python/tour.py" "$by"
done

for walker in $walkers; do
    wait "${walker%%:*}" && continue
    cat "$work/walk.${walker#*:}" >&2
    fail "the tour by ${walker#*:}"
done
