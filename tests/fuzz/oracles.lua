-- What must hold of any bytes that copal's Lua modules read: fuzz_lua.c. What
-- is refused is refused by nil and a sentence; what is read can be written, and
-- is then read as the same.
local core = require "copal_core"
local cbor = require "copal.cbor"
local diagnostic = require "copal.diagnostic"
local json = require "copal.json"
local links = require "copal.links"
local senml = require "copal.senml"

local function refused(value, why)
  if value ~= nil then return false end
  assert(type(why) == "string" and why ~= "", "refused without a word")
  return true
end

-- What must be read; it may be false.
local function must(value, why)
  if value == nil then error(why, 2) end
  return value
end

local function check_cbor(s)
  local value, why = cbor.decode(s, { exact = true })
  if refused(value, why) then return end
  local once = cbor.encode(value)
  assert(cbor.encode(must(cbor.decode(once, { exact = true }))) == once,
    "CBOR is not what was written")
  local text = must(core.cbor_diagnostic(once, #s % 2 == 0, false))
  assert(cbor.encode(must(diagnostic.decode(text))) == once,
    "diagnostic notation is not what was written")
end

local function check_loose_cbor(s)
  local value, why = cbor.decode(s, { sequence = true })
  if not refused(value, why) then pcall(cbor.encode, value) end
  value, why = cbor.decode(s)
  if not refused(value, why) then pcall(cbor.encode, value) end
end

local function check_json(s)
  local value, why = json.decode(s)
  if refused(value, why) then return end
  local once = json.encode(value)
  assert(json.encode(must(json.decode(once))) == once,
    "JSON is not what was written")
end

-- Numbers that a sum made infinite cannot be written in JSON.
local function check_senml(s, format)
  local list, why = senml.decode(s, format)
  if refused(list, why) then return end
  local ok, text = pcall(senml.encode, list, format)
  if ok then
    assert(#must(senml.decode(text, format)) == #list, "SenML lost a record")
  else
    assert(type(text) == "string" and not text:find("attempt to"), text)
  end
end

local function check_links(s)
  local list, why = links.parse(s)
  if refused(list, why) then return end
  local once = tostring(list)
  assert(tostring(must(links.parse(once))) == once,
    "links are not what was written")
  list:filter { rt = "a*", obs = true }
end

local function check_diagnostic(s)
  local value, why = diagnostic.decode(s)
  if refused(value, why) then return end
  local ok, once = pcall(cbor.encode, value)
  if not ok then return end -- a key twice
  assert(cbor.encode(must(cbor.decode(once, { exact = true }))) == once)
end

local checks = {
  [0] = check_cbor, check_loose_cbor, check_json,
  function(s) check_senml(s, "json") end,
  function(s) check_senml(s, "cbor") end,
  check_links, check_diagnostic,
}

return function(kind, s)
  checks[kind % 7](s)
end
