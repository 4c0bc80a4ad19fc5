# copal run: a script with everything loaded, its main chunk may wait.
. "$(dirname "$0")/support/lib.sh"

cat >"$work/ok.lua" <<'E2'
local copal = require "copal"
print(..., arg[1], arg[0] ~= nil)
copal.sleep(0.01)
print(require("neighbour"))
E2
echo 'return "found"' >"$work/neighbour.lua"
check 0 run "$work/ok.lua" one
out_has 'one	one	true'
out_has 'found'

echo 'error("thrown here")' >"$work/bad.lua"
check 1 run "$work/bad.lua"
err_has 'bad.lua:1: thrown here'
echo 'syntax error' >"$work/syntax.lua"
check 2 run "$work/syntax.lua"
err_has 'syntax.lua:1'

# The examples of the design: a server and a client in files.
cat >"$work/server.lua" <<'E2'
local copal = require "copal"
copal.run(function(coap)
  local note = ""
  coap:serve("/clock", { rt = "clock", observable = true,
    get = function() return os.date "!%FT%TZ" end })
  coap:serve("/note", { observable = true,
    get = function() return note end,
    put = function(req)
      if #req.payload > 4096 then return copal.TOO_LARGE, "at most 4096 bytes" end
      note = req.payload
      coap:notify "/note"
      return copal.CHANGED
    end })
  coap:serve("/slow", function() coap:sleep(0.5) return "worth the wait" end)
  assert(coap:listen "coap://127.0.0.1:0")
  print("listening on " .. coap:addresses()[1])
  io.stdout:flush()
  coap:every(0.1, function() coap:notify "/clock" end)
end)
E2
cat >"$work/client.lua" <<'E2'
local copal = require "copal"
local base = arg[1]
copal.run(function(coap)
  local res = assert(coap:get(base .. "/clock"))
  print(res.code, #res.payload)
  assert(coap:put(base .. "/note", "milk, eggs", { format = copal.TEXT }))
  print(coap:get(base .. "/note").text)
  print(coap:get(base .. "/slow").text)
  local left = 3
  for note in coap:observe(base .. "/clock") do
    left = left - 1
    if left == 0 then break end
  end
  print("left", left)
end)
E2
"$COPAL_BIN" run "$work/server.lua" >"$work/server.out" 2>"$work/server.err" &
server=$!
sleep 0.5
uri=$(sed -n 's/^listening on //p' "$work/server.out")
[ -n "$uri" ] || fail "the example server does not listen"
check 0 run "$work/client.lua" "$uri"
out_has '2.05 Content	20'
out_has 'milk, eggs'
out_has 'worth the wait'
out_has 'left	0'
stop TERM
[ "$stopped" = 130 ] || fail "an interrupted script exits with $stopped"
