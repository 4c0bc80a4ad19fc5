-- dtls.lua serve|get URI psk ID KEY        credentials: a pre-shared key, or
-- dtls.lua serve|get URI cert CERT KEY CA  files of PEM text
-- serve prints where it listens, get what it got, or says why it got nothing.
local copal = require "copal"
local verb, uri, kind = arg[1], arg[2], arg[3]

local function text_of(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local function credentials(scope)
  if kind == "psk" then return { psk = { [scope] = { arg[4], arg[5] } } } end
  return {
    cert = { [scope] = { cert = text_of(arg[4]), key = text_of(arg[5]), trusted = text_of(arg[6]) } },
  }
end

local function serve()
  local coap = assert(copal.endpoint(credentials "*"))
  assert(coap:listen(uri))
  coap:serve("/name", function(req) return "you are " .. tostring(req.identity) end)
  coap:serve("/large", function() return ("0123456789abcdef"):rep(512) end)
  local count = coap:value("/count", 0)
  coap:every(0.3, function() count.value = count.value + 1 end)
  io.stdout:write("listening on ", coap:addresses()[1], "\n")
  io.stdout:flush()
  coap:forever()
end

local function get()
  local coap = assert(copal.endpoint(credentials(uri:match "^%a+://[^/]+")))
  local res, err = coap:get(uri, { timeout = 20 })
  if not res then
    io.stderr:write(tostring(err), "\n")
    os.exit(1)
  end
  io.stdout:write(res.payload)
end

copal.run(verb == "serve" and serve or get)
