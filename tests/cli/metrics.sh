# copal serve --metrics, for curl and for Python's http.client; a strict look at
# what they get, and once more by Prometheus' own parser where it is installed.
. "$(dirname "$0")/support/lib.sh"
python=${COPAL_PYTHON:-/usr/bin/python3}

serve --test --listen coap://127.0.0.1:0 --metrics 127.0.0.1:0
page=$(sed -n 's/^metrics at //p' "$work/server.out")
[ -n "$page" ] || fail "no place is told"
check 0 get "$uri/time"
check 4 get "$uri/nowhere"

if command -v curl >/dev/null; then
    curl -sSf -m 10 "$page" >"$work/page" || fail "curl cannot have it"
    grep -qx 'copal_requests_total{method="GET"} 2' "$work/page" || fail "no requests"
    grep -qx 'copal_responses_total{class="4.xx"} 1' "$work/page" || fail "no 4.04"
    for method in HEAD POST PUT DELETE OPTIONS; do
        status=$(curl -s -m 10 -o /dev/null -w '%{http_code}' ${method:+-X $method} "$page")
        [ "$status" = 405 ] || [ $method = HEAD ] || fail "$method gets $status"
    done
    status=$(curl -s -m 10 -o /dev/null -w '%{http_code}' -d x "$page")
    [ "$status" = 400 ] || fail "a body gets $status"
    status=$(curl -s -m 10 -o /dev/null -w '%{http_code}' "${page%metrics}")
    [ "$status" = 404 ] || fail "/ gets $status"
fi

command -v "$python" >/dev/null || { echo "skipped: no Python"; exit 77; }
"$python" - "$page" <<'EOF' || fail "what Python says of it"
import http.client, re, sys, urllib.parse

place = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(place.netloc, timeout=10)
connection.request("GET", "/metrics")
answer = connection.getresponse()
text = answer.read().decode("ascii")
assert answer.status == 200
assert answer.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"

# Exposition format 0.0.4, as strictly as it can be read.
name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
sample = re.compile(rf"({name})(\{{{label}(?:,{label})*\}})? (\d+)")
types, seen, current = {}, set(), None
assert text.endswith("\n") and not text.endswith("\n\n")
lines = iter(text[:-1].split("\n"))
for line in lines:
    if help_line := re.fullmatch(rf"# HELP ({name}) (\S.*\S)", line):
        current = help_line[1]
        assert current not in types, current
        kind = re.fullmatch(rf"# TYPE {current} (counter|gauge)", next(lines))
        types[current] = kind[1]
        continue
    got = sample.fullmatch(line)
    assert got, line
    assert got[1] == current, line
    assert (got[1], got[2]) not in seen, line
    seen.add((got[1], got[2]))
assert {k for k, v in types.items() if v == "counter"} == {k for k in types if k.endswith("_total")}
for wanted in ("copal_datagrams_in_total", "copal_memory_bytes", "process_resident_memory_bytes",
               "process_open_fds", "copal_uptime_seconds"):
    assert (wanted, None) in seen, wanted

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    print("Prometheus' parser is not installed: not asked")
else:
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert families["copal_memory_bytes"].type == "gauge"
    assert families["copal_requests"].type == "counter"
    assert sum(len(f.samples) for f in families.values()) == len(seen)
EOF
stop TERM
[ "$stopped" = 0 ] || [ "$stopped" = 130 ] || fail "ended with $stopped"

check 2 serve --test --metrics nowhere
err_has '127.0.0.1:9100'
