# OSCORE and copal serve --workers: numbers that are used once, and what came before,
# are not to be had by each worker for itself.
. "$(dirname "$0")/support/lib.sh"
XDG_CONFIG_HOME=$work/config
export XDG_CONFIG_HOME
secret=0x000102030405060708090a0b0c0d0e0f

# creds FILE SCOPE SENDER RECIPIENT MORE
creds() {
    printf '{ "%s": { "oscore": { "secret": "%s", "sender_id": "%s", "recipient_id": "%s"%s } } }\n' \
        "$2" "$secret" "$3" "$4" "$5" >"$work/$1"
    chmod 600 "$work/$1"
}

creds fixed.json '*' s c
"$COPAL_BIN" get --creds "$work/fixed.json" coap://127.0.0.1:1/ 2>"$work/err"
if grep -q 'without GnuTLS' "$work/err"; then
    echo "skipped: built without GnuTLS"
    exit 77
fi

# Fixed keys: nothing begins, with a store for each or with none.
for store in "--store $work/state" ''; do
    check 2 serve --test --creds "$work/fixed.json" $store --workers 2 \
        --listen coap://127.0.0.1:0
    err_has 'fixed.json: "*": OSCORE with fixed keys and several workers'
    err_has 'set rederives at both ends, use EDHOC, or serve without --workers'
    out_is_empty
done
[ ! -e "$work/state.1" ] || fail 'a worker was started'

# One alone has them.
serve --test --creds "$work/fixed.json" --workers 1 --listen coap://127.0.0.1:0
creds client.json "$uri/" c s
check 0 get --creds "$work/client.json" "$uri/validate"
stop TERM

# A script is refused, too.
cat >"$work/site.lua" <<'END2'
local copal = require "copal"
local coap, creds = ...
local ok, err = coap:use_oscore("*", { secret = ("s"):rep(16), sender_id = "s", recipient_id = "c" })
assert(not ok and err.name == "ESTATE" and err.message:find("several workers", 1, true))
ok, err = coap:use_file(creds)
assert(not ok and err.name == "ESTATE", tostring(err))
assert(coap:use_oscore("*", { secret = ("s"):rep(16), sender_id = "s", recipient_id = "d",
  rederives = true }))
END2
serve "$work/site.lua" "$work/fixed.json" --workers 2 --listen coap://127.0.0.1:0
stop TERM

# Keys that are made anew each makes for itself.
creds anew.json '*' s c ', "rederives": true'
serve --test --creds "$work/anew.json" --workers 2 --listen coap://127.0.0.1:0
creds client.json "$uri/" c s ', "rederives": true'
for _ in 1 2 3 4; do
    check 0 get --creds "$work/client.json" "$uri/validate"
done
stop TERM
[ "$stopped" = 0 ] || fail "ends with $stopped"
