# The matrix's program on libcoap's coap-client and coap-server: see
# support/matrix.sh. The server has resources of its own, and makes those that
# something is PUT to; there is none like /echo and /etag.
log=$(mktemp)
server=

leave() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -f "$log" "$log.out"
}
trap leave EXIT
trap 'exit 1' INT TERM

serve() {
    coap-server-notls -A 127.0.0.1 -p 0 -v 7 -d 10 >"$log" 2>&1 &
    server=$!
    tries=100
    until grep -q 'created UDP  endpoint' "$log" || [ $tries = 0 ]; do
        tries=$((tries - 1))
        sleep 0.05
    done
    uri=coap://127.0.0.1:$(sed -n \
        's/.*created UDP  endpoint .*:\([0-9]*\).*/\1/p' "$log")
    coap-client-notls -m put -t binary -f "$1" "$uri/large" >/dev/null 2>&1
    echo "listening on $uri"
    wait "$server"
}

# ask METHOD URI WORDS...
ask() {
    method=$(echo "$1" | tr '[:upper:]' '[:lower:]')
    uri=$2
    shift 2
    for word in "$@"; do
        shift
        case $word in
        body=*) set -- "$@" -t binary -f "${word#*=}" ;;
        block=*) set -- "$@" -b "${word#*=}" ;;
        etag=*) set -- "$@" -O "4,0x${word#*=}" ;;
        option=*) set -- "$@" -O "${word#*=},x" ;;
        non) set -- "$@" -N ;;
        esac
    done
    coap-client-notls -v 7 -o "$log.out" -m "$method" "$@" "$uri" >"$log" 2>&1
    cat "$log.out" 2>/dev/null
    sed -n 's/.* c:2.05 .*ETag:0x\([0-9a-f]*\).*/etag \1/p' "$log" | tail -n 1 >&2
    sed -n 's/.* c:\([2-5]\.[0-9]*\) .*/code \1/p' "$log" | tail -n 1 >&2
}

# It counts seconds, not notifications.
observe() {
    coap-client-notls -w -s 3 -B 10 "$1" 2>/dev/null
    echo "let go"
    sleep 2
}

# It pings while it observes and hears nothing.
ping() {
    coap-client-notls -v 7 -s 2 -K 1 -B 10 "$1/obs" >"$log" 2>&1
    ! grep -q 't:RST c:0.00' "$log" || echo answered
}

"$@"
