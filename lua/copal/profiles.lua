-- Devices out there: which profiles endpoint:profile() knows, and how credentials
-- of one's own are had by those printed on a device. Of each such exchange:
--   path, identity, body(name), key(text)
local M = {}

local core = require "copal_core"
local json = require "copal.json"

M.pairings = {
  tradfri = {
    path = "/15011/9063",
    identity = "Client_identity", -- whose key is printed below the gateway
    body = function(name) return json.encode { ["9090"] = name } end,
    key = function(text)
      local ok, t = pcall(json.decode, text)
      return ok and type(t) == "table" and type(t["9091"]) == "string" and t["9091"] or nil
    end,
  },
}

function M.names()
  local list = {}
  repeat
    list[#list + 1] = core.profile_name(#list)
  until core.profile_name(#list) == nil
  return list
end

-- Asks the device at uri, of which the host counts, for a key that belongs to
-- name; code is what is printed on it. The key, or nil and why.
function M.pair(coap, profile_name, uri, code, name)
  local pair = M.pairings[profile_name]
  if not pair then return nil, profile_name .. " devices have no such exchange" end
  local base = uri:match "^coaps://[^/?#]+"
  if not base then return nil, uri .. ": asked by coaps:// only" end
  local ok, err = coap:use_psk(base, pair.identity, code)
  if not ok then return nil, err end
  local res
  res, err = coap:post(base .. pair.path, pair.body(name))
  coap:disconnect(base) -- what follows is under the new name
  coap:forget(base)
  if not res then return nil, err end
  if not res.code.is_successful then
    return nil, tostring(res.code) .. (res.code.number == 128
      and ": this name has a key already; choose another" or "")
  end
  local key = pair.key(res.payload)
  if not key then return nil, "what it answered has no key" end
  return key
end

return M
