# Profiles of devices: by flag, by scope of the credentials file, and a key of
# one's own from a gateway.
. "$(dirname "$0")/support/lib.sh"
XDG_CONFIG_HOME=$work/config
export XDG_CONFIG_HOME

cat >"$work/device.lua" <<'END'
local coap = ...
local copal = require "copal"
coap:understand(2049)
coap:serve("/oic/d", { ct = 10000, get = function(req)
  for _, option in ipairs(req.options) do
    if option.number == 2049 then return { payload = "\160", format = 10000 } end
  end
  return copal.NOT_ACCEPTABLE
end })
END
serve "$work/device.lua" --listen coap://127.0.0.1:0
check 4 get "$uri/oic/d"
check 0 get --profile samsung-ocf -f hex "$uri/oic/d"
check 2 get --profile nonsense "$uri/oic/d"
err_has 'samsung-ocf'
check 0 get --profile shelly -v "$uri/oic/d" -O 2049=0x0800
err_has 'NON GET'
stop TERM

"$COPAL_BIN" get --creds "$work/none" coap://127.0.0.1:1/ 2>"$work/err"
if grep -q 'without GnuTLS' "$work/err"; then
    exit 0
fi

# An entry may be a profile and nothing else.
serve "$work/device.lua" --listen coap://127.0.0.1:0
check 4 get "$uri/oic/d"
check 2 creds add "$uri" profile=nonsense
err_has 'samsung-ocf'
check 0 creds add "$uri" profile=samsung-ocf
check 0 get -f hex "$uri/oic/d"
# What a flag says goes before.
check 4 get --profile shelly -v "$uri/oic/d"
err_has 'NON GET'
check 0 get --profile shelly -v "$uri/oic/d" -O 2049=0x0800
check 0 get --profile samsung-ocf "$uri/oic/d"
stop TERM

cat >"$work/gateway.lua" <<'END'
local coap = ...
local copal = require "copal"
local json = require "copal.json"
coap:use_psk("*", "Client_identity", "printed below")
coap:serve("/15011/9063", { post = function(req)
  local name = json.decode(req.payload)["9090"]
  coap:use_psk("*", name, "key of " .. name)
  return copal.CREATED, json.encode { ["9091"] = "key of " .. name }
end })
coap:serve("/15001", { secure = true, get = function(req) return req.identity end })
END
serve "$work/gateway.lua" --listen coaps://127.0.0.1:0
check 2 creds pair "$uri"
check 2 creds pair "$uri" --profile shelly
echo 'printed below' >"$work/code"
"$COPAL_BIN" creds pair "$uri" --profile tradfri --name me <"$work/code" \
    >"$work/out" 2>"$work/err" || fail "creds pair"
out_has "$uri  psk me"
grep -q 'key of' "$work/out" "$work/err" && fail "a secret was shown"
[ "$(stat -c %a "$work/config/copal/creds.json")" = 600 ] ||
    fail "others can read the key"
check 0 creds list
out_has 'profile tradfri'
check 0 get "$uri/15001"
out_is me
sed 's/"tradfri"/"nonsense"/' "$work/config/copal/creds.json" >"$work/odd.json"
chmod 600 "$work/odd.json"
check 2 get --creds "$work/odd.json" "$uri/15001"
err_has "no profile 'nonsense'"
