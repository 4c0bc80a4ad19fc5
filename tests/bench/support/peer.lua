-- As peer.c: peer.lua serve [waiting|read [PORT]] | ask URI COUNT STYLE, STYLE
-- callback, coroutine or blocking. PUT /hello reads path and payload first.
local copal = require "copal"
local what, uri, count, style = arg[1], arg[2], math.tointeger(arg[3]), arg[4]

local AT_A_TIME, WARM_UP = 16, 1000

local function serve(coap)
  coap:serve("/hello", { get = function()
    if uri == "waiting" then coap:sleep(0) end
    return "hello, world"
  end, put = function(req)
    if req.path[1] == "hello" and #req.payload == 12 then return "hello, world" end
  end })
  assert(coap:listen("coap://127.0.0.1:" .. (count or 0)))
  print("listening on " .. coap:addresses()[1])
  io.stdout:flush()
end

local styles = {}

function styles.callback(coap, n)
  local begun, done = 0, 0
  local function begin()
    if begun == n then return end
    begun = begun + 1
    coap:get(uri, function(res)
      assert(#res.payload == 12)
      done = done + 1
      if done == n then coap:stop() end
      begin()
    end)
  end
  for _ = 1, AT_A_TIME do begin() end
  coap:run()
end

function styles.coroutine(coap, n)
  local tasks = {}
  for i = 1, AT_A_TIME do
    tasks[i] = coap:spawn(function()
      for _ = 1, n / AT_A_TIME do assert(#coap:get(uri).payload == 12) end
    end)
  end
  for i = 1, AT_A_TIME do tasks[i]:join() end
end

function styles.blocking(coap, n)
  for _ = 1, n do assert(#coap:get(uri).payload == 12) end
end

if what == "serve" then return copal.run(serve) end
local coap = assert(copal.endpoint { nstart = AT_A_TIME })
styles[style](coap, WARM_UP)
local since = os.clock()
styles[style](coap, count)
print(string.format("%.3f", (os.clock() - since) / count * 1e6))
