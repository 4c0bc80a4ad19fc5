# copal codec, and payloads of every format: what a pipe gets, what -f makes of
# them, what does not decode.
. "$(dirname "$0")/support/lib.sh"

# codec STATUS INPUT WORDS...: INPUT with printf's escapes on stdin.
codec() {
    wanted=$1
    printf "$2" >"$work/in"
    shift 2
    "$COPAL_BIN" codec "$@" >"$work/out" 2>"$work/err" <"$work/in"
    got=$?
    [ "$got" = "$wanted" ] || fail "copal codec $*: exit $got, wanted $wanted"
}

# CBOR to diagnostic notation, and back.
codec 0 '\242\141\141\001\141\142\202\002\003' cbor
out_is '{
  "a": 1,
  "b": [
    2,
    3
  ]
}
'
codec 0 'a26161016162820203' cbor -x --to json
out_is '{
  "a": 1,
  "b": [
    2,
    3
  ]
}
'
codec 0 '5f42010243030405ff' cbor -x
out_is "(_ h'0102', h'030405')
"
codec 0 '{"b": [2, 3], "a": 1, 5: h'"'01'"'}' diag -x
out_is 'a30541016161016162820203
'
codec 0 '"x"' diag
out_is 'ax'
codec 0 '"x"' diag --to cbor
out_is 'ax'
codec 0 '0102' cbor-seq -x
out_is '1
2
'

# JSON to CBOR: integers exact, floats as short as can be.
codec 0 '{"n": 9007199254740993, "f": 1.5, "e": [], "o": {}, "z": null}' json --to cbor -x
out_is 'a56165806166f93e00616e1b0020000000000001616fa0617af6
'
codec 0 ' {"b":1,"a":[true]}' json
out_is '{
  "a": [
    true
  ],
  "b": 1
}
'
codec 0 '[1.5, null, "\\u00e9"]' json --to diag
out_has '1.5,'
out_has 'null,'

# Bytes, tags and what JSON has no word for, by RFC 8949 6.1.
codec 0 '85 42ffff c11a514b67b0 f7 f97e00 c249010000000000000000' cbor -x --to json
out_is '[
  "__8",
  1363896240,
  null,
  null,
  "AQAAAAAAAAAA"
]
'

# SenML, in JSON and CBOR.
senml='[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1.320067464e+09,"bu":"%%RH","v":20,"n":"h"},{"n":"t","u":"Cel","v":21.5}]'
codec 0 "$senml" senml
out_is '┌ base urn:dev:ow:10e2073a01080063:   2011-10-31T13:24:24Z
│ h   20   %RH
│ t   21.5 Cel
'
codec 0 "$senml" json --to senml
out_has '21.5 Cel'
codec 0 "$senml" senml --to cbor
mv "$work/out" "$work/pack"
"$COPAL_BIN" codec senml --to json <"$work/pack" >"$work/out" || fail "SenML in CBOR"
out_has '"n": "urn:dev:ow:10e2073a01080063:t"'
out_has '"v": 21.5'

# Link format.
codec 0 '</t>;rt="a b";obs,</u>' link
out_is '</t>  rt=a b  obs
</u>
'
codec 0 '</t>;rt="a b";obs' link --to json
out_has '"href": "/t"'
out_has '"obs": true'

# What does not decode.
codec 10 '\202\001' cbor
err_has 'CBOR: '
codec 10 '\237\001' cbor
err_has 'incomplete at byte 3'
out_is_empty
codec 10 'a1' cbor -x
codec 10 'xyz' cbor -x
codec 10 '8 1' cbor -x --to json
codec 10 '{' json
codec 10 '{1' diag
codec 10 '[{"v":1}]' senml
err_has 'no name'
codec 10 '{}' senml
codec 10 '<' link
codec 10 '' cbor
codec 10 '' json
codec 10 '1' json --to senml

# Usage.
check 2 codec
check 2 codec nonsense
check 2 codec cbor json
check 2 codec cbor --to nonsense
check 2 codec link --to senml
check 0 codec --help
out_has '--to FORMAT'

# The same on the way from a server.
cat >"$work/server.lua" <<'LUA'
local copal = require "copal"
local coap = ...
local function fixed(path, payload, format)
  coap:serve(path, function() return { code = "2.05", payload = payload, format = format } end)
end
fixed("/cbor", { on = true, t = 21.5 }, "cbor")
fixed("/seq", "\1\2", "application/cbor-seq")
fixed("/bad", "\130\1", "cbor")
fixed("/senml", { { n = "dev:t", u = "Cel", v = 21.5 } }, "senml+cbor")
fixed("/senml-json", { { n = "dev:t", u = "Cel", v = 21.5 } }, "senml+json")
fixed("/bad-senml", "[{}]", "senml+json")
local kept = ""
coap:serve("/put", {
  put = function(req)
    local v = req:decode()
    kept = tostring(req.format) .. " " .. type(v) .. " " .. tostring(v.on) .. " " .. tostring(v.n)
    return copal.CHANGED
  end,
  get = function() return kept end,
})
LUA
serve --listen coap://127.0.0.1:0 "$work/server.lua"

check 0 get "$uri/cbor"
[ "$(od -An -tx1 "$work/out" | tr -d ' \n')" = a26174f94d60626f6ef5 ] ||
    fail "a pipe gets other bytes"
check 0 get -f cbor "$uri/cbor"
out_is '{"t": 21.5, "on": true}
'
check 0 get -f json "$uri/cbor"
out_is '{
  "on": true,
  "t": 21.5
}
'
check 0 get --json "$uri/cbor"
out_has '"payload":{"on":true,"t":21.5}'
check 0 get --expect 'json .t > 20' "$uri/cbor"
check 9 get --expect 'json .t > 22' "$uri/cbor"
check 0 get -f cbor "$uri/seq"
out_is '1
2
'
check 0 get -f json "$uri/seq"
check 10 get -f cbor "$uri/bad"
err_has 'did not decode'
check 10 get -f json "$uri/bad"
check 0 get "$uri/bad"
for path in senml senml-json; do
    check 0 get -f senml "$uri/$path"
    out_is '┌ base dev:
│ t   21.5 Cel
'
    check 0 get -f json "$uri/$path"
    out_has '"v": 21.5'
done
check 0 get --json "$uri/senml"
out_has '"payload":[{"n":"dev:t","u":"Cel","v":21.5}]'
check 10 get -f senml "$uri/bad-senml"
check 10 get -f link "$uri/cbor"

# Fields are written as the format wants them.
check 0 put -t cbor "$uri/put" on:=true n:=42
check 0 get "$uri/put"
out_is 'application/cbor table true 42'
check 0 put -t json "$uri/put" on:=false n=x
check 0 get "$uri/put"
out_is 'application/json table false x'
check 2 put -t xml "$uri/put" a=b
err_has 'not built in'
