# T27: the tour by other schemes, with the program, in C, Lua and Python: only
# the URI and the credentials change. All of them are walked at once, since each
# waits for most of its time. Ends with a table; so does tests/run.sh tour.
. ./check.sh

schemes='coap+tcp coap+ws coaps coaps+tcp coaps+ws'
ways='shell C Lua Python'
python=
if [ -d "$COPAL_BUILD/python/copal" ] &&
    ! grep -q '^COPAL_SANITIZE:.*=.' "$COPAL_BUILD/CMakeCache.txt"; then
    python=$(sed -n 's/^_\{0,1\}Python3_EXECUTABLE:[A-Z]*=//p' \
        "$COPAL_BUILD/CMakeCache.txt" | head -n 1)
fi
walkers=
mkdir -p "$COPAL_BUILD/interop"
for way in $ways; do
    : >"$COPAL_BUILD/interop/tour-$way"
done

# row SCHEME WAY VERDICT NOTE
row() {
    printf '%s\t%s\t%s\n' "$1" "$3" "${4:-}" >>"$COPAL_BUILD/interop/tour-$2"
}

# walk SCHEME WAY WORDS...: its status is waited for at the end.
walk() {
    scheme=$1
    way=$2
    shift 2
    timeout 100 "$@" >"$work/walk.$scheme.$way" 2>&1 </dev/null &
    walkers="$walkers $!:$scheme:$way"
}

is_built_in() {
    "$copal" get -T 5s "$1://127.0.0.1:1/" >"$work/run.out" 2>"$work/run.err"
    ! grep -q 'is not built in' "$work/run.err"
}

# What a server of all of these schemes, and whoever asks it, has as key.
echo 0x000102030405060708090a0b0c0d0e0f >"$work/key"
for scope in '*' coaps:// coaps+tcp:// coaps+ws://; do
    is_built_in coaps || break
    "$copal" creds add "$scope" psk-id=me psk=- --creds "$work/creds.json" \
        <"$work/key" || fail "copal creds add"
done

# serve SCHEME WAY: its address is in $by, and how to be somebody there in $as.
serve() {
    set -- "$1" "$1.$2.server"
    as=
    case $1 in
    coaps*) as="--creds $work/creds.json" ;;
    esac
    start "$2" "$copal" serve --test $as --listen "$1://127.0.0.1:0"
    by=$uri
}

# Each has a server of its own, since they change what it has.
for scheme in $schemes; do
    if ! is_built_in "$scheme"; then
        for way in $ways; do
            row "$scheme" "$way" skipped "copal was built without GnuTLS"
        done
        continue
    fi
    walk "$scheme" shell sh "$COPAL_ROOT/examples/tour.sh" --by "$scheme" shell
    serve "$scheme" c
    run 4 "$copal" get $as "$by/others/separate"
    run 0 "$copal" ping $as -C 1 "$by"
    walk "$scheme" C "$examples/tour" $as "$by"
    serve "$scheme" lua
    walk "$scheme" Lua "$copal" run "$COPAL_ROOT/examples/lua/tour.lua" $as "$by"
    if [ -z "$python" ]; then
        row "$scheme" Python skipped "the Python package is not in this build"
        continue
    fi
    serve "$scheme" python
    walk "$scheme" Python env PYTHONPATH="$COPAL_BUILD/python" \
        PYTHONDONTWRITEBYTECODE=1 "$python" \
        "$COPAL_ROOT/examples/python/tour.py" $as "$by"
done

broken=
for walker in $walkers; do
    named=${walker#*:}
    scheme=${named%:*}
    way=${named#*:}
    if wait "${walker%%:*}"; then
        row "$scheme" "$way" ok
    else
        row "$scheme" "$way" FAILED
        sed "s|^|  $scheme, $way: |" "$work/walk.$scheme.$way" >&2
        broken="$broken $named"
    fi
done
for way in $ways; do # as oscore.sh and edhoc.sh found it, if they did
    for kind in OSCORE EDHOC; do
        verdict=$(sed -n "s/^$way //p" "$COPAL_BUILD/interop/walked-$kind" 2>/dev/null)
        row "$kind" "$way" "${verdict:--}"
    done
done
sh "$COPAL_ROOT/tests/interop/support/table.sh" "$COPAL_BUILD/interop" tour
[ -z "$broken" ] || fail "the tour by$broken"
