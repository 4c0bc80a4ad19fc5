# A page in a browser opens coap+ws: where its origin may, and where not.
needs=
. "$(dirname "$0")/check.sh"
needs_tls
here=$(cd "$(dirname "$0")" && pwd)
browser=
for name in chromium chromium-browser google-chrome; do
    [ -n "$browser" ] || browser=$(command -v $name)
done
[ -n "$browser" ] || {
    printf 'a page opens coap+ws\tskipped\t%s\n' "no browser (Debian: chromium)" >>"$results"
    echo "skipped: no chromium (Debian: chromium)"
    exit 77
}

# serve ORIGIN: $at is where a page connects to, $host where pages are.
serve() {
    timeout 100 "$COPAL_BIN" run "$here/chromium/site.lua" "$1" >"$work/site" 2>&1 &
    pids="$pids $!"
    within 10 grep -q '^listening on' "$work/site" || fail "copal: $(cat "$work/site")"
    at=$(sed -n 's|^listening on coap+ws://||p' "$work/site")
}

start_host() {
    timeout 100 ${COPAL_PYTHON:-python3} "$here/chromium/host.py" \
        "$here/chromium/page.html" >"$work/host" 2>&1 &
    pids="$pids $!"
    within 10 grep -q '^port' "$work/host" || fail "no host of pages"
    port=$(sed -n 's/^port //p' "$work/host")
}

# visit HOST: what the page reports is in $work/out.
visit() {
    timeout 90 "$browser" --headless=new --no-sandbox --disable-gpu \
        --disable-dev-shm-usage --no-first-run --disable-background-networking \
        --disable-component-update --user-data-dir="$work/profile" \
        --remote-debugging-port=0 --no-proxy-server \
        "http://$1:$port/?at=$at" >"$work/err" 2>&1 &
    pids="$pids $!"
    within 60 grep -q '^end' "$work/host" || fail "the page tells nothing"
    sed '1d' "$work/host" >"$work/out"
}

talks() {
    start_host
    serve "http://127.0.0.1:$port"
    visit 127.0.0.1
    printf 'open coap\nCSM\nGET 2.05 hello, page\n' >"$work/wanted"
    head -n 3 "$work/out" | cmp -s - "$work/wanted" || fail "it went otherwise"
    [ "$(grep -c '^note 2.05 [0-9]*$' "$work/out")" = 3 ] || fail "no three notifications"
    out_has Pong
}

# The same host by another name is another origin.
is_kept_out() {
    start_host
    serve "http://127.0.0.1:$port"
    visit localhost
    out_has 'refused 1006'
    out_lacks open
}

behaviour "a page opens coap+ws, asks, observes" talks
behaviour "a page of an origin that may not is refused" is_kept_out
finish
