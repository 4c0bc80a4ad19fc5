# examples/c/bench-server.c has what the load generator asks for: 12 and 1,024
# bytes, a sink, and notifications of both kinds.
. "$(dirname "$0")/check.sh"

# start_bench WORDS...: on some port that is free.
start_bench() {
    for port in $(awk "BEGIN { srand($$); for (i = 0; i < 20; i++)
        print int(20000 + rand() * 12000) }"); do
        env "$@" "$examples/bench-server" "$port" 2>"$work/bench.err" &
        servers="$servers $!"
        uri=coap://127.0.0.1:$port
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            sleep 0.1
            kill -0 $! 2>/dev/null || break
            "$copal" ping -C 1 -T 1s "$uri" >/dev/null 2>&1 && return
        done
    done
    fail "bench-server does not listen"
}

# observed: two values of /obs with a PUT between them, and how they came.
observed() {
    : >"$work/run.out" # or what was there before would be taken for a value
    "$copal" observe -v -C 2 -W 5s "$uri/obs" >"$work/run.out" 2>"$work/run.err" &
    asked=$!
    for _ in $(seq 50); do
        [ -s "$work/run.out" ] && break
        sleep 0.1
    done
    "$copal" put "$uri/obs" -p x || fail "PUT /obs"
    wait $asked || fail "observe /obs"
    out_matches '^value 000000$'
    out_matches '^value 000001$'
}

start_bench NOTIFY=
run 0 "$copal" get "$uri/hello"
out_is 'hello, world'
run 0 "$copal" get "$uri/big"
[ "$(wc -c <"$work/run.out")" -eq 1024 ] || fail "/big is not 1,024 bytes"
run 0 "$copal" put --expect 2.04 "$uri/sink" -p x
observed
err_has '< NON 2.05 obs='

start_bench NOTIFY_CON=1
observed
err_has '< CON 2.05 obs='
