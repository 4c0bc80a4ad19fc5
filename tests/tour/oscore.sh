# T27: the tour by OSCORE, in C, Lua and Python: only the URI and the credentials
# change. Each has a context of its own, and all of them walk at once. Its many
# endpoints share that without a store: each makes new keys of it, appendix B.2.
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

# A server for each, since they change what it has.
serve() {
    secret=0x000102030405060708090a0b0c0d0e0f
    cat >"$work/$1.server.json" <<END
{ "*": { "oscore": { "secret": "$secret", "sender_id": "s", "recipient_id": "$1",
    "rederives": true } } }
END
    chmod 600 "$work/$1.server.json"
    start "$1.server" "$copal" serve --test --creds "$work/$1.server.json" \
        --listen coap://127.0.0.1:0
    by=$uri
    cat >"$work/$1.json" <<END
{ "$uri/": { "oscore": { "secret": "$secret", "sender_id": "$1", "recipient_id": "s",
    "rederives": true } } }
END
    chmod 600 "$work/$1.json"
}

serve c
walk c "$examples/tour" --creds "$work/c.json" "$by"
serve lua
walk lua "$copal" run "$COPAL_ROOT/examples/lua/tour.lua" --creds "$work/lua.json" "$by"
if [ -n "$python" ]; then
    serve python
    walk python env PYTHONPATH="$COPAL_BUILD/python" "$python" \
        "$COPAL_ROOT/examples/python/tour.py" --creds "$work/python.json" "$by"
fi

for walker in $walkers; do
    wait "${walker%%:*}" && continue
    cat "$work/walk.${walker#*:}" >&2
    fail "the tour by OSCORE in ${walker#*:}"
done
