# CoAP over TCP and WebSocket beside libcoap and aiocoap: the same requests by the
# same client, copal bench, to the server of each in turns. Ratios, for a reading
# means nothing but beside the others of its run. Run by name only: sh
# tests/run.sh stream_speed.
#
# COPAL_BENCH=N: requests a reading (10000); aiocoap gets a tenth. Each is the
# best of three.
needs=
. "$(dirname "$0")/../interop/check.sh"
. "$(dirname "$0")/../interop/support/aiocoap.sh"
here=$(cd "$(dirname "$0")" && pwd)
peer=$COPAL_BUILD/tests/bench/peer
count=${COPAL_BENCH:-10000}
[ -x "$peer" ] || skip "no $peer"
[ -r /proc/self/schedstat ] || skip "no /proc/self/schedstat here"

# serving TABLE NAME PROCESS URI COUNT
serving() {
    table=$1
    shift
    printf '%s\t%s\t%s\t%s\n' "$@" >>"$work/$table"
}

serve_copal() { # SCHEME TABLE
    "$peer" serve 0 "$1" >"$work/$2.out" 2>&1 </dev/null &
    pids="$pids $!"
    within 10 grep -q '^listening' "$work/$2.out" || {
        echo "copal, $1: skipped: $(head -n 1 "$work/$2.out")"
        return
    }
    serving "$2" copal $! "$(sed -n 's/^listening on //p' "$work/$2.out")/hello" "$count"
}

serve_libcoap() {
    server=$(command -v coap-server-notls) || {
        echo "libcoap: skipped: no coap-server-notls (Debian: libcoap3-bin)"
        return
    }
    port=$("$COPAL_BIN" run "$COPAL_ROOT/tests/interop/support/free_port.lua")
    "$server" -A 127.0.0.1 -p "$port" >"$work/libcoap.out" 2>&1 </dev/null &
    pids="$pids $!"
    process=$!
    within 10 "$COPAL_BIN" get -T 2s "coap+tcp://127.0.0.1:$port/" || {
        echo "libcoap: skipped: its server does not answer"
        return
    }
    serving tcp libcoap $process "coap+tcp://127.0.0.1:$port/" "$count"
}

serve_aiocoap() {
    port=$("$COPAL_BIN" run "$COPAL_ROOT/tests/interop/support/free_port.lua")
    [ "$port" -lt 62000 ] || port=$((port - 4000))
    "$venv/bin/python" "$COPAL_ROOT/tests/interop/support/aiocoap_streams.py" \
        "$port" >"$work/aiocoap.out" 2>&1 </dev/null &
    pids="$pids $!"
    within 10 grep -q ready "$work/aiocoap.out" || {
        echo "aiocoap: skipped: $(tail -n 1 "$work/aiocoap.out")"
        return
    }
    serving tcp aiocoap $! "coap+tcp://127.0.0.1:$port/hello" $((count / 10))
    serving ws aiocoap $! "coap+ws://127.0.0.1:$((port + 3000))/hello" $((count / 10))
}

# load TABLE NAME PROCESS URI COUNT: CPU time of the server, and the rate.
load() {
    before=$(cut -d ' ' -f 1 "/proc/$3/schedstat")
    timeout 100 "$COPAL_BIN" bench --json -W 16 -E 4 -n "$5" "$4" \
        >"$work/out" 2>"$work/err" </dev/null || fail "$2 $1: exit $?"
    after=$(cut -d ' ' -f 1 "/proc/$3/schedstat")
    rate=$(sed -n 's/.*"rate":\([0-9.]*\).*/\1/p' "$work/out")
    awk -v name="$2" -v ns=$((after - before)) -v n="$5" -v rate="$rate" \
        'BEGIN { printf "%s\t%.3f\t%s\n", name, ns / n / 1000, rate }' \
        >>"$work/$1.read"
}

# report TABLE TITLE: how often copal's CPU time, and copal's rate by theirs.
report() {
    [ -s "$work/$1.read" ] || return
    echo "$2, 16 requests at a time by 4 connections:"
    echo "                    CPU time of a request, copal's = 1      requests/s, copal's by its"
    awk -F '\t' '
        !($1 in us) { name[++rows] = $1; us[$1] = $2; rate[$1] = $3 }
        $2 < us[$1] { us[$1] = $2 }
        $3 > rate[$1] { rate[$1] = $3 }
        END {
            for (i = 1; i <= rows; i++)
                printf "  %-16s %8.2f us %7.2f %18d %8.2f\n", name[i],
                    us[name[i]], us[name[i]] / us[name[1]], rate[name[i]],
                    rate[name[1]] / rate[name[i]]
        }' "$work/$1.read"
}

no_aiocoap() {
    echo "aiocoap: skipped: $1"
    without_aiocoap=yes
}
without_aiocoap=
serve_copal coap+tcp tcp
serve_copal coap+ws ws
serve_libcoap
install_aiocoap no_aiocoap
[ -n "$without_aiocoap" ] || serve_aiocoap

tab=$(printf '\t')
for _ in 1 2 3; do
    for table in tcp ws; do
        [ -s "$work/$table" ] || continue
        while IFS=$tab read -r name process where number; do
            load $table "$name" "$process" "$where" "$number"
        done <"$work/$table"
    done
done
report tcp "CoAP over TCP"
report ws "CoAP over WebSocket"
