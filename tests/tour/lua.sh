# T8 to T26 and T28 of the guided tour, in Lua: under copal run and in each
# plain interpreter that is there, all at once, each with a server of its own.
. "$(dirname "$0")/check.sh"

has_ipv6() {
    grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null
}

# tour NAME WORDS...: what runs a script; sets $pid.
tour() {
    name=$1
    shift
    set -- "$@" "$COPAL_ROOT/examples/lua/tour.lua"
    if has_ipv6; then
        start "$name" "$copal" serve --test --listen coap://127.0.0.1:0 \
            --listen 'coap://[::1]:0'
        set -- "$@" $(sed -n 's/^listening on //p' "$work/$name.out")
    else
        start "$name" "$copal" serve --test --listen coap://127.0.0.1:0
        set -- "$@" "$uri"
    fi
    timeout 100 "$@" >"$work/$name.tour" 2>&1 &
    running="$running $name:$!"
}

# plain INTERPRETER VERSION: one that loads the module built for VERSION.
plain() {
    if ! command -v "$1" >/dev/null; then
        echo "$1: skipped, it is not here; examples/setup.sh installs it"
    elif [ ! -f "$COPAL_BUILD/lua/$2/copal_core.so" ]; then
        echo "$1: skipped, no module for Lua $2; its headers were not there"
    elif grep -q '^COPAL_SANITIZE:.*=.' "$COPAL_BUILD/CMakeCache.txt"; then
        echo "$1: skipped, the sanitizers' runtime would have to be in it"
    else
        tour "$1" env "LUA_PATH=$COPAL_ROOT/lua/?.lua;;" \
            "LUA_CPATH=$COPAL_BUILD/lua/$2/?.so;;" "$1"
    fi
}

running=
broken=0
tour copal "$copal" run
plain lua5.4 5.4
plain lua5.3 5.3
plain luajit 5.1

for one in $running; do
    name=${one%:*}
    wait "${one#*:}"
    status=$?
    sed "s/^/$name: /" "$work/$name.tour"
    if [ $status -ne 0 ]; then
        echo "not ok: the tour in $name, exit $status" >&2
        broken=1
    fi
done
exit $broken
