-- What devices out there want to be asked like: data, and how it is applied.
--   about       a line for people
--   params      of peers, as endpoints take them: times in seconds
--   non         requests are not confirmed
--   accept      Content-Format asked for where none is, and that of payloads
--   options     { number, value } added to each request; payload_options: to those
--               with a payload
--   understand  critical options of theirs that answers have
--   pair        how credentials of one's own are had by those printed on it:
--               path, identity, body(name), key(text)
local M = {}

local json = require "copal.json"

M.all = {
  ["thread-sleepy"] = {
    about = "Thread and 6LoWPAN nodes that sleep: seconds until they answer, small frames",
    -- A parent keeps what comes for the length of a poll; its ICMP may lie.
    params = { ack_timeout = 12, ignore_icmp = 1, block_size = 64, nstart = 1 },
  },
  shelly = {
    about = "Shelly of the first generation (CoIoT): /cit/d, /cit/s; they tell all by code 0.30",
    params = { ignore_icmp = 1 }, -- those with a battery are mostly not there
    non = true,
  },
  ["samsung-ocf"] = {
    about = "OCF devices: vnd.ocf+cbor, version 1.0.0 of it",
    accept = 10000,
    options = { { 2049, 2048 } },         -- OCF-Accept-Content-Format-Version
    payload_options = { { 2053, 2048 } }, -- OCF-Content-Format-Version
    understand = { 2053 },
  },
  tradfri = {
    about = "IKEA TRADFRI gateway: /15001; coaps only, a key of one's own by copal creds pair",
    params = { nstart = 1, ack_timeout = 3 },
    pair = {
      path = "/15011/9063",
      identity = "Client_identity", -- whose key is printed below the gateway
      body = function(name) return json.encode { ["9090"] = name } end,
      key = function(text)
        local ok, t = pcall(json.decode, text)
        return ok and type(t) == "table" and type(t["9091"]) == "string" and t["9091"] or nil
      end,
    },
  },
}

function M.names()
  local list = {}
  for name in pairs(M.all) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- Tunes the peers under scope, a URI prefix; nil: all of the endpoint's.
function M.tune(coap, name, scope)
  local profile = M.all[name]
  for _, number in ipairs(profile.understand or {}) do
    local ok, err = coap:understand(number)
    if not ok then return nil, err end
  end
  return coap:tune(scope, profile.params or {})
end

local function has_option(options, number)
  for key, option in pairs(options or {}) do
    if key == number or type(option) == "table" and option[1] == number then return true end
  end
  return false
end

-- Fills in what the options of a request (as c:request() takes them) leave open.
function M.fill(name, request, has_payload)
  local profile = M.all[name]
  if profile.non and request.non == nil then request.non = true end
  request.accept = request.accept or profile.accept
  request.options = request.options or {}
  local function add(list)
    for _, option in ipairs(list or {}) do
      if not has_option(request.options, option[1]) then
        table.insert(request.options, { option[1], option[2] })
      end
    end
  end
  add(profile.options)
  if has_payload then
    request.format = request.format or profile.accept
    add(profile.payload_options)
  end
  return request
end

-- Asks the device at uri, of which the host counts, for a key that belongs to
-- name; code is what is printed on it. The key, or nil and why.
function M.pair(coap, profile_name, uri, code, name)
  local pair = M.all[profile_name].pair
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
