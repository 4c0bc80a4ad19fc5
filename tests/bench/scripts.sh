# What a request and a handler cost in C, Lua and Python: CPU time, by copal's
# own programs over loopback, so that a reading means nothing but beside the
# others of its run. Run by name only: sh tests/run.sh bench.
#
# COPAL_BENCH=N: requests a reading (20000). Each is the least of five, taken in
# turns, so that what else the machine does meets all of them.
root=${COPAL_ROOT:-$(dirname "$0")/../..}
build=${COPAL_BUILD:-$root/build}
copal=${COPAL_BIN:-$build/copal}
python=${COPAL_PYTHON:-/usr/bin/python3}
support=$root/tests/bench/support
peer=$build/tests/bench/peer
count=${COPAL_BENCH:-20000}
rounds='1 2 3 4 5'
export PYTHONPATH="$build/python" PYTHONDONTWRITEBYTECODE=1

[ -x "$peer" ] || {
    echo "skipped: no $peer"
    exit 77
}
[ -r /proc/self/schedstat ] || {
    echo "skipped: no /proc/self/schedstat here"
    exit 77
}

work=$(mktemp -d) || exit 1
servers=
trap 'kill $servers 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

die() {
    echo "$*"
    cat "$work/err" 2>/dev/null
    exit 1
}

# start COMMAND...: a server; $uri is where, $server its process.
start() {
    : >"$work/out"
    "$@" >"$work/out" 2>"$work/err" </dev/null &
    server=$!
    servers="$servers $server"
    for _ in $(seq 100); do
        grep -q '^listening on ' "$work/out" && break
        sleep 0.05
    done
    uri=$(sed -n 's/^listening on //p' "$work/out")/hello
    [ "$uri" != /hello ] || die "$* does not listen"
}

# spent PROCESS: nanoseconds of CPU that it has had.
spent() {
    cut -d ' ' -f 1 "/proc/$1/schedstat"
}

# table FILE: of lines "NAME<tab>MICROSECONDS", the least of each name. The
# first row is what the others are compared with.
table() {
    awk -F '\t' '
        !($1 in least) { name[++rows] = $1; least[$1] = $2 }
        $2 < least[$1] { least[$1] = $2 }
        END {
            for (i = 1; i <= rows; i++)
                printf "  %-22s %8.2f us %7.2f\n", name[i], least[name[i]],
                    least[name[i]] / least[name[1]]
        }' "$1"
}

has_python=no
"$python" -c 'import copal' 2>/dev/null && has_python=yes

# ---- Requests ----------------------------------------------------------------

# asks NAME COMMAND...: who asks says what CPU time a request took.
asks() {
    name=$1
    shift
    us=$(timeout 120 "$@" 2>"$work/err") || die "$*"
    printf '%s\t%s\n' "$name" "$us" >>"$work/requests"
}

start "$peer" serve
for _ in $rounds; do
    asks "C, callback" "$peer" ask "$uri" "$count"
    for style in callback coroutine blocking; do
        asks "Lua, $style" "$copal" run "$support/peer.lua" ask "$uri" \
            "$count" $style
    done
    [ $has_python = yes ] || continue
    for style in callback await gather blocking; do
        asks "Python, $style" "$python" "$support/peer.py" ask "$uri" \
            "$count" $style
    done
done
echo "CPU time of a request, and how often C's (blocking: one at a time, else 16):"
table "$work/requests"

# ---- Handlers ----------------------------------------------------------------

# serves NAME COMMAND...
serves() {
    name=$1
    shift
    start "$@"
    printf '%s\t%s\t%s\n' "$name" "$server" "$uri" >>"$work/serving"
}

# The load is always the C program; its 1,000 requests of warm-up count.
load() {
    before=$(spent "$2")
    timeout 120 "$peer" ask "$3" "$count" >/dev/null 2>"$work/err" </dev/null ||
        die "$1: the load ended early"
    after=$(spent "$2")
    awk -v name="$1" -v ns=$((after - before)) -v n=$((count + 1000)) \
        'BEGIN { printf "%s\t%.3f\n", name, ns / n / 1000 }' >>"$work/handlers"
}

serves "C" "$peer" serve
serves "Lua" "$copal" run "$support/peer.lua" serve
serves "Lua, waiting once" "$copal" run "$support/peer.lua" serve waiting
if [ $has_python = yes ]; then
    serves "Python, def" "$python" "$support/peer.py" serve
    serves "Python, async def" "$python" "$support/peer.py" serve async
    serves "Python, waiting once" "$python" "$support/peer.py" serve waiting
fi
tab=$(printf '\t')
for _ in $rounds; do
    while IFS=$tab read -r name process where; do
        load "$name" "$process" "$where"
    done <"$work/serving"
done
echo "CPU time of a request served, and how often C's:"
table "$work/handlers"

# ---- Idleness ----------------------------------------------------------------

[ $has_python = yes ] || {
    echo "no Python package: the rest is left out"
    exit 0
}
# It listens and is asked nothing.
start "$python" "$support/peer.py" serve
sleep 1
before=$(spent "$server")
sleep 10
idle=$((($(spent "$server") - before) / 1000))
echo "An idle asyncio program: $idle us of CPU in 10 s"
[ $idle -lt 5000 ] || die "more than 5,000 us"
