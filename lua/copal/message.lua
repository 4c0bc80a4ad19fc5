-- Messages as scripts see them: fields are read from C when touched. Those of
-- a received message are kept then; those of a message being built are not,
-- and may be assigned.
local core = require "copal_core"
local errors = require "copal.error"
local value = require "copal.value"

local M = {}
local methods, getters, setters = {}, {}, {}
local Message = {}

function Message.__index(m, key)
  local get = getters[key]
  if not get then return methods[key] end
  local v = get(m.handle, m)
  if m.received then rawset(m, key, v) end
  return v
end

function Message.__newindex(m, key, v)
  local set = setters[key]
  if not set then
    if getters[key] then error("copal: " .. key .. " cannot be assigned", 2) end
    return rawset(m, key, v)
  end
  local ok, text = set(m.handle, v)
  if not ok then error("copal: " .. key .. ": " .. tostring(text), 2) end
end

function Message.__tostring(m)
  return core.msg_print(m.handle, core.LINE)
end

function M.received(handle)
  return setmetatable({ handle = handle, received = true }, Message)
end

function M.own(handle)
  return setmetatable({ handle = handle }, Message)
end

function M.is(x)
  return getmetatable(x) == Message
end

---- Addresses -----------------------------------------------------------------

local Address = {}
Address.__index = Address

function Address.__tostring(a)
  return a.uri
end

function Address.__eq(a, b)
  return a.uri == b.uri
end

local function is_multicast(host)
  local first = host:match("^(%d+)%.%d+%.%d+%.%d+$")
  if first then
    return tonumber(first) >= 224 and tonumber(first) <= 239
  end
  return host:match("^[fF][fF]%x%x:") ~= nil
end

-- The base of a URI taken apart; nil for "".
local function address(uri)
  local scheme, hostinfo = uri:match("^([%w+.-]+)://([^/?#]*)")
  if not scheme then return nil end
  local host, port = hostinfo:match("^%[(.*)%]:?(%d*)$")
  if not host then host, port = hostinfo:match("^(.*):(%d*)$") end
  host = host or hostinfo
  return setmetatable({ uri = scheme .. "://" .. hostinfo, scheme = scheme,
    hostinfo = hostinfo, host = host, port = tonumber(port),
    is_multicast = is_multicast(host) }, Address)
end
M.address = address

---- Lists ---------------------------------------------------------------------

local Path = {}
Path.__index = Path

function Path.__tostring(p)
  return p.text
end

function Path.__eq(a, b)
  return a.text == b.text
end

-- /a/b as { "a", "b" }; "/" is {}; a trailing slash is an empty last segment.
function getters.path(handle)
  local list = setmetatable({ text = core.msg_path(handle) }, Path)
  local i = 0
  local segment = core.msg_value(handle, 11, 0)
  while segment do
    i = i + 1
    list[i] = segment
    segment = core.msg_value(handle, 11, i)
  end
  return list
end

-- In order, and by name: query.rt is "x" for "rt=x", true for "rt" alone.
function getters.query(handle)
  local list, i = {}, 0
  local item = core.msg_value(handle, 15, 0)
  while item do
    i = i + 1
    list[i] = item
    local key, v = item:match("^([^=]*)=(.*)$")
    key = key or item
    if list[key] == nil then list[key] = v or true end
    item = core.msg_value(handle, 15, i)
  end
  return list
end

local Options = {}

function Options.__tostring(o)
  return o.text
end

-- options[1].name, .number, .value in wire order
function getters.options(handle)
  local flat = core.options(handle)
  local list = { text = core.msg_print(handle, core.OPTION_LINES) }
  for i = 1, #flat, 2 do
    list[#list + 1] = { number = flat[i], value = flat[i + 1],
      name = core.name(core.OPTIONS, flat[i]) or tostring(flat[i]) }
  end
  return setmetatable(list, Options)
end

---- Fields --------------------------------------------------------------------

function getters.code(handle)
  return value.code(core.msg_code(handle))
end

function getters.payload(handle)
  return core.msg_payload(handle)
end

getters.text = getters.payload

function getters.identity(handle)
  return core.msg_identity(handle)
end

function getters.uri(handle)
  return core.msg_uri(handle)
end

function getters.format(handle)
  local number = core.msg_format(handle)
  return number >= 0 and value.format(number) or nil
end

function getters.remote(handle)
  local uri = core.msg_remote(handle) or ""
  return address(uri ~= "" and uri or core.msg_uri(handle) or "")
end

function getters.local_address(handle)
  return address(core.msg_local(handle) or "")
end

local types = { [0] = "CON", "NON", "ACK", "RST" }

function getters.wire(handle)
  return core.msg_wire(handle)
end

function getters.type(_, m)
  local wire = m.wire
  return wire and types[wire.type]
