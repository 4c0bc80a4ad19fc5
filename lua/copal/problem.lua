-- Concise problem details (RFC 9290): what went wrong, for programs.
--
--   title          the kind of problem; title_lang "en", title_direction
--   detail         this one, and how to mend it; detail_lang, detail_direction
--   instance       the URI reference of this one
--   response_code  a code, as the answer's
--   base_uri, base_lang, base_direction   of the texts without their own
--   options        numbers of the options that were not processed (3.1.1)
--   entries        all others, by number or URI: tables; of negative numbers
--                  any value
--
-- A direction is "ltr" or "rtl"; nil: not said. tostring() is the title and the
-- detail.
local core = require "copal_core"
local cbor = require "copal.cbor"
local value = require "copal.value"

local M = {}
local Problem = { __name = "problem" }

local TAG_LANGUAGE = 38
local OPTIONS = -8

local texts = { title = -1, detail = -2 }
local plain = { instance = -3, base_uri = -5, base_lang = -6 }
local fields = { title = true, title_lang = true, title_direction = true,
  detail = true, detail_lang = true, detail_direction = true, instance = true,
  response_code = true, base_uri = true, base_lang = true,
  base_direction = true, options = true, entries = true }

function Problem.__tostring(p)
  if p.title and p.detail then return p.title .. ": " .. p.detail end
  return p.title or p.detail or p.instance or "a problem without title"
end

-- Whether it was read from a message.
function M.is(x)
  return getmetatable(x) == Problem
end

---- Reading -------------------------------------------------------------------

local function direction(v)
  if v == true then return "rtl" end
  if v == false then return "ltr" end
  return nil
end

local function read_text(p, name, v)
  if not cbor.is_tag(v, TAG_LANGUAGE) then
    p[name] = v
    return
  end
  p[name .. "_lang"], p[name] = v.value[1], v.value[2]
  p[name .. "_direction"] = direction(v.value[3])
end

-- The problem in a message whose payload is one by its format; else nil, and
-- what is wrong.
function M.read(handle)
  local ok, text = core.msg_check_problem(handle)
  if not ok then return nil, text end
  local all, why = cbor.decode(core.msg_payload(handle))
  if all == nil then return nil, why end
  local p = setmetatable({ entries = {} }, Problem)
  for name, key in pairs(texts) do
    if all[key] ~= nil then read_text(p, name, all[key]) end
    all[key] = nil
  end
  for name, key in pairs(plain) do
    p[name], all[key] = all[key], nil
  end
  p.response_code = all[-4] and value.code(all[-4])
  p.base_direction = direction(all[-7])
  if type(all[OPTIONS]) == "number" then all[OPTIONS] = { all[OPTIONS] } end
  p.options = all[OPTIONS]
  all[-4], all[-7], all[OPTIONS] = nil, nil, nil
  for key, v in pairs(all) do p.entries[key] = v end
  return p
end

---- Writing -------------------------------------------------------------------

local function is_rtl(v)
  if v ~= "ltr" and v ~= "rtl" then
    error("copal: a direction is \"ltr\" or \"rtl\", got " .. tostring(v), 0)
  end
  return v == "rtl"
end

local function text_item(p, name)
  local lang, dir = p[name .. "_lang"], p[name .. "_direction"]
  if not lang then return p[name] end
  return cbor.tag(TAG_LANGUAGE, { lang, p[name], dir and is_rtl(dir) })
end

local function check_fields(p)
  if type(p) ~= "table" then
    error("copal: a problem is a table or a title, got " .. type(p), 0)
  end
  for name in pairs(p) do
    if not fields[name] then
      error("copal: a problem has no " .. tostring(name) .. "; put it into entries", 0)
    end
  end
end

-- p: a table as above, or the title alone -> its bytes, its response_code.
function M.encode(p)
  if type(p) == "string" then p = { title = p } end
  check_fields(p)
  local all = cbor.map {}
  for key, v in pairs(p.entries or {}) do
    all[key] = v
    if type(v) == "table" and not cbor.is_array(v) and getmetatable(v) == nil then
      all[key] = cbor.map(v)
    end
  end
  for name, key in pairs(texts) do
    if p[name] ~= nil then all[key] = text_item(p, name) end
  end
  for name, key in pairs(plain) do
    if p[name] ~= nil then all[key] = p[name] end
  end
  if p.response_code ~= nil then
    local code = value.code(p.response_code)
    if not code then error("copal: unknown code " .. tostring(p.response_code), 0) end
    all[-4] = code.number
  end
  if p.base_direction ~= nil then all[-7] = is_rtl(p.base_direction) end
  local list = p.options
  if type(list) == "table" and #list == 1 then list = list[1] end
  all[OPTIONS] = list
  return cbor.encode(all), all[-4]
end

-- Makes p the payload of a message. true; or nil, what is wrong, "EINVAL": the
-- payload stays what it was.
function M.set(handle, p)
  local ok, payload, number = pcall(M.encode, p)
  if not ok then return nil, (tostring(payload):gsub("^copal: ", "")), "EINVAL" end
  if number and number ~= core.msg_code(handle) then
    return nil, "its response_code is not the answer's", "EINVAL"
  end
  local format, before = core.msg_format(handle), core.msg_payload(handle)
  local done, text, name = core.msg_set_payload(handle, value.formats.PROBLEM, payload)
  if not done then return nil, text, name end
  if not core.msg_check_problem(handle) then
    core.msg_set_payload(handle, format, before)
    return nil, "give it a title or a detail, of UTF-8, languages like \"en\", "
      .. "and as entries tables", "EINVAL"
  end
  return true
end

return M
