# A recording is written at the end, at SIGUSR1 and when something fails, and run
# again; what is wrong with one is said.
. "$(dirname "$0")/support/lib.sh"

wait_for() {
    for _ in $(seq 100); do
        [ -s "$1" ] && return
        sleep 0.1
    done
    fail "there is no $1"
}

serve --test --listen coap://127.0.0.1:0 --record "$work/server.rec"
check 0 get "$uri/time" --record "$work/client.rec"
check 0 put "$uri/other/block" @"$0"
check 0 get "$uri/other/separate"
kill -USR1 "$server"
wait_for "$work/server.rec"
check 0 replay "$work/server.rec"
out_has 'the same again'
check 0 get "$uri/time"
stop TERM
check 0 replay "$work/server.rec"
out_has 'the same again'
check 0 trace "$work/server.rec"
out_has '/other/separate'

# Of one that crashed; it is its writer's alone.
for signal in ABRT SEGV; do
    rm -f "$work/crashed.rec"
    serve --test --listen coap://127.0.0.1:0 --record "$work/crashed.rec"
    check 0 get "$uri/other/separate"
    kill -"$signal" "$server"
    wait "$server" 2>/dev/null && fail "it ended well after SIG$signal"
    [ "$(stat -c %a "$work/crashed.rec")" = 600 ] || fail "others may read it"
    check 0 replay "$work/crashed.rec"
    out_has 'the same again'
    check 0 trace "$work/crashed.rec"
    out_has '/other/separate'
done

# Of who asks; also where that fails.
check 0 replay "$work/client.rec"
check 0 replay -v "$work/client.rec"
out_has '"ev":"out"'
check 8 get coap://127.0.0.1:9/ --record "$work/failed.rec"
check 0 replay "$work/failed.rec"
check 0 replay -q "$work/failed.rec"
out_is_empty

# Without payloads, and with what cannot be written.
serve --test --listen coap://127.0.0.1:0 --record "$work/bare.rec" --record-payloads 0
check 0 put "$uri/validate" -p 'a secret'
stop TERM
grep -q 'a secret' "$work/bare.rec" && fail "the payload is in the recording"
check 0 replay "$work/bare.rec"
check 8 get coap://127.0.0.1:9/ --record /no/such/folder
err_has '/no/such/folder'

# Damaged ones.
check 2 replay
check 2 replay "$work/none"
check 10 replay "$0"
err_has 'not a recording'
head -c 300 "$work/server.rec" >"$work/short.rec"
check 10 replay "$work/short.rec"
err_has 'not whole'
check 0 help replay
out_has '1 not the same'
