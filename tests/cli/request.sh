# Requests: items, formats, output, exit codes.
. "$(dirname "$0")/support/lib.sh"

cat >"$work/site.lua" <<'E2'
local coap = ...
local copal = require "copal"
coap:serve("/json", function()
  return { code = "2.05", payload = '{"t":21.5,"a":[1,{"b":"x"}]}', format = "json" }
end)
coap:serve("/bytes", function() return copal.CONTENT, "a\0\1\255", "octets" end)
coap:serve("/bad", function()
  return { code = "2.05", payload = "{", format = "json" }
end)
coap:serve("/oops", function() return copal.UNAVAILABLE, "come back later" end)
coap:serve("/problem", function()
  return { code = "4.00", problem = { title = "too hot", detail = "40 at most",
    instance = "/log/7", options = { 9 }, entries = { [4711] = { max = 40 } } } }
end)
coap:serve("/echo", { any = function(req)
  local lines = { req.code.name, req.format and tostring(req.format) or "-",
    table.concat(req.query, " "), req.payload }
  for _, o in ipairs(req.options) do
    if o.number >= 17 then lines[#lines + 1] = o.name .. " " .. o.value end
  end
  return table.concat(lines, "|")
end })
local big = ""
coap:serve("/big", { streamed = true,
  get = function()
    return { code = "2.05", payload = function(offset, want)
      return big:sub(offset + 1, offset + want), offset + want >= #big
    end }
  end,
  put = function(req)
    local pieces = {}
    for piece in req:chunks() do pieces[#pieces + 1] = piece end
    big = table.concat(pieces)
    return copal.CHANGED
  end })
coap:serve("/never", function() coap:sleep(100) end)
E2
serve "$work/site.lua" --listen coap://127.0.0.1:0

# The URI alone is a GET.
check 0 "$uri/json"
out_is '{"t":21.5,"a":[1,{"b":"x"}]}'
err_is_empty

# Problem details are for people, too.
check 4 get "$uri/problem"
err_has '4.00 Bad Request'
err_has '  too hot: 40 at most'
err_has '  instance: /log/7'
err_has '  option: OSCORE'
err_has '  4711: {"max": 40}'

# Exact bytes on a pipe.
check 0 get "$uri/bytes"
[ "$(od -An -tx1 <"$work/out" | tr -d ' \n')" = 610001ff ] || fail "bytes"
check 0 get -f hex "$uri/bytes"
out_has '610001ff'
check 0 get -f none "$uri/bytes"
out_is_empty
check 0 get -f json "$uri/json"
out_has '"t": 21.5'
check 10 get -f json "$uri/bad"
err_has 'did not decode'
check 0 get -o "$work/file" "$uri/json"
out_is_empty
grep -q 21.5 "$work/file" || fail "-o wrote nothing"
head -c 3000000 /dev/urandom >"$work/huge"
check 0 put "$uri/big" @"$work/huge"
check 0 get -o "$work/file" "$uri/big"
cmp -s "$work/huge" "$work/file" || fail "a large file comes back changed"
check 5 get -o "$work/file" "$uri/oops"
err_has "come back later"
check 0 get -F '%c %p %u' "$uri/json"
out_has "2.05 Content {\"t\":21.5,\"a\":[1,{\"b\":\"x\"}]} $uri/json"
check 0 get --json "$uri/json"
out_has '"code":"2.05"'
out_has '"t":21.5'

# Methods, payloads, items.
check 0 put "$uri/echo" -p hello -t text
out_is 'PUT|text/plain;charset=utf-8||hello'
check 0 post "$uri/echo" name=x n:=42 'l:=[1,true]'
out_is 'POST|application/json||{"l":[1,true],"n":42,"name":"x"}'
check 0 fetch "$uri/echo" 0x6162
out_is 'FETCH|-||ab'
printf filed >"$work/in"
check 0 patch "$uri/echo" @"$work/in"
out_is 'PATCH|-||filed'
check 0 put "$uri/echo" -p @"$work/in"
out_is 'PUT|-||filed'
printf piped | "$COPAL_BIN" ipatch "$uri/echo" - >"$work/out" || fail "stdin"
out_is 'iPATCH|-||piped'
check 0 delete "$uri/echo" q==1 b==two
out_is 'DELETE|-|q=1 b=two|'
check 0 get "$uri/echo" -O 65000=text
out_has '65000 text'
check 0 get "$uri/echo" 65000:0x6869
out_has '65000 hi'
check 0 get -X 0.30 "$uri/echo"
out_has '0.30|'
check 0 get -N "$uri/echo"
check 0 -v get "$uri/json"
err_has '> CON GET'
err_has '< ACK 2.05'
check 0 get -vv -N "$uri/json"
err_has '> NON GET'
err_has 'Uri-Path: json'
check 0 get -vvv "$uri/json"
err_has '7b 22 74 22'

# Exit codes.
check 4 get "$uri/none"
out_is_empty
err_has "copal: 4.04 Not Found  $uri/none"
check 5 get "$uri/oops"
err_has '5.03'
err_has 'come back later'
check 4 post "$uri/json"
err_has '4.05'
check 7 get -T 300ms "$uri/never"
err_has "$uri/never"

# Assertions.
check 0 get --expect 2.05 "$uri/json"
check 9 get --expect 2.04 "$uri/json"
check 0 get --expect 4.04 "$uri/none"
check 0 get --expect 'json .t > 20' "$uri/json"
check 9 get --expect 'json .t > 22' "$uri/json"
check 0 get --expect 'json .a[1].b == "x"' "$uri/json"
check 9 get --expect 'json .nope' "$uri/json"
check 9 get --expect 2.05 --expect 'json .t < 0' "$uri/json"

# Interrupted: 130.
"$COPAL_BIN" get "$uri/never" >"$work/out" 2>"$work/err" &
asker=$!
sleep 0.5
kill -TERM $asker
wait $asker
[ $? = 130 ] || fail "an interrupted get does not exit with 130"

check 0 ping -C 2 "$uri"
out_has 'seq 2'
out_has '2 probes, 2 answered, 0% lost'
out_has 'rtt min/avg/max'
check 8 ping -C 1 coap://127.0.0.1:1
stop TERM
[ "$stopped" = 0 ] || fail "the server exits with $stopped"
