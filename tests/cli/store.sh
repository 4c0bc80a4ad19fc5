# State that outlives the program: associations of coaps after kill -9.
. "$(dirname "$0")/support/lib.sh"
XDG_CONFIG_HOME=$work/config
export XDG_CONFIG_HOME

cat >"$work/creds.json" <<'END'
{ "*": [ { "psk-id": "me", "psk": "0x000102030405060708090a0b0c0d0e0f" } ],
  "coaps://": { "psk-id": "me", "psk": "0x000102030405060708090a0b0c0d0e0f" } }
END
chmod 600 "$work/creds.json"
"$COPAL_BIN" get --creds "$work/creds.json" coap://127.0.0.1:1/ 2>"$work/err"
if grep -q 'without GnuTLS' "$work/err"; then
    echo "skipped: built without GnuTLS"
    exit 77
fi

# Asks again and again; each request is answered, and one handshake does.
cat >"$work/asks.lua" <<'END'
local uri, creds, dir = ...
local copal = require "copal"
local function is_there(name)
  local f = io.open(dir .. "/" .. name)
  if f then f:close() end
  return f ~= nil
end
copal.run(function(coap)
  assert(coap:use_file(creds))
  assert(coap:tune(nil, { ignore_icmp = true })) -- nobody is there for a moment
  local count = 0
  repeat
    local res = assert(coap:get(uri .. "/validate"))
    local is_closing = res.code == copal.UNAVAILABLE -- in good order
    assert(is_closing or res.code == copal.CONTENT, tostring(res.code))
    count = count + 1
    io.open(dir .. "/asked." .. count, "w"):close()
    coap:sleep(0.05)
  until is_there("enough")
  print(coap:metrics_text():match('copal_dtls_handshakes_total{result="done"} (%d+)'))
end)
END

serve --test --creds "$work/creds.json" --store "$work/state" \
    --listen coaps://127.0.0.1:0
[ "$(stat -c %a "$work/state")" = 700 ] || fail "others can look into the store"
"$COPAL_BIN" run "$work/asks.lua" "$uri" "$work/creds.json" "$work" \
    >"$work/asks.out" 2>"$work/asks.err" &
asks=$!

# wait_for N: until so many were answered.
wait_for() {
    for _ in $(seq 600); do
        [ ! -e "$work/asked.$1" ] || return 0
        kill -0 "$asks" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/asks.err" >&2
    fail "request $1 was not answered"
}

# Two at once do not get the same directory; who is killed gives it back.
wait_for 1
check 2 serve --test --store "$work/state" --listen coap://127.0.0.1:0
err_has 'keeps its state there'
asked=1
for _ in 1 2; do
    stop KILL
    serve --test --creds "$work/creds.json" --store "$work/state" --listen "$uri"
    asked=$(($(ls "$work" | grep -c '^asked') + 2))
    wait_for "$asked"
done
stop TERM
serve --test --creds "$work/creds.json" --store "$work/state" --listen "$uri"
wait_for $(($(ls "$work" | grep -c '^asked') + 2))
: >"$work/enough"
wait "$asks" || { cat "$work/asks.err" >&2; fail "a request was lost"; }
[ "$(cat "$work/asks.out")" = 1 ] || fail "$(cat "$work/asks.out") handshakes"

# The program's own: the second time it goes on where the first ended.
check 0 get --creds "$work/creds.json" --store "$work/own" "$uri/validate"
check 0 get --creds "$work/creds.json" --store "$work/own" -vv "$uri/validate"
[ "$(ls "$work/own/dtls" | wc -l)" = 1 ] || fail "no association was kept"
chmod 755 "$work/own"
check 6 get --creds "$work/creds.json" --store "$work/own" "$uri/validate"
err_has 'chmod 700'