end

function getters.mid(_, m)
  local wire = m.wire
  return wire and wire.mid >= 0 and wire.mid or nil
end

function getters.token(_, m)
  local wire = m.wire
  return wire and wire.token
end

function getters.is_multicast(_, m)
  local wire = m.wire
  return wire ~= nil and wire.multicast
end

function getters.etag(handle)
  return core.msg_value(handle, 4, 0)
end

function getters.max_age(handle)
  return core.msg_uint(handle, 14)
end

---- Assigning -----------------------------------------------------------------

setters.uri = core.msg_set_uri
setters.from = core.msg_set_from

local function payload_text(v)
  if type(v) == "string" then return v end
  if type(v) == "number" then return tostring(v) end
  return nil, "text expected, got " .. type(v)
end

function setters.payload(handle, v)
  local text, why = payload_text(v)
  if not text then return nil, why end
  return core.msg_set_payload(handle, core.msg_format(handle), text)
end

function setters.format(handle, v)
  local f = value.format(v)
  if v ~= nil and not f then return nil, "unknown Content-Format" end
  return core.msg_set_payload(handle, f and f.number or core.NO_FORMAT,
    core.msg_payload(handle))
end

local function set_list(handle, option, list)
  core.msg_remove(handle, option)
  for _, v in ipairs(list) do
    local ok, text, name = core.msg_add(handle, option, tostring(v))
    if not ok then return nil, text, name end
  end
  return true
end

