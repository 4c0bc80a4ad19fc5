# soak.sh SECONDS [SERVER...]: each server in turn, in its share of that time: good
# clients measured amid strangers. program: copal serve --test; c, lua, python.
# COPAL_ROOT and COPAL_BUILD say where; see soak.c for what is demanded.
set -u
root=${COPAL_ROOT:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${COPAL_BUILD:-$root/build}
seconds=${1:-180}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- program c lua python
share=$((seconds / $#))
[ "$share" -ge 8 ] || share=8
passed=0
failed=0
server=
work=$(mktemp -d)
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

start() {
    case $1 in
    program) exec "$build/copal" serve --test --guard-loopback 1 --max-observers 10000 \
        --listen coap://127.0.0.1:0 --metrics 0 ;;
    c) exec "$build/tests/soak/server" ;;
    lua) LUA_PATH="$root/lua/?.lua;;" LUA_CPATH="$build/lua/5.4/?.so;;" \
        exec lua5.4 "$root/tests/soak/support/server.lua" ;;
    python) PYTHONPATH="$build/python" \
        exec "${COPAL_PYTHON:-/usr/bin/python3}" "$root/tests/soak/support/server.py" ;;
    *) echo "no such server: $1" >&2 ;;
    esac
}

for name in "$@"; do
    (start "$name") >"$work/out" 2>"$work/err" &
    server=$!
    uri=
    for _ in $(seq 100); do
        uri=$(sed -n 's/^listening on //p' "$work/out")
        [ -z "$uri" ] || break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    if [ -z "$uri" ]; then
        echo "not ok: $name does not listen"
        cat "$work/err"
        failed=$((failed + 1))
    else
        "$build/tests/soak/soak" "$name" "$server" "$uri" "$share" >"$work/report"
        grep -v '^row \|passed, ' "$work/report"
        page=$(sed -n 's/^metrics at //p' "$work/out")
        if command -v curl >/dev/null && curl -sf -m 10 "$page" >"$work/page"; then
            grep -E '^copal_(limit_hits|log_left|requests|responses|observers|peers|exchanges_open|memory|malformed|duplicates)' \
                "$work/page" | sed 's/^/  /'
        fi
        sed -n 's/^row //p' "$work/report" >>"$work/table"
        counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$work/report")
        counts=${counts:-0 1} # it did not come to its end
        passed=$((passed + ${counts% *}))
        failed=$((failed + ${counts#* }))
        # What strangers made it write.
        lines=$(wc -l <"$work/err")
        if [ "$lines" -le $((share * 20 + 1000)) ] && kill -0 "$server" 2>/dev/null; then
            passed=$((passed + 1))
        else
            echo "not ok: $name wrote $lines lines, or is gone"
            tail -n 20 "$work/err"
            failed=$((failed + 1))
        fi
    fi
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=
done

echo
echo "                       p99 of small GETs, ms          bytes     RSS, MiB         open fds"
echo "server    strangers    quiet    flood  timer  sent back  quiet  most  after before after"
cat "$work/table" 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
