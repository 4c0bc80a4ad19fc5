-- copal's side of EDHOC with aiocoap, and its keys.
--   keys DIR          writes ours.json and theirs.json for support/edhoc_aiocoap.py,
--                     and creds.json for copal, of one client and one server each way
--   serve DIR         answers /hello to who is known, on a free port
local copal = require "copal"
local json = require "copal.json"
local verb, dir = ...

local function hex(bytes)
  return (bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

local function save(name, text)
  local f = assert(io.open(dir .. "/" .. name, "w"))
  f:write(text)
  f:close()
end

local function load(name)
  local f = assert(io.open(dir .. "/" .. name))
  local all = json.decode(f:read "*a")
  f:close()
  return all
end

if verb == "keys" then
  local ours, shown = copal.make_edhoc("P-256", "copal", "\x0a")
  local theirs, of_theirs = copal.make_edhoc("P-256", "aiocoap", "\x2b")
  save("ours.json", json.encode { private_key = hex(ours), credential = hex(shown), peer_credential = hex(of_theirs) })
  for _, style in ipairs { "by-key-id", "by-value" } do
    for _, combined in ipairs { true, false } do
      save(style .. (combined and "-combined" or "") .. ".json", json.encode { private_key = hex(theirs),
        credential = hex(of_theirs), peer_credential = hex(shown), style = style, combined = combined })
    end
  end
elseif verb == "serve" then
  local k = load "ours.json"
  local function bytes(text) return (text:gsub("%x%x", function(d) return string.char(tonumber(d, 16)) end)) end
  local coap = assert(copal.endpoint { edhoc = { ["*"] = { method = 3, suite = 2, private_key = bytes(k.private_key),
    credential = bytes(k.credential), peer_credential = bytes(k.peer_credential) } } })
  coap:serve("/hello", { secure = true, get = function(req) return "hello " .. req.identity end })
  assert(coap:listen "coap://127.0.0.1:0")
  print("listening on " .. coap:addresses()[1])
  io.stdout:flush()
  coap:run()
end