-- { "a", "b" } or "/a/b"
function setters.path(handle, v)
  if type(v) == "string" then
    local list = {}
    local inner = v:gsub("^/", "")
    if inner ~= "" then
      for segment in (inner .. "/"):gmatch("([^/]*)/") do
        list[#list + 1] = segment
      end
    end
    v = list
  end
  return set_list(handle, 11, v)
end

function setters.query(handle, v)
  local list = {}
  for i, item in ipairs(v) do list[i] = item end
  for key, item in pairs(v) do
    if type(key) == "string" then
      list[#list + 1] = item == true and key or key .. "=" .. tostring(item)
    end
  end
  return set_list(handle, 15, list)
end

---- Methods -------------------------------------------------------------------

-- The i-th (from 1) value of an option, by number or name; nil: not there.
function methods.option(m, option, i)
  local number = value.option(option)
  if not number then error("copal: no option " .. tostring(option), 2) end
  return core.msg_value(m.handle, number, (i or 1) - 1)
end

function methods.uint(m, option)
  local number = value.option(option)
  if not number then error("copal: no option " .. tostring(option), 2) end
  return core.msg_uint(m.handle, number)
end

function methods.add(m, option, v)
  return errors.check(M.add_option(m.handle, option, v))
end

local function decoded(v, text)
  if v == nil then return nil, errors.new("EFORMAT", text) end
  return v
end

function methods.json(m)
  return decoded(require "copal.json".decode(m.payload))
end

function methods.links(m, wanted)
  local list, text = require "copal.links".parse(m.payload)
  if list and wanted then list = list:filter(wanted) end
  return decoded(list, text)
end

function methods.cbor()
  return nil, errors.not_built_in("CBOR")
end

-- By Content-Format: JSON and link format as tables, text and bytes as they
-- are.
function methods.decode(m)
  local f = m.format
  local number = f and f.number
  if number == 50 or number == 51 or number == 52 then return m:json() end
  if number == 40 then return m:links() end
  if f and f.name:find("json") then return m:json() end
  if f and f.name:find("cbor") then return m:cbor() end
  return m.payload
end

-- The response itself if it is a success; else nil and an error with it.
function methods.check(m)
  local code = m.code
  if code.cls == 2 then return m end
  local message = code.name .. ": " .. (m.uri or "")
  if m.payload ~= "" and (not m.format or m.format.number == 0) then
    message = message .. ": " .. m.payload
  end
  local e = errors.new("ESTATE", message, m)
  e.name, e.code = code.dotted, code.number
  return nil, e
end

function methods.copy(m)
  return M.own(core.msg_copy(m.handle))
end

---- Building ------------------------------------------------------------------

-- v: text, a number, true for an empty value, or a list of these.
function M.add_option(handle, option, v)
  local number = value.option(option)
  if not number then
    return nil, "no option " .. tostring(option), "EINVAL"
  end
  if type(v) == "number" then
    return core.msg_add_uint(handle, number, v)
  elseif v == true then
    return core.msg_add(handle, number, "")
  elseif type(v) == "string" then
    return core.msg_add(handle, number, v)
  elseif type(v) == "table" then
    for _, item in ipairs(v) do
      local ok, text, name = M.add_option(handle, number, item)
      if not ok then return nil, text, name end
    end
    return true
  end
  return nil, "an option's value cannot be a " .. type(v), "EINVAL"
end

local setup = {} -- what a key of the options table does to the message

function setup.accept(handle, v)
  local f = value.format(v)
  if not f then return nil, "unknown Content-Format " .. tostring(v), "EINVAL" end
  return core.msg_add_uint(handle, 17, f.number)
end

function setup.options(handle, v)
  for key, item in pairs(v) do
    local ok, text, name
    if type(item) == "table" and type(key) == "number" and #item == 2
      and value.option(item[1]) then
      ok, text, name = M.add_option(handle, item[1], item[2])
    else
      ok, text, name = M.add_option(handle, key, item)
    end
    if not ok then return nil, text, name end
  end
  return true
end

function setup.query(handle, v)
  for i, item in ipairs(v) do
    local ok, text, name = core.msg_add(handle, 15, v[i] and item)
    if not ok then return nil, text, name end
  end
  for key, item in pairs(v) do
    if type(key) == "string" then
      local text = item == true and key or key .. "=" .. tostring(item)
      local ok, why, name = core.msg_add(handle, 15, text)
      if not ok then return nil, why, name end
    end
  end
  return true
end

setup.from = core.msg_set_from

local plain = { etag = 4, if_match = 1, if_none_match = 5, max_age = 14,
  observe = 6, hop_limit = 16, proxy_uri = 35, proxy_scheme = 39,
  no_response = 258, echo = 252, request_tag = 292, size1 = 60, size2 = 28,
  uri_host = 3, location_path = 8, location_query = 20 }

-- Used by those who send; they set no option of the message.
local others = { format = true, flags = true, confirmable = true, non = true,
  progress = true, sink = true, limit = true, resume = true, code = true,
  payload = true, uri = true, raw_blocks = true, any_port = true, on_start = true }

local function flags_of(opts)
  local flags = opts.flags or 0
  if opts.non or opts.confirmable == false then flags = flags + core.NON end
  if opts.raw_blocks then flags = flags + core.RAW_BLOCKS end
  if opts.any_port then flags = flags + core.ANY_PORT end
  if opts.progress then flags = flags + core.TELL_PROGRESS end
  if opts.sink then flags = flags + core.STREAM_IN end
  return flags
end

local function apply_one(handle, key, v)
  if setup[key] then return setup[key](handle, v) end
  if plain[key] then return M.add_option(handle, plain[key], v) end
  if others[key] then return true end
  local number, n = value.param(key, v)
  if not number then
    error("copal: no such option or parameter: " .. tostring(key), 0)
  end
  return core.msg_tune(handle, number, n)
end

function M.apply(handle, opts)
  local flags = flags_of(opts)
  for key, v in pairs(opts) do
    local ok, text, name = apply_one(handle, key, v)
    if not ok then
      return nil, tostring(key) .. ": " .. text, name
    end
  end
  if flags ~= 0 then return core.msg_set_flags(handle, flags) end
  return true
end

-- A body as scripts give it -> text, format number. Tables are JSON.
function M.encode(body, format)
  local f = format ~= nil and value.format(format) or nil
  if format ~= nil and not f then
    return nil, "unknown Content-Format " .. tostring(format)
  end
  local number = f and f.number
  if type(body) == "string" then return body, number end
  if type(body) == "number" or type(body) == "boolean" then
    return tostring(body), number
  end
  if type(body) ~= "table" then
    return nil, "a body cannot be a " .. type(body)
  end
  if number and number ~= 50 and not f.name:find("json") then
    return nil, f.name .. ": not built in", "ENOTSUP"
  end
  local ok, text = pcall(require "copal.json".encode, body)
  if not ok then return nil, tostring(text) end
  return text, number or 50
end

-- A new message's handle, or nil and an error. body may be nil.
function M.build(endpoint, code, uri, body, opts)
  local handle, text, name = core.msg_new(endpoint, code)
  if not handle then return nil, errors.new(name, text) end
  -- A URI that is not understood is told by END, with the sentence.
  if uri then core.msg_set_uri(handle, uri) end
  if body ~= nil then
    local payload, number, kind = M.encode(body, opts and opts.format)
    if not payload then return nil, errors.new(kind or "EINVAL", number) end
    local ok
    ok, text, name = core.msg_set_payload(handle, number or core.NO_FORMAT, payload)
    if not ok then return nil, errors.new(name, text) end
  elseif opts and opts.format ~= nil then
    local f = value.format(opts.format)
    if not f then
      return nil, errors.new("EINVAL", "unknown Content-Format " .. tostring(opts.format))
    end
    core.msg_set_payload(handle, f.number, "")
  end
  if opts then
    local ok
    ok, text, name = M.apply(handle, opts)
    if not ok then return nil, errors.new(name or "EINVAL", text) end
  end
  return handle
end

return M
