# What a server sends steers no terminal, and ends no command with a traceback.
. "$(dirname "$0")/support/lib.sh"
command -v script >/dev/null 2>&1 || exit 77
export HOME=$work TERM=dumb

cat >"$work/rude.lua" <<'E2'
local coap = ...
local copal = require "copal"
local rude = "\27[31m\194\155\7\127\0x"
local json = '"\194\155\\u009b\\u001b\\u0000"'
local function offer(path, body, format, code)
  coap:serve(path, function() return code or copal.CONTENT, body, format end)
end
offer("/links", "</a" .. rude .. '>;ct=40;title="' .. rude .. '"', copal.LINKS)
offer("/deep", "<" .. ("/a"):rep(20000) .. ">", copal.LINKS)
offer("/json", '{"a":' .. json .. "}", copal.JSON)
offer("/senml", '[{"n":"a","vs":' .. json .. "}]", 110)
local spaces = (" "):rep(400000)
offer("/spaces", "</a>;rt=b" .. spaces .. 'c;title="d' .. spaces .. 'e"', copal.LINKS)
offer("/names", '[{"n":"' .. ("a/"):rep(200000) .. 'b","v":1},{"n":"c","v":2}]', 110)
offer("/text", "\27[31m\194\155", copal.TEXT)
offer("/refused", rude, copal.TEXT, copal.UNAUTHORIZED)
-- An error message of EDHOC: RFC 9528 6.
coap:serve("/.well-known/edhoc", { post = function()
  return { code = copal.BAD_REQUEST, payload = "\1\101\27[31m", format = 64 }
end })
E2

# on_terminal WORDS...: what copal shows on one is in $work/out.
on_terminal() {
    timeout 60 script -qec "$COPAL_BIN $*" /dev/null >"$work/out" 2>&1 </dev/null
    clean "$*"
}

# C0 but for line ends and tabs, DEL, C1 as UTF-8 has it.
clean() {
    if LC_ALL=C grep -q "$(printf '[\001-\010\013\014\016-\037\177]\|\302[\200-\237]')" "$work/out"; then
        fail "copal $1 shows control characters"
    fi
    if grep -q 'traceback' "$work/out"; then fail "copal $1 fails"; fi
}

serve "$work/rude.lua" --listen coap://127.0.0.1:0
for path in links json senml text refused; do
    on_terminal get "$uri/$path"
    on_terminal get -vvv "$uri/$path"
    on_terminal get --json "$uri/$path"
done
on_terminal get -f json "$uri/json"
on_terminal ls "$uri/links"
out_has '/a\x1b[31m\xc2\x9b\x07\x7f\x00x'
on_terminal ls --tree "$uri/links"

# A path of thousands of segments is no picture of thousands of lines.
check 0 ls --tree "$uri/deep"
[ "$(wc -c <"$work/out")" -lt 100000 ] || fail "a deep path fills the screen"

# Nor is what is long more work than it is long.
check 0 ls "$uri/spaces"
out_has 'rt=b'
check 0 get -f senml "$uri/names"
out_has '│ c '

# At the prompt, too.
printf '%s\n' "get('$uri/text')" "print(get('$uri/json'):json())" >"$work/typed"
{ cat "$work/typed"; sleep 2; } |
    timeout 20 script -qec "$COPAL_BIN" /dev/null >"$work/out" 2>&1
out_has '\x1b[31m\xc2\x9b'

# Who refuses to agree on keys is quoted.
"$COPAL_BIN" get --creds "$work/none" "$uri/" 2>"$work/err"
if grep -q 'without GnuTLS' "$work/err"; then exit 0; fi
theirs=$("$COPAL_BIN" creds add '*' private_key=random --creds "$work/theirs.json") ||
    fail "no key is made"
"$COPAL_BIN" creds add "$uri/" private_key=random "peer_credential=${theirs#credential }" \
    --creds "$work/creds.json" >/dev/null || fail "no key is added"
check 6 get --creds "$work/creds.json" "$uri/text"
cp "$work/err" "$work/out"
clean 'get of who has no keys'
out_has 'the peer says: \x1b[31m'
