# T27: the tour in C, Lua and Python with messages protected end to end: only the
# URI and the credentials change. All of them walk at once, each with a server and
# keys of its own, since they change what the server has. Shared by oscore.sh and
# edhoc.sh, which say how keys are given: give_server NAME writes
# $work/NAME.server.json, give_client NAME then $work/NAME.json for $uri.
. ./check.sh

"$copal" get --creds "$work/none" coap://127.0.0.1:1/ >"$work/probe" 2>&1
if grep -q 'without GnuTLS' "$work/probe"; then
    echo "skipped: built without GnuTLS"
    exit 77
fi
python=
if [ -d "$COPAL_BUILD/python/copal" ]; then
    python=$(sed -n 's/^_\{0,1\}Python3_EXECUTABLE:[A-Z]*=//p' \
        "$COPAL_BUILD/CMakeCache.txt" | head -n 1)
fi
walkers=

# walk NAME WORDS...
walk() {
    name=$1
    shift
    "$@" >"$work/walk.$name" 2>&1 </dev/null &
    walkers="$walkers $!:$name"
}

# serve NAME: its address is in $by, who we are there in $work/NAME.json.
serve() {
    give_server "$1"
    start "$1.server" "$copal" serve --test --creds "$work/$1.server.json" \
        --listen coap://127.0.0.1:0
    by=$uri
    give_client "$1"
}

# tour WHAT: schemes.sh has its row in the table.
tour() {
    rows=$COPAL_BUILD/interop/walked-$1
    mkdir -p "$COPAL_BUILD/interop"
    : >"$rows"
    serve C
    walk C "$examples/tour" --creds "$work/C.json" "$by"
    serve Lua
    walk Lua "$copal" run "$COPAL_ROOT/examples/lua/tour.lua" \
        --creds "$work/Lua.json" "$by"
    if [ -n "$python" ]; then
        serve Python
        walk Python env PYTHONPATH="$COPAL_BUILD/python" \
            PYTHONDONTWRITEBYTECODE=1 "$python" \
            "$COPAL_ROOT/examples/python/tour.py" --creds "$work/Python.json" "$by"
    fi
    broken=
    for walker in $walkers; do
        way=${walker#*:}
        if wait "${walker%%:*}"; then
            echo "$way ok" >>"$rows"
        else
            echo "$way FAILED" >>"$rows"
            sed "s|^|  $way: |" "$work/walk.$way" >&2
            broken="$broken $way"
        fi
    done
    [ -z "$broken" ] || fail "the tour by $1 in$broken"
}

# identities [PREFIX]: whom each of them was told at /whoami to be; its own name
# where no prefix is given.
identities() {
    for walker in $walkers; do
        way=${walker#*:}
        grep -q "identity: *${1:-$way\$}" "$work/walk.$way" ||
            fail "$way was not known at /whoami"
    done
}
